"""What edges said about versions: kept once each, the newest of each edge."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from collector.profiles.audit import note
from collector.profiles.tables import reports, tasks
from collector.registry.database import Database
from device_profiles.plan import Report
from gateway_core.clock import Clock

Row = dict[str, Any]

MOST_KEPT = 1000
"""Reports of one edge; the oldest go first."""
_PRUNE_EVERY = 50
"""Reports of one edge between two looks at how many there are."""


class Reports:
    """Reports of all edges."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._taken = 0

    async def take(self, report: Report) -> bool:
        """Store a report; False: it was here before.

        Raises:
            Unavailable: The database does not answer; nothing was stored.
        """
        self._taken += 1
        prune = self._taken % _PRUNE_EVERY == 0
        return await self._database.change(lambda db: self._take(db, report, prune=prune))

    async def of(
        self, profile: str, *, kind: str | None = None, task: str | None = None, limit: int = 100
    ) -> list[Row]:
        """Return reports about a profile, newest first."""
        query = select(reports).where(reports.c.profile == profile)
        if kind is not None:
            query = query.where(reports.c.kind == kind)
        if task is not None:
            query = query.where(reports.c.task == task)
        query = query.order_by(reports.c.received.desc(), reports.c.id).limit(limit)
        return await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])

    async def task(self, task: str) -> list[Row]:
        """Return a task's row for every edge it is for."""
        query = select(tasks).where(tasks.c.id == task).order_by(tasks.c.edge)
        return await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])

    def _take(self, db: Connection, report: Report, *, prune: bool) -> bool:
        now = self._clock()
        row: Row = {"edge": report.edge, "id": report.id, "kind": report.kind, "task": report.task}
        row |= {"profile": report.profile, "version": report.version, "sha256": report.sha256}
        row |= {"time": report.time_ns, "received": now, "said": msgspec.to_builtins(report)}
        statement = self._database.insert(reports).on_conflict_do_nothing()
        fresh = db.execute(statement.returning(reports.c.id), [row]).scalars().all()
        if not fresh:
            return False
        if report.task:
            where = (tasks.c.id == report.task, tasks.c.edge == report.edge, tasks.c.done.is_(None))
            if db.execute(update(tasks).where(*where).values(done=now)).rowcount:
                detail = f"{report.task} of {report.edge}"
                note(db, now, report.edge, "tested", report.profile, report.version, detail)
        if prune:
            _prune(db, report.edge)
        return True


def _prune(db: Connection, edge: str) -> None:
    query = select(reports.c.received).where(reports.c.edge == edge)
    query = query.order_by(reports.c.received.desc()).offset(MOST_KEPT).limit(1)
    last = db.execute(query).scalar()
    if last is not None:
        db.execute(delete(reports).where(reports.c.edge == edge, reports.c.received <= last))
