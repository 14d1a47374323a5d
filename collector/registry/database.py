"""One database for what people keep: SQLite or PostgreSQL, its threads, and its errors as ours.

Changes run on one thread, one transaction each, committed before `Database.change` returns;
questions run beside them on others, so that nobody who looks waits for a large batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.schema import CreateColumn

from collector.registry import tables
from collector.registry.soundness import check_file
from gateway_core.errors import ConfigError, Fault, GatewayError, Unavailable

T = TypeVar("T")
Work = Callable[[Connection], T]

_READERS = 3


class Unfit(GatewayError):
    """The database will never hold this value: it is too long, too large or not text."""


class Database:
    """Transactions on one database; made by `open_database`.

    Attributes:
        shared: True where other collectors may change the same rows (PostgreSQL).
        dialect: What SQL it speaks.
    """

    def __init__(self, engine: Engine) -> None:
        self.shared = engine.dialect.name == "postgresql"
        self.dialect = engine.dialect
        self._engine = engine
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="registry-write")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="registry-read")

    async def change(self, work: Work[T]) -> T:
        """Run `work` in one transaction and commit it.

        Raises:
            Unfit: A value can never be stored; nothing was changed.
            Unavailable: The database does not answer; nothing was changed.
        """

        def alone(db: Connection) -> T:
            if not self.shared:
                # Before the first row is read: a command may change the same file meanwhile.
                db.exec_driver_sql("BEGIN IMMEDIATE")
            return work(db)

        return await self._in(self._writer, alone)

    async def ask(self, work: Work[T]) -> T:
        """Run `work`, which changes nothing.

        Raises:
            Unfit: A value that was asked for can never have been stored.
            Unavailable: The database does not answer.
        """
        return await self._in(self._readers, work)

    def insert(self, table: Table) -> Any:
        """Return an INSERT that can say ``ON CONFLICT``."""
        return (postgresql_insert if self.shared else sqlite_insert)(table)

    async def _in(self, threads: ThreadPoolExecutor, work: Work[T]) -> T:
        def run() -> T:
            try:
                with self._engine.begin() as db:
                    return work(db)
            except (OverflowError, UnicodeError) as exc:
                raise Unfit(str(exc)) from exc
            except SQLAlchemyError as exc:
                raise translated(exc) from exc

        return await asyncio.get_running_loop().run_in_executor(threads, run)

    def close(self) -> None:
        """Finish what is under way and close every connection."""
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


def translated(exc: SQLAlchemyError) -> GatewayError:
    """Return our error; only the driver's own words: the statement may hold values."""
    if isinstance(exc, DataError | IntegrityError):
        return Unfit(str(exc.orig).strip())
    if isinstance(exc, StatementError) and not isinstance(exc, DBAPIError):
        return Unfit(str(exc.orig))
    why = exc.orig if isinstance(exc, DBAPIError) else type(exc).__name__
    return Unavailable(f"the registry's database does not answer: {str(why).strip()}")


def create(url: str) -> Engine:
    """Return an engine whose tables exist, at a schema version that this program knows."""
    engine = create_engine(
        with_driver(url),
        pool_pre_ping=True,
        pool_size=_READERS + 1,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
    )
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _durable)
    tables.metadata.create_all(engine)
    _catch_up(engine)
    with engine.begin() as db:
        found = db.execute(
            select(tables.meta.c.value).where(tables.meta.c.key == "schema")
        ).scalar()
        if found is None:
            db.execute(insert(tables.meta).values(key="schema", value=str(tables.SCHEMA)))
        elif int(found) > tables.SCHEMA:
            message = (
                f"the database has schema {found}, this program knows {tables.SCHEMA}: "
                "install the newer collector, or name another database"
            )
            raise ConfigError(Fault(engine.url.render_as_string(), 0, 0, "registry.url", message))
    return engine


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _catch_up(engine: Engine) -> None:
    """Add the columns and indexes that an older program did not make."""
    found = inspect(engine)
    columns = {
        name: {c["name"] for c in found.get_columns(name)} for name in tables.metadata.tables
    }
    with engine.begin() as db:
        for table in tables.metadata.tables.values():
            for column in table.columns:
                if column.name not in columns[table.name]:
                    written = CreateColumn(column).compile(dialect=engine.dialect)
                    db.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {written}"))
        for name in tables.REPLACED:
            db.execute(text(f"DROP INDEX IF EXISTS {name}"))
    for table in tables.metadata.tables.values():
        for index in table.indexes:
            only = index.info.get("only")
            if only in {None, engine.dialect.name}:
                index.create(engine, checkfirst=True)


def with_driver(url: str) -> str:
    """Name the driver that is installed where the URL leaves it open."""
    scheme, mark, rest = url.partition("://")
    return f"postgresql+psycopg{mark}{rest}" if scheme == "postgresql" else url


def _durable(connection: Any, _record: object) -> None:
    """Set SQLite up as the spool is: a commit survives a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open the database at ``url``, making its tables if need be.

    Args:
        url: As SQLAlchemy reads it: ``sqlite:///./registry.db`` or ``postgresql+psycopg://…``;
            for PostgreSQL leave the password to ``~/.pgpass`` or ``PGPASSFILE``.

    Raises:
        ConfigError: A newer collector wrote the database, or its file is damaged.
        Unavailable: The database does not answer, or its folder cannot be made.
    """
    try:
        await asyncio.to_thread(check_file, url)
        engine = await asyncio.to_thread(create, url)
    except SQLAlchemyError as exc:
        raise translated(exc) from exc
    except OSError as exc:
        raise Unavailable(f"the registry's folder cannot be made: {exc}") from exc
    database = Database(engine)
    try:
        yield database
    finally:
        await asyncio.to_thread(database.close)
