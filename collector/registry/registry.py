"""The registry's database: apply batches of records, list what is known, page by page.

`Registry.apply` commits before it returns; applying the same records again changes nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    cast,
    func,
    or_,
    select,
    tuple_,
)

from collector.registry import tables
from collector.registry.bundle import Item
from collector.registry.changes import Changes, touched
from collector.registry.database import Database, open_database
from collector.registry.rows import Key, Row, Rows, ask
from collector.registry.tallies import enter
from collector.registry.tally import Tally, cells
from gateway_core.errors import PayloadError
from gateway_core.model import FeedState, ProfileUse

LISTED = {"devices": tables.devices, "feeds": tables.feeds, "systems": tables.systems}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows of a list are wanted; None means any.

    Args:
        edge: Exactly this edge.
        area: This area code or any below it (codes nest by prefix, as GB/T 2260 does).
        state: Exactly this state, as the edge last said it.
        of: Only of these edges.
        not_of: Of no edge of these.
        q: Text that the id or the name contains, whatever its case.
        owner: Of feeds: exactly this owner.
        group: Of feeds: exactly this group.
        gb_code: Of feeds: exactly this code of GB/T 28181.
        fault: Of feeds: those that have this fault now.
        plan: Of feeds: ``planned``; ``missing``, planned and never seen; ``unplanned``, seen.
        limit: Rows a page, 1 to 1,000.
        cursor: ``next`` of the page before, or None for the first page.
    """

    edge: str | None = None
    area: str | None = None
    state: str | None = None
    q: str | None = None
    limit: int = 100
    cursor: str | None = None
    of: tuple[str, ...] | None = None
    not_of: tuple[str, ...] = ()
    owner: str | None = None
    group: str | None = None
    gb_code: str | None = None
    fault: str | None = None
    plan: Literal["planned", "missing", "unplanned"] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of (id, edge), and where the next page starts (None: no more)."""

    rows: list[Row]
    next: str | None


class Registry:
    """What every edge, device, feed, system and alarm was last known to be.

    Attributes:
        database: Where it is kept, for what is kept beside it.
    """

    def __init__(self, database: Database, shift_s: float = 0.0) -> None:
        """Keep feeds' time by the days of clocks that are ``shift_s`` ahead of UTC."""
        self.database = database
        self._rows = Rows(database)
        self._shift_ms = round(shift_s * 1000)

    async def apply(self, items: Sequence[Item]) -> None:
        """Fold records that were judged into the tables, in one transaction.

        Raises:
            Unfit: The database can never hold one of them; nothing was changed.
            Unavailable: The database does not answer; nothing was changed.
        """
        self._rows.remember(await self.database.change(lambda db: self._apply(db, items)))

    async def page(self, table: str, wanted: Filter) -> Page:
        """Return one page of ``devices``, ``feeds`` or ``systems``.

        Raises:
            PayloadError: ``bad_cursor``: the cursor is not one that a page returned.
            Unavailable: The database does not answer.
        """
        query = _page_query(LISTED[table], wanted)
        rows = await self.database.ask(lambda db: ask(db, query))
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
        rows = await self.database.ask(lambda db: ask(db, query))
        return rows[0] if rows else None

    async def edges(self) -> list[Row]:
        """Return every edge that a record came from, in the order of their ids."""
        query = select(tables.edges).order_by(tables.edges.c.id)
        return await self.database.ask(lambda db: ask(db, query))

    async def edges_in(self, area: str) -> set[str]:
        """Return the edges that have a device, feed or system in this area or below it."""

        def find(db: Connection) -> set[str]:
            found: set[str] = set()
            for t in LISTED.values():
                near = t.c.area.startswith(area, autoescape=True)
                found |= set(db.execute(select(t.c.edge).where(near).distinct()).scalars())
            return found

        return await self.database.ask(find)

    async def alarms(self, limit: int = 100) -> list[Row]:
        """Return the alarms that are raised now, newest first."""
        t = tables.alarms
        query = select(t).where(t.c.state == "raised").order_by(t.c.time.desc()).limit(limit)
        return await self.database.ask(lambda db: ask(db, query))

    async def latest(self, limit: int = 20) -> list[Row]:
        """Return the devices heard from last, newest first."""
        t = tables.devices
        query = select(t).where(t.c.last_seen.is_not(None))
        query = query.order_by(t.c.last_seen.desc()).limit(limit)
        return await self.database.ask(lambda db: ask(db, query))

    async def counts(self) -> dict[str, dict[tuple[str, str], int]]:
        """Return table -> (edge, state) -> number of rows, for devices, feeds and systems."""

        def count(db: Connection) -> dict[str, dict[tuple[str, str], int]]:
            found: dict[str, dict[tuple[str, str], int]] = {}
            for name, t in LISTED.items():
                query = select(t.c.edge, t.c.state, func.count()).group_by(t.c.edge, t.c.state)
                found[name] = {(edge, state): n for edge, state, n in db.execute(query)}
            return found

        return await self.database.ask(count)

    async def raised(self) -> dict[str, int]:
        """Return severity -> number of alarms raised now."""
        t = tables.alarms
        query = select(t.c.severity, func.count()).where(t.c.state == "raised")
        query = query.group_by(t.c.severity)
        return await self.database.ask(lambda db: {s: n for s, n in db.execute(query)})  # noqa: C416

    def _apply(self, db: Connection, items: Sequence[Item]) -> dict[Key, Row]:
        """Apply records; return the rows of devices as they are once this is committed."""
        changes = Changes(tally=Tally(self._shift_ms))
        for name, keys in touched(items).items():
            changes.rows[name] = self._rows.load(db, tables.metadata.tables[name], sorted(keys))
        feeds = changes.rows["feeds"]
        before = {key: tuple(cells(row, row["condition"])) for key, row in feeds.items()}
        changes.take(items)
        changes.tally.compare(before, feeds)
        for name, rows in changes.rows.items():
            self._rows.save(db, tables.metadata.tables[name], rows)
        enter(db, self.database, changes.tally)
        self._enter_uses(db, changes.uses)
        return changes.rows["devices"]

    def _enter_uses(self, db: Connection, uses: Sequence[ProfileUse]) -> None:
        """Enter which versions edges began to use; one that is there already stays."""
        rows = [msgspec.structs.asdict(use) for use in uses if use.epoch]
        if rows:
            db.execute(self.database.insert(tables.uses).on_conflict_do_nothing(), rows)


