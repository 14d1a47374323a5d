"""Roll-outs, pins and backtests: what people ask for, and what moves on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from collector.profiles.assignment import GOING, Rollout, Stage
from collector.profiles.audit import note
from collector.profiles.stages import Progress, next_stage
from collector.profiles.state import TASK_NS, as_rollout, open_tasks, read_state
from collector.profiles.tables import pins, plans, reports, rollouts, tasks
from collector.profiles.versions import USABLE, Clash
from collector.registry.database import Database
from device_profiles.plan import MAX_TASKS, Report
from gateway_core.clock import Clock

Row = dict[str, Any]

ITSELF = "tidegate"
"""Who moves a roll-out on when no person does."""
NOBODY = "none"
"""Given as canary: go to all edges at once."""
_MOST_REPORTS = 2000
_IMPORTANT = ("applied", "failed", "running", "shadow")


@dataclass(frozen=True, slots=True)
class Wish:
    """A roll-out as a person wants it.

    Attributes:
        profile: ``vendor/model``.
        version: A published one.
        canary: Edge that goes first; empty: the first that is known; ``none``: no canary.
        edges: For which; empty: every edge, later ones too.
        shadow_ns: How long it only compares before.
        hold_ns: How long a stage is watched.
        actor: Who wants it.
    """

    profile: str
    version: str
    canary: str
    edges: tuple[str, ...]
    shadow_ns: int
    hold_ns: int
    actor: str


class Rollouts:
    """Every roll-out."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def start(self, wish: Wish) -> Row:
        """Begin a roll-out; plans change with it.

        Raises:
            Clash: No such published version or edge, or another roll-out of it is going on.
        """
        return await self._database.change(lambda db: self._start(db, wish))

    async def roll_back(
        self, profile: str, actor: str, reason: str, version: str | None = None
    ) -> Row:
        """Take back the newest roll-out that counts: what was before it comes back.

        Args:
            profile: ``vendor/model``.
            actor: Who wants it.
            reason: Why.
            version: Only if it is of this one: it may have gone back by itself meanwhile.

        Raises:
            Clash: There is none, or it is of another version.
        """

        def work(db: Connection) -> Row:
            row = _newest(db, profile, (*GOING, "done"))
            if row is None:
                raise Clash(f"no roll-out of {profile} counts; there is nothing to take back")
            if version not in {None, row["version"]}:
                counts = f"the newest roll-out that counts is of {row['version']}"
                raise Clash(f"{counts}, not {version}; nothing was taken back")
            stage: Stage = "stopped" if row["stage"] == "shadow" else "rolled_back"
            self._move(db, row, stage, actor, reason or "asked for")
            return row | {"stage": stage}

        return await self._database.change(work)

    async def pin(self, profile: str, edge: str, version: str | None, actor: str) -> None:
        """Hold an edge (empty: all) at a version whatever is rolled out; None: let it go.

        Raises:
            Clash: No such published version.
        """

        def work(db: Connection) -> None:
            db.execute(delete(pins).where(pins.c.profile == profile, pins.c.edge == edge))
            if version is not None:
                if (profile, version) not in read_state(db).usable:
                    raise Clash(f"{profile} {version} is not published; nothing was pinned")
                row: Row = {"profile": profile, "edge": edge, "version": version}
                db.execute(insert(pins), [row | {"time": self._clock(), "actor": actor}])
            action = "unpin" if version is None else "pin"
            note(db, self._clock(), actor, action, profile, version or "", edge or "all edges")

        await self._database.change(work)

    async def pins_of(self, profile: str) -> list[Row]:
        """Return the pins of a profile."""
        query = select(pins).where(pins.c.profile == profile).order_by(pins.c.edge)
        return await self._database.ask(lambda db: _rows(db, query))

    async def backtest(
        self,
        task: str,
        profile: str,
        version: str,
        edges: Sequence[str],
        since: int,
        most: int,
        actor: str,
    ) -> list[str]:
        """Ask edges to decode what they kept with a version; return which were asked.

        Args:
            task: A new id.
            profile: ``vendor/model``.
            version: Any that was not rejected or withdrawn, one that waits for a person too.
            edges: Whom; empty: every known one.
            since: Oldest receive time, nanoseconds since 1970.
            most: Payloads of one edge.
            actor: Who asks.

        Raises:
            Clash: No such version or edge, or an edge has too much to do already.
        """

        def work(db: Connection) -> list[str]:
            row = read_state(db).versions.get((profile, version))
            if row is None or row["state"] not in (*USABLE, "pending"):
                raise Clash(f"there is no {profile} {version} that could be tried")
            chosen = list(edges) or sorted(_known(db))
            if not chosen:
                raise Clash("no edge has asked for a plan yet, so none can try it; start one first")
            _refuse_strangers(chosen, _known(db))
            now = self._clock()
            for edge in chosen:
                if len(open_tasks(db, edge, now)) >= MAX_TASKS:
                    raise Clash(f"edge {edge} has {MAX_TASKS} tasks to do already; wait for them")
            about: Row = {"id": task, "profile": profile, "version": version, "since": since}
            about |= {"most": most, "created": now, "actor": actor, "done": None}
            db.execute(insert(tasks), [about | {"edge": edge} for edge in chosen])
            db.execute(delete(tasks).where(tasks.c.created < now - 4 * TASK_NS))
            note(db, now, actor, "backtest", profile, version, f"{task}: {', '.join(chosen)}")
            return chosen

        return await self._database.change(work)

    async def of(self, profile: str, limit: int = 50) -> list[Row]:
        """Return the roll-outs of a profile, newest first."""
        query = select(rollouts).where(rollouts.c.profile == profile)
        query = query.order_by(rollouts.c.number.desc()).limit(limit)
        return await self._database.ask(lambda db: _rows(db, query))

    async def drop(self, profile: str, version: str, actor: str, reason: str) -> None:
        """End every roll-out of a version that was withdrawn."""

        def work(db: Connection) -> None:
            query = select(rollouts).where(rollouts.c.stage.in_(GOING))
            query = query.where(rollouts.c.profile == profile, rollouts.c.version == version)
            for row in _rows(db, query):
                stage: Stage = "stopped" if row["stage"] == "shadow" else "rolled_back"
                self._move(db, row, stage, actor, f"withdrawn: {reason}")

        await self._database.change(work)

    async def go_on(self) -> list[Row]:
        """Move on, or stop, every roll-out that is due; return those that changed.

        Raises:
            Unavailable: The database does not answer; nothing was changed.
        """
        query = select(rollouts).where(rollouts.c.stage.in_(GOING))
        if not await self._database.ask(lambda db: _rows(db, query)):
            return []
        return await self._database.change(
            lambda db: [row for each in _rows(db, query) if (row := self._go_on(db, each))]
        )

    def _start(self, db: Connection, wish: Wish) -> Row:
        state = read_state(db)
        there = state.versions.get((wish.profile, wish.version))
        if there is None or there["state"] != "published":
            how = "is not there" if there is None else f"is {there['state']}"
            raise Clash(f"{wish.profile} {wish.version} {how}; only a published one is rolled out")
        going = _newest(db, wish.profile, GOING)
        if going is not None:
            raise Clash(
                f"the roll-out of {wish.profile} {going['version']} is at {going['stage']}; "
                "wait until it is done, or roll it back first"
            )
        known = _known(db)
        canary = _canary(wish, known)
        _refuse_strangers([*wish.edges, *canary], known)
        stage: Stage = "shadow" if wish.shadow_ns else "canary" if canary else "rest"
        now = self._clock()
        row: Row = {"profile": wish.profile, "version": wish.version, "stage": stage}
        row |= {"everywhere": not wish.edges, "edges": sorted(wish.edges), "canary": canary}
        row |= {"shadow_ns": wish.shadow_ns, "hold_ns": wish.hold_ns, "started": now, "since": now}
        row |= {"actor": wish.actor, "reason": "", "step": 1}
        number = db.execute(insert(rollouts).values(row)).inserted_primary_key
        note(db, now, wish.actor, "rollout", wish.profile, wish.version, f"begins with {stage}")
        return row | {"number": number[0] if number else 0}

    def _go_on(self, db: Connection, row: Row) -> Row | None:
        now = self._clock()
        rollout = as_rollout(row)
        pinned = {
            (edge, version)
            for edge, version in db.execute(
                select(pins.c.edge, pins.c.version).where(pins.c.profile == rollout.profile)
            )
            if version != rollout.version
        }
        held = {edge for edge, _ in pinned}
        known = {e for e in _known(db) if rollout.covers(e) and e not in held and "" not in held}
        progress = Progress(
            rollout.stage,
            row["since"],
            row["shadow_ns"],
            row["hold_ns"],
            rollout.canary - held,
            frozenset(known - rollout.canary),
        )
        move = next_stage(progress, _said(db, rollout, row["started"]), now)
        if move is None:
            return None
        stage = "rest" if move.stage == "canary" and not rollout.canary else move.stage
        return row | {"stage": stage} if self._move(db, row, stage, ITSELF, move.reason) else None

    def _move(self, db: Connection, row: Row, stage: Stage, actor: str, reason: str) -> bool:
        """Change the stage unless another collector was faster."""
        where = (rollouts.c.number == row["number"], rollouts.c.step == row["step"])
        change: Row = {"stage": stage, "since": self._clock(), "step": row["step"] + 1}
        change["reason"] = reason[:4000]
        if db.execute(update(rollouts).where(*where).values(**change)).rowcount != 1:
            return False
        detail = f"{row['stage']} -> {stage}: {reason}"
        note(db, self._clock(), actor, stage, row["profile"], row["version"], detail)
        return True


