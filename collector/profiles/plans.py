"""The plan of each edge: made anew when something changed, sealed, its serial only growing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select, update

from collector.profiles.assignment import assign
from collector.profiles.audit import revision
from collector.profiles.state import Row, State, open_tasks, read_state
from collector.profiles.tables import plans
from collector.registry.database import Database
from device_profiles.plan import MAX_TASKS, Entry, Plan, Task, Withdrawn, seal_plan
from device_profiles.signing import Signer
from gateway_core.clock import Clock
from gateway_core.errors import GatewayError

_NS_IN_MS = 1_000_000
_ASKED_EVERY_NS = 60_000_000_000
_MOST_WITHDRAWN = 10_000


class TooManyEdges(GatewayError):
    """As many edges as are allowed have a plan already."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A plan as it is sent.

    Attributes:
        data: The sealed bytes.
        etag: Changes when the plan does.
    """

    data: bytes
    etag: str


class Plans:
    """Plans of all edges.

    Args:
        database: The registry's.
        signer: The registry's key.
        clock: The wall clock.
        most: Edges that may have a plan.
    """

    def __init__(self, database: Database, signer: Signer, clock: Clock, most: int) -> None:
        self._database = database
        self._signer = signer
        self._clock = clock
        self._most = most
        self._state: State | None = None
        self._fresh: dict[str, tuple[int, int, Sealed]] = {}

    async def of(self, edge: str) -> Sealed:
        """Return the plan of an edge, which is known from now on.

        Raises:
            TooManyEdges: It is one too many.
            Unavailable: The database does not answer.
        """
        now = self._clock()
        known = await self._database.ask(revision)
        held = self._fresh.get(edge)
        if held is not None and held[0] == known and now - held[1] < _ASKED_EVERY_NS:
            return held[2]
        sealed = await self._database.change(lambda db: self._make(db, edge, now))
        assert self._state is not None
        self._fresh[edge] = (self._state.revision, now, sealed)
        return sealed

    async def known(self) -> list[Row]:
        """Return every edge that ever asked for a plan, with its serial and when it asked."""
        query = select(plans.c.edge, plans.c.serial, plans.c.asked).order_by(plans.c.edge)
        return await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])

    def _make(self, db: Connection, edge: str, now: int) -> Sealed:
        """Return the plan as the database says it is, stored if it is another than before."""
        if self._state is None or self._state.revision != revision(db):
            self._state = read_state(db)
        plan = self._plan(self._state, edge, open_tasks(db, edge, now))
        content = hashlib.sha256(msgspec.msgpack.encode(plan)).hexdigest()
        row = db.execute(select(plans).where(plans.c.edge == edge)).mappings().first()
        if row is not None and row["content"] == content:
            db.execute(update(plans).where(plans.c.edge == edge).values(asked=now))
            return Sealed(row["sealed"], f'"{row["serial"]}"')
        if row is None and len(db.execute(select(plans.c.edge)).all()) >= self._most:
            raise TooManyEdges(f"{self._most} edges have a plan already")
        # by the clock, so that a registry from an old backup does not count up again from there
        serial = max(now // _NS_IN_MS, row["serial"] + 1 if row else 1)
        data = seal_plan(msgspec.structs.replace(plan, serial=serial, issued_ns=now), self._signer)
        made = {"edge": edge, "serial": serial, "content": content, "sealed": data, "asked": now}
        statement = self._database.insert(plans).values(made)
        db.execute(statement.on_conflict_do_update(index_elements=["edge"], set_=made))
        return Sealed(data, f'"{serial}"')

    def _plan(self, state: State, edge: str, todo: list[Row]) -> Plan:
        gone = [row for row in state.versions.values() if row["state"] == "withdrawn"]
        return Plan(
            registry=self._signer.public.id,
            edge=edge,
            serial=0,
            issued_ns=0,
            entries=tuple(_entries(state, edge)),
            withdrawn=tuple(
                Withdrawn(row["profile"], row["version"], row["sha256"], row["reason"][:2000])
                for row in gone[-_MOST_WITHDRAWN:]
            ),
            tasks=tuple(_tasks(state, todo)),
        )


def _entries(state: State, edge: str) -> Iterator[Entry]:
    for profile, one in assign(edge, state.rollouts, state.pins, state.usable).items():
        if one.active is not None:
            yield _entry(state.versions[profile, one.active], "active")
        if one.shadow is not None:
            yield _entry(state.versions[profile, one.shadow], "shadow")


def _entry(row: Row, role: str) -> Entry:
    return Entry(
        row["profile"],
        row["version"],
        row["sha256"],
        row["size"],
        role,  # type: ignore[arg-type]  # active or shadow, as above
        row["public_key"],
        row["signature"],
    )


def _tasks(state: State, todo: list[Row]) -> Iterator[Task]:
    for task in todo[:MAX_TASKS]:
        row = state.versions.get((task["profile"], task["version"]))
        if row is None or row["state"] in ("withdrawn", "rejected"):
            continue
        yield Task(
            task["id"],
            "backtest",
            row["profile"],
            row["version"],
            row["sha256"],
            row["size"],
            task["since"],
            task["most"],
            row["public_key"],
            row["signature"],
        )