def _page_query(table: Table, wanted: Filter) -> Select[Any]:
    query = select(table).order_by(table.c.id, table.c.edge).limit(wanted.limit + 1)
    if wanted.edge is not None:
        query = query.where(table.c.edge == wanted.edge)
    if wanted.area is not None:
        query = query.where(table.c.area.startswith(wanted.area, autoescape=True))
    if wanted.state is not None:
        query = query.where(table.c.state == wanted.state)
    if wanted.of is not None:
        query = query.where(table.c.edge.in_(wanted.of))
    if wanted.not_of:
        query = query.where(table.c.edge.not_in(wanted.not_of))
    if wanted.q:
        query = query.where(
            or_(
                table.c.id.icontains(wanted.q, autoescape=True),
                table.c.name.icontains(wanted.q, autoescape=True),
            )
        )
    query = query.where(*_of_feeds(wanted))
    if wanted.cursor is not None:
        query = query.where(tuple_(table.c.id, table.c.edge) > tuple_(*_position(wanted.cursor)))
    return query


def _of_feeds(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    t = tables.feeds
    for name in ("owner", "group", "gb_code"):
        value = getattr(wanted, name)
        if value is not None:
            yield t.c[name] == value
    if wanted.fault is not None:
        # Who is well has no fault: an index tells the others apart, and a code holds no quote.
        yield t.c.state.in_(_FAULTY)
        yield cast(t.c.faults, String).contains(f'"{wanted.fault}"', autoescape=True)
    if wanted.plan is not None:
        yield t.c.planned.is_(None) if wanted.plan == "unplanned" else t.c.planned.is_not(None)
    if wanted.plan == "missing":
        yield t.c.first_seen.is_(None)


_FAULTY = tuple(state for state in get_args(FeedState) if state != "online")


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([row["id"], row["edge"]])).decode()


def _position(cursor: str) -> tuple[str, str]:
    try:
        name, edge = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as exc:
        raise PayloadError("bad_cursor", "give `next` of the page before, unchanged") from exc
    return name, edge


@asynccontextmanager
async def open_registry(url: str) -> AsyncIterator[Registry]:
    """Open a registry that has its database for itself; see `open_database`.

    Raises:
        ConfigError: The database was written by a newer collector.
        Unavailable: The database does not answer.
    """
    async with open_database(url) as database:
        yield Registry(database)
