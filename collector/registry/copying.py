"""Copy the registry's database as of one instant, and put such a copy in its place.

A copy is always an SQLite file: of a PostgreSQL it holds every row of our tables, read in one
transaction, so that a backup needs no other program and can be restored into either database.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from collector.registry import tables
from collector.registry.database import create, translated, with_driver
from gateway_core.errors import ConfigError, Fault, Unavailable

SQLITE = "sqlite:///"
_ROWS = 2000
_PAGES = 2048


class RegistryCopy:
    """The database as of the moment this was made; `write` copies it, `close` lets go of it.

    Args:
        url: As SQLAlchemy reads it.

    Raises:
        Unavailable: The database does not answer.
    """

    name = "registry.db"

    def __init__(self, url: str) -> None:
        self.size = 0
        self._file: sqlite3.Connection | None = None
        self._db: Connection | None = None
        if url.startswith(SQLITE):
            path = Path(url.removeprefix(SQLITE))
            self._file, self.size = _opened(path), path.stat().st_size
        else:
            self._engine = create_engine(with_driver(url), isolation_level="REPEATABLE READ")
            try:
                self._db = self._engine.connect()
                self._db.execute(select(tables.meta)).all()  # takes the snapshot
            except SQLAlchemyError as exc:
                self._engine.dispose()
                raise translated(exc) from exc

    def write(self, target: Path, progress: Callable[[int], None]) -> None:
        """Write the copy to a new SQLite file; blocks.

        Raises:
            Unavailable: The database or a disk does not allow it.
        """
        if self._file is not None:
            _copy_file(self._file, target, progress)
        elif self._db is not None:
            engine = create(f"{SQLITE}{target}")
            try:
                with engine.begin() as copy:
                    _copy_rows(self._db, copy)
                with engine.connect() as copy:
                    copy.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            except SQLAlchemyError as exc:
                raise translated(exc) from exc
            finally:
                engine.dispose()

    def close(self) -> None:
        """Let go of the snapshot."""
        if self._file is not None:
            self._file.close()
        if self._db is not None:
            self._db.close()
            self._engine.dispose()


def check_copy(path: Path) -> None:
    """Read a copy from end to end and see that this program knows its schema; blocks.

    Raises:
        ConfigError: A newer program wrote it.
        Unavailable: It is not whole.
    """
    with contextlib.closing(_opened(path)) as db:
        try:
            found = db.execute("PRAGMA quick_check(1)").fetchone()
            schema = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        except sqlite3.Error as exc:
            raise Unavailable(f"{path}: {exc}") from exc
    if found is None or found[0] != "ok":
        raise Unavailable(f"{path}: {found and found[0]}")
    if schema is not None and int(schema[0]) > tables.SCHEMA:
        message = (
            f"the registry in it has schema {schema[0]}, this program knows {tables.SCHEMA}: "
            "install the collector that wrote it, or a newer one"
        )
        raise ConfigError(Fault(path, 0, 0, "", message))


def is_empty(url: str) -> bool:
    """Return whether a PostgreSQL holds nothing of ours yet; blocks.

    Raises:
        Unavailable: The database does not answer.
    """
    engine = create(url)
    try:
        with engine.connect() as db:
            held = [each for each in tables.metadata.sorted_tables if each is not tables.meta]
            return not any(db.execute(select(each).limit(1)).first() for each in held)
    except SQLAlchemyError as exc:
        raise translated(exc) from exc
    finally:
        engine.dispose()


def put_back(copy: Path, url: str) -> None:
    """Fill an empty PostgreSQL from a copy, in one transaction; blocks.

    Raises:
        Unavailable: The database does not answer; nothing was put into it.
    """
    source, engine = create(f"{SQLITE}{copy}"), create(url)
    try:
        with source.connect() as old, engine.begin() as db:
            db.execute(tables.meta.delete())
            _copy_rows(old, db)
            _count_on(engine, db)
    except SQLAlchemyError as exc:
        raise translated(exc) from exc
    finally:
        source.dispose()
        engine.dispose()


def _opened(path: Path) -> sqlite3.Connection:
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, timeout=10, check_same_thread=False)
        db.isolation_level = None
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # takes the snapshot
    except sqlite3.Error as exc:
        raise Unavailable(f"{path}: {exc}") from exc
    return db


def _copy_file(db: sqlite3.Connection, target: Path, progress: Callable[[int], None]) -> None:
    size = db.execute("PRAGMA page_size").fetchone()[0]
    left = 0

    def step(_: int, remaining: int, total: int) -> None:
        nonlocal left
        progress(max(0, (left or total) - remaining) * size)
        left = remaining

    try:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            db.backup(copy, pages=_PAGES, progress=step)
    except sqlite3.Error as exc:
        raise Unavailable(f"cannot copy to {target}: {exc}") from exc


def _copy_rows(old: Connection, new: Connection) -> None:
    new.execute(tables.meta.delete())
    for table in tables.metadata.sorted_tables:
        rows = old.execution_options(yield_per=_ROWS).execute(select(table)).mappings()
        for some in rows.partitions():
            new.execute(insert(table), [dict(row) for row in some])


def _count_on(engine: Engine, db: Connection) -> None:
    """Let PostgreSQL's own counters go on behind the numbers that were copied."""
    if engine.dialect.name != "postgresql":
        return
    for table in tables.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        last = db.execute(select(func.max(column))).scalar()
        held = db.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"),
            {"table": table.name, "column": column.name},
        ).scalar()
        if held and last:
            db.execute(select(func.setval(held, last)))