def _said(db: Connection, rollout: Rollout, started: int) -> list[tuple[int, Report]]:
    """Return what counts for a roll-out: reports of its version that came since it began.

    An edge that used this version before says so no more: its last report counts as one.
    """
    query = select(reports.c.received, reports.c.said, reports.c.version, reports.c.edge)
    query = query.where(
        reports.c.profile == rollout.profile, reports.c.kind.in_(_IMPORTANT)
    ).order_by(reports.c.received.desc())
    found: list[tuple[int, Report]] = []
    newest: set[str] = set()
    for received, said, version, edge in db.execute(query.limit(_MOST_REPORTS)):
        report = msgspec.convert(said, Report)
        uses = report.kind in ("applied", "running")
        if version == rollout.version and (received >= started or (uses and edge not in newest)):
            if received < started:
                report = msgspec.structs.replace(report, kind="applied")
            found.append((max(received, started), report))
        if uses:
            newest.add(edge)
    return found


def _canary(wish: Wish, known: set[str]) -> list[str]:
    if wish.canary == NOBODY:
        return []
    if wish.canary:
        return [wish.canary]
    return sorted(known.intersection(wish.edges) if wish.edges else known)[:1]


def _known(db: Connection) -> set[str]:
    return set(db.execute(select(plans.c.edge)).scalars())


def _refuse_strangers(edges: Sequence[str], known: set[str]) -> None:
    strangers = sorted(set(edges) - known)
    if strangers:
        raise Clash(
            f"edge {strangers[0]} never asked for a plan; these did: "
            f"{', '.join(sorted(known)[:20]) or 'none yet'}"
        )


def _newest(db: Connection, profile: str, stages: Sequence[str]) -> Row | None:
    query = select(rollouts).where(rollouts.c.profile == profile, rollouts.c.stage.in_(stages))
    return next(iter(_rows(db, query.order_by(rollouts.c.number.desc()).limit(1))), None)


def _rows(db: Connection, query: Any) -> list[Row]:
    return [dict(row) for row in db.execute(query).mappings()]
