"""Which version of a profile decoded a point: answered from the moments at which edges changed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from collector.registry.database import Database
from collector.registry.tables import uses

Row = dict[str, Any]


class Lineage:
    """The uses of versions that edges recorded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, profile: str, edge: str | None = None, limit: int = 1000) -> list[Row]:
        """Return when edges began with which version, newest first."""
        query = select(uses).where(uses.c.profile == profile)
        if edge is not None:
            query = query.where(uses.c.edge == edge)
        query = query.order_by(uses.c.time.desc(), uses.c.seq.desc()).limit(limit)
        return await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])

    async def at(self, edge: str, profile: str, seq: int, epoch: str | None = None) -> Row | None:
        """Return the use that holds for a record of an edge; None: it is not known.

        Args:
            edge: The edge.
            profile: ``vendor/model``.
            seq: The record's sequence number in the edge's spool.
            epoch: Of that spool; None: the newest one.
        """
        found = await self.of(profile, edge)
        if epoch is None and found:
            epoch = found[0]["epoch"]
        before = [row for row in found if row["epoch"] == epoch and row["seq"] < seq]
        return max(before, key=lambda row: row["seq"], default=None)

    async def when(self, edge: str, profile: str, received: int) -> Row | None:
        """Return the use that held when an edge received something (nanoseconds since 1970).

        What was refused and decoded later by a mended version keeps the time at which it came: for
        that only the sequence number tells the truth.
        """
        found = await self.of(profile, edge)
        return next((row for row in found if row["time"] <= received), None)
