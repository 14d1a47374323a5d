"""The counts and times of feeds in the database: entered with each batch, read for the figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, Select, Table, case, delete, func, literal, select
from sqlalchemy import update as change

from collector.registry import tables
from collector.registry.condition import BELIEVED_MS, DAY_MS, KEPT_DAYS, condition
from collector.registry.database import Database
from collector.registry.tally import NS_PER_MS, Tally, cells

_CHUNK = 5000
Held = tuple[int, str, str, str, int]
"""Day, key, edge, condition and amount."""


def enter(db: Connection, database: Database, tally: Tally) -> None:
    """Add a batch's sums to the tables, in the transaction that changes the feeds."""
    counts = [
        dict(zip(_CELL, cell, strict=True), feeds=n)
        for cell, n in sorted(tally.counts.items())
        if n
    ]
    times = [
        dict(zip(_CELL, cell, strict=True), day=day, ms=ms)
        for (day, cell), ms in sorted(tally.times.items())
    ]
    _add(db, database, tables.feed_counts, "feeds", counts)
    _add(db, database, tables.feed_days, "ms", times)


def catch_up(db: Connection, database: Database) -> int:
    """Tally the feeds that an older program kept; return how many there were."""
    t, done = tables.feeds, 0
    query = select(t).where(t.c.condition == "").limit(_CHUNK)
    while rows := db.execute(query).mappings().all():
        tally = Tally()
        for row in rows:
            held = condition(row["state"], row["faults"] or ())
            tally.counts.update(cells(dict(row), held))
            db.execute(
                change(t)
                .where(t.c.edge == row["edge"], t.c.id == row["id"])
                .values(condition=held, counted=row["judged"], first_seen=row["judged"])
            )
        enter(db, database, tally)
        done += len(rows)
    return done


def prune(db: Connection, today: int) -> None:
    """Let the days go that are older than `KEPT_DAYS`, and the cells that no feed is in."""
    days, counts = tables.feed_days, tables.feed_counts
    db.execute(delete(days).where(days.c.day < today - KEPT_DAYS))
    db.execute(delete(counts).where(counts.c.feeds == 0))


def counted(db: Connection, by: str) -> list[Held]:
    """Return every cell of a dimension that feeds are in, and how many; the day is 0."""
    t = tables.feed_counts
    query = select(literal(0), t.c.key, t.c.edge, t.c.condition, t.c.feeds)
    return _held(db, query.where(t.c.by == by, t.c.feeds != 0))


def timed(db: Connection, by: str, days: Collection[int], now_ms: int, shift_ms: int) -> list[Held]:
    """Return every cell of a dimension and its milliseconds, day by day.

    A feed's time is in up to its last verdict; one that was silent for longer than `BELIEVED_MS`
    is in up to ``now_ms``: as its verdict said for so long, and unknown from there on.
    """
    first, last = min(days), max(days)
    t = tables.feed_days
    query = select(t.c.day, t.c.key, t.c.edge, t.c.condition, t.c.ms)
    query = query.where(t.c.by == by, t.c.day.between(first, last))
    found = _held(db, query)
    for day in range(first, last + 1):
        begin = day * DAY_MS - shift_ms
        end = min(begin + DAY_MS, now_ms)
        found += _silent(db, by, day, begin, end, now_ms)
    return found


def _held(db: Connection, query: Select[Any]) -> list[Held]:
    return [(day, key, edge, held, n) for day, key, edge, held, n in db.execute(query)]


def _silent(db: Connection, by: str, day: int, begin: int, end: int, now_ms: int) -> Iterator[Held]:
    """Yield what silent feeds add to one day, summed in the database."""
    t = tables.feeds
    since = t.c.counted // NS_PER_MS
    stop = since + BELIEVED_MS
    held = _between(since, stop, begin, end)
    lost = _between(stop, literal(end), begin, end)
    key = t.c[by]
    query = (
        select(key, t.c.edge, t.c.condition, func.sum(held), func.sum(lost))
        .where(t.c.counted < min(end, now_ms - BELIEVED_MS) * NS_PER_MS)
        .group_by(key, t.c.edge, t.c.condition)
    )
    for name, edge, state, held_ms, lost_ms in db.execute(query):
        found = Counter({state: int(held_ms)})
        found["unknown"] += int(lost_ms)
        for each, ms in found.items():
            if ms:
                yield day, name, edge, each, ms


def _between(start: Any, stop: Any, begin: int, end: int) -> Any:
    """Return how much of [start, stop) lies in [begin, end)."""
    low = case((start < begin, begin), else_=start)
    high = case((stop > end, end), else_=stop)
    return case((high > low, high - low), else_=0)


def _add(
    db: Connection, database: Database, table: Table, amount: str, rows: list[dict[str, Any]]
) -> None:
    if not rows:
        return
    statement = database.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[c.name for c in table.primary_key.columns],
        set_={amount: table.c[amount] + statement.excluded[amount]},
    )
    db.execute(statement, rows)


_CELL = ("by", "key", "edge", "condition")
