"""The centre's plan of feeds: which should exist, whose they are, and at which edge.

A planned feed that no edge ever listed or judged is in the registry as unknown. What the plan says
of a feed stands against what its edge lists; what it leaves open the edge fills in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, select, tuple_
from sqlalchemy import update as change

from collector.registry import tables
from collector.registry.changes import BLANK_FEED
from collector.registry.database import Database
from collector.registry.tallies import enter
from collector.registry.tally import Tally, cells

Key = tuple[str, str]
"""Edge and feed id."""
_CHUNK = 400
_SAID = ("name", "owner", "area", "group", "gb_code")


@dataclass(frozen=True, slots=True)
class PlannedFeed:
    """One feed as planned; what is empty is left open."""

    edge: str
    id: str
    name: str = ""
    owner: str = ""
    area: str = ""
    group: str = ""
    gb_code: str = ""

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.edge, self.id


@dataclass(frozen=True, slots=True)
class PlanChange:
    """What a new plan does to the one before; each feed is in one of the four.

    Attributes:
        new: Not planned before.
        changed: Planned, with something else said of them.
        same: Planned just so.
        gone: Planned before at an edge that the new plan names, and not in it.
    """

    new: tuple[PlannedFeed, ...]
    changed: tuple[PlannedFeed, ...]
    same: int
    gone: tuple[Key, ...]


class FeedPlan:
    """The plan in a registry's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(self, plan: Sequence[PlannedFeed], *, forget: bool = True) -> PlanChange:
        """Return what `apply` would do.

        Raises:
            Unavailable: The database does not answer.
        """
        return await self._database.ask(lambda db: _compare(db, plan, forget=forget))

    async def apply(
        self, plan: Sequence[PlannedFeed], now: int, *, forget: bool = True
    ) -> PlanChange:
        """Put ``plan`` in the place of what was planned at the edges it names; one transaction.

        A feed that is gone from the plan stays in the registry when it was ever seen.

        Args:
            plan: Each feed once.
            now: Nanoseconds since 1970.
            forget: False: the plan may lack some; what it does not name stays planned.

        Raises:
            Unfit: The database can never hold one of them; nothing was changed.
            Unavailable: The database does not answer; nothing was changed.
        """
        return await self._database.change(lambda db: self._apply(db, plan, now, forget=forget))

    def _apply(
        self, db: Connection, plan: Sequence[PlannedFeed], now: int, *, forget: bool
    ) -> PlanChange:
        changes, t = _compare(db, plan, forget=forget), tables.feeds
        touched = [*changes.new, *changes.changed]
        rows = _load(db, [each.key for each in touched])
        before = {key: tuple(cells(row, row["condition"])) for key, row in rows.items()}
        for each in touched:
            row = rows.setdefault(
                each.key, BLANK_FEED | {"edge": each.edge, "id": each.id, "counted": now}
            )
            row["planned"] = row["planned"] or now
            row |= {name: getattr(each, name) for name in _SAID if getattr(each, name)}
        tally = Tally()
        tally.compare(before, rows)
        if rows:
            statement = self._database.insert(t)
            values = {name: statement.excluded[name] for name in (*_SAID, "planned")}
            statement = statement.on_conflict_do_update(index_elements=["edge", "id"], set_=values)
            db.execute(statement, [rows[key] for key in sorted(rows)])
        self._forget(db, changes.gone, tally)
        enter(db, self._database, tally)
        return changes

    def _forget(self, db: Connection, gone: Sequence[Key], tally: Tally) -> None:
        t = tables.feeds
        rows = _load(db, gone)
        for row in rows.values():
            if row["first_seen"] is None:
                tally.counts.subtract(cells(row, row["condition"]))
        for start in range(0, len(gone), _CHUNK):
            some = tuple_(t.c.edge, t.c.id).in_(gone[start : start + _CHUNK])
            db.execute(delete(t).where(some, t.c.first_seen.is_(None)))
            db.execute(change(t).where(some).values(planned=None))


def _compare(db: Connection, plan: Sequence[PlannedFeed], *, forget: bool) -> PlanChange:
    t = tables.feeds
    edges = sorted({each.edge for each in plan})
    columns = [t.c[name] for name in ("edge", "id", *_SAID)]
    known: dict[Key, Mapping[str, Any]] = {}
    for start in range(0, len(edges), _CHUNK):
        query: Select[Any] = select(*columns).where(
            t.c.planned.is_not(None), t.c.edge.in_(edges[start : start + _CHUNK])
        )
        known |= {(row["edge"], row["id"]): row for row in db.execute(query).mappings()}
    new = tuple(each for each in plan if each.key not in known)
    changed = tuple(each for each in plan if each.key in known and _differs(each, known[each.key]))
    gone = known.keys() - {each.key for each in plan} if forget else set()
    return PlanChange(new, changed, len(plan) - len(new) - len(changed), tuple(sorted(gone)))


def _differs(planned: PlannedFeed, row: Mapping[str, Any]) -> bool:
    """Whether the plan says something that the registry does not; what is open is no change."""
    return any(getattr(planned, name) not in {"", row[name]} for name in _SAID)


def _load(db: Connection, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    """Return rows by key, locked where others might change them (SQLite needs no lock)."""
    t = tables.feeds
    found, keys = {}, sorted(keys)  # in one order everywhere: nobody locks crosswise
    for start in range(0, len(keys), _CHUNK):
        query = (
            select(t)
            .where(tuple_(t.c.edge, t.c.id).in_(keys[start : start + _CHUNK]))
            .order_by(t.c.edge, t.c.id)
            .with_for_update()
        )
        for row in db.execute(query).mappings():
            found[row["edge"], row["id"]] = dict(row)
    return found
