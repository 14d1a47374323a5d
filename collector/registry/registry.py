"""The registry's database: apply batches of records, list what is known, page by page.

All statements run on one thread of this object, so the event loop never waits for a disk.
`Registry.apply` commits before it returns; applying the same batch again changes nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    event,
    func,
    insert,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError, OperationalError

from collector.registry import tables
from collector.registry.changes import Changes, Key, Row, touched
from gateway_core.errors import ConfigError, Fault, PayloadError, Unavailable
from gateway_core.model import Batch

T = TypeVar("T")

_CHUNK = 400
"""Keys in one ``IN`` list: two parameters each stay below SQLite's old limit of 999."""

LISTED = {"devices": tables.devices, "feeds": tables.feeds, "systems": tables.systems}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of a list are wanted; None means any.

    Args:
        edge: Exactly this edge.
        area: This area code or any below it (codes nest by prefix, as GB/T 2260 does).
        state: Exactly this state.
        q: Text that the id or the name contains, whatever its case.
        limit: Rows a page, 1 to 1,000.
        cursor: ``next`` of the page before, or None for the first page.
    """

    edge: str | None = None
    area: str | None = None
    state: str | None = None
    q: str | None = None
    limit: int = 100
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of (id, edge), and where the next page starts (None: no more)."""

    rows: list[Row]
    next: str | None


class Registry:
    """What every edge, device, feed, system and alarm was last known to be."""

    def __init__(self, engine: Engine, thread: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._thread = thread
        self._insert = postgresql_insert if engine.dialect.name == "postgresql" else sqlite_insert

    async def apply(self, batch: Batch) -> None:
        """Fold ``batch`` into the tables, in one transaction.

        Raises:
            Unavailable: The database does not answer; nothing was changed.
        """
        await self._transact(lambda db: self._apply(db, batch))

    async def page(self, table: str, wanted: Filter) -> Page:
        """Return one page of ``devices``, ``feeds`` or ``systems``.

        Raises:
            PayloadError: ``bad_cursor``: the cursor is not one that a page returned.
            Unavailable: The database does not answer.
        """
        query = _page_query(LISTED[table], wanted)
        rows = await self._transact(lambda db: _rows(db, query))
        more = len(rows) > wanted.limit
        rows = rows[: wanted.limit]
        return Page(rows, _cursor(rows[-1]) if more else None)

    async def device(self, device: str, edge: str | None = None) -> Row | None:
        """Return a device's row, of the edge that saw it last where ``edge`` is not given."""
        t = tables.devices
        query = select(t).where(t.c.id == device)
        if edge is not None:
            query = query.where(t.c.edge == edge)
        query = query.order_by(func.coalesce(t.c.last_seen, 0).desc()).limit(1)
        rows = await self._transact(lambda db: _rows(db, query))
        return rows[0] if rows else None

    async def edges(self) -> list[Row]:
        """Return every edge that a record came from, in the order of their ids."""
        query = select(tables.edges).order_by(tables.edges.c.id)
        return await self._transact(lambda db: _rows(db, query))

    async def alarms(self, limit: int = 100) -> list[Row]:
        """Return the alarms that are raised now, newest first."""
        t = tables.alarms
        query = select(t).where(t.c.state == "raised").order_by(t.c.time.desc()).limit(limit)
        return await self._transact(lambda db: _rows(db, query))

    async def latest(self, limit: int = 20) -> list[Row]:
        """Return the devices heard from last, newest first."""
        t = tables.devices
        query = select(t).where(t.c.last_seen.is_not(None))
        query = query.order_by(t.c.last_seen.desc()).limit(limit)
        return await self._transact(lambda db: _rows(db, query))

    async def counts(self) -> dict[str, dict[tuple[str, str], int]]:
        """Return table -> (edge, state) -> number of rows, for devices, feeds and systems."""

        def count(db: Connection) -> dict[str, dict[tuple[str, str], int]]:
            found: dict[str, dict[tuple[str, str], int]] = {}
            for name, t in LISTED.items():
                query = select(t.c.edge, t.c.state, func.count()).group_by(t.c.edge, t.c.state)
                found[name] = {(edge, state): n for edge, state, n in db.execute(query)}
            return found

        return await self._transact(count)

    async def raised(self) -> dict[str, int]:
        """Return severity -> number of alarms raised now."""
        t = tables.alarms
        query = select(t.c.severity, func.count()).where(t.c.state == "raised")
        query = query.group_by(t.c.severity)
        return await self._transact(lambda db: {s: n for s, n in db.execute(query)})  # noqa: C416

    def _apply(self, db: Connection, batch: Batch) -> None:
        changes = Changes()
        for name, keys in touched(batch).items():
            changes.rows[name] = self._load(db, tables.metadata.tables[name], sorted(keys))
        changes.take(batch)
        for name, rows in changes.rows.items():
            self._upsert(db, tables.metadata.tables[name], rows)

    def _load(self, db: Connection, table: Table, keys: Sequence[Key]) -> dict[Key, Row]:
        columns = list(table.primary_key.columns)
        found: dict[Key, Row] = {}
        for start in range(0, len(keys), _CHUNK):
            query = select(table).where(tuple_(*columns).in_(keys[start : start + _CHUNK]))
            if self._engine.dialect.name == "postgresql":
                query = query.order_by(*columns).with_for_update()
            for row in _rows(db, query):
                found[tuple(row[c.name] for c in columns)] = row
        return found

    def _upsert(self, db: Connection, table: Table, rows: dict[Key, Row]) -> None:
        if not rows:
            return
        statement = self._insert(table)
        keys = [c.name for c in table.primary_key.columns]
        values = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in keys}
        statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
        # One order everywhere, so that two collectors on one database never lock crosswise.
        db.execute(statement, [rows[key] for key in sorted(rows)])

    async def _transact(self, work: Callable[[Connection], T]) -> T:
        def run() -> T:
            try:
                with self._engine.begin() as db:
                    return work(db)
            except (OperationalError, DBAPIError) as exc:
                # `orig` is the driver's own words; the statement may hold values, so leave it out.
                raise Unavailable(f"the registry's database does not answer: {exc.orig}") from exc

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)


def _rows(db: Connection, query: Select[Any]) -> list[Row]:
    return [dict(row) for row in db.execute(query).mappings()]


def _page_query(table: Table, wanted: Filter) -> Select[Any]:
    query = select(table).order_by(table.c.id, table.c.edge).limit(wanted.limit + 1)
    if wanted.edge is not None:
        query = query.where(table.c.edge == wanted.edge)
    if wanted.area is not None:
        query = query.where(table.c.area.startswith(wanted.area, autoescape=True))
    if wanted.state is not None:
        query = query.where(table.c.state == wanted.state)
    if wanted.q:
        query = query.where(
            or_(
                table.c.id.icontains(wanted.q, autoescape=True),
                table.c.name.icontains(wanted.q, autoescape=True),
            )
        )
    if wanted.cursor is not None:
        query = query.where(tuple_(table.c.id, table.c.edge) > tuple_(*_position(wanted.cursor)))
    return query


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([row["id"], row["edge"]])).decode()


def _position(cursor: str) -> tuple[str, str]:
    try:
        name, edge = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise PayloadError("bad_cursor", "give `next` of the page before, unchanged") from exc
    return name, edge


def _create(url: str) -> Engine:
    """Return an engine whose tables exist, at a schema version that this program knows."""
    engine = create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        if engine.url.database:
            Path(engine.url.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        event.listen(engine, "connect", _durable)
    tables.metadata.create_all(engine)
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


def _durable(connection: Any, _record: object) -> None:
    """Set SQLite up as the spool is: a commit survives a power cut."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA busy_timeout = 5000")
    cursor.close()


@asynccontextmanager
async def open_registry(url: str) -> AsyncIterator[Registry]:
    """Open the registry at ``url``, making its tables if need be.

    Args:
        url: As SQLAlchemy reads it: ``sqlite:///./registry.db`` or ``postgresql+psycopg://…``;
            for PostgreSQL leave the password to ``~/.pgpass`` or ``PGPASSFILE``.

    Raises:
        ConfigError: The database was written by a newer collector.
        Unavailable: The database does not answer.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="registry")
    loop = asyncio.get_running_loop()
    try:
        engine = await loop.run_in_executor(thread, _create, url)
    except (OperationalError, DBAPIError) as exc:
        thread.shutdown()
        raise Unavailable(f"the registry's database does not answer: {exc.orig}") from exc
    try:
        yield Registry(engine, thread)
    finally:
        await loop.run_in_executor(thread, engine.dispose)
        thread.shutdown()
