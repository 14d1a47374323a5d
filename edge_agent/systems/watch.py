"""The watch over all systems: each at its own pace, so many at once, our own outage told apart."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Literal

import aiohttp

from edge_agent.systems.inventory import System
from edge_agent.systems.probe import Outcome, new_session, probe
from edge_agent.systems.verdict import Verdict
from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.model import Alarm, Listed, Record, SystemHealth, SystemState

AT_ONCE = 64
MAX_OWED = 100
RULE = "system_down"
Store = Callable[[str, Sequence[Record]], Awaitable[None]]
"""Stores records of a source durably; raises `SpoolFull` when nothing was stored."""


class Watch:
    """Checks systems for ever and stores what is new about them.

    Args:
        edge: This edge's id.
        area: Area code for announcements.
        systems: What to watch.
        store: Where records go.
        clock: For the records' times.
        chance: Spreads the first checks over each system's period.
    """

    source = "systems"

    def __init__(
        self,
        edge: str,
        area: str,
        systems: Sequence[System],
        store: Store,
        clock: Clock = wall_ns,
        chance: random.Random | None = None,
    ) -> None:
        self._edge = edge
        self._area = area
        self._systems = systems
        self._store = store
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, is no secret
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._verdicts = {each.id: Verdict(edge, each.id, clock()) for each in systems}
        self._raised: set[str] = set()

    def states(self) -> dict[str, SystemState]:
        """Return the state of each system by id."""
        return {system: verdict.state for system, verdict in self._verdicts.items()}

    async def run(self) -> None:
        """Announce the systems, then check them until cancelled.

        Raises:
            Unavailable: The spool takes nothing; run again.
        """
        time = self._clock()
        listed = [
            Listed(self._edge, "system", each.id, time, each.name, area=self._area)
            for each in self._systems
        ]
        await self._store(self.source, listed)
        async with new_session() as session, asyncio.TaskGroup() as group:
            for system in self._systems:
                group.create_task(self._follow(system, session), name=f"system:{system.id}")

    async def _follow(self, system: System, session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(self._chance.uniform(0, min(system.every, 10.0)))
        owed: list[Record] = []
        while True:
            if len(owed) < MAX_OWED:
                async with self._turns:
                    outcome = await probe(system, session)
                owed += self.judge(system, outcome)
            if owed:
                with contextlib.suppress(Unavailable):  # the disk is full: they wait here
                    await self._store(self.source, owed)
                    owed = []
            await asyncio.sleep(system.every)

    def judge(self, system: System, outcome: Outcome) -> list[Record]:
        """Take one outcome in and return what is to be recorded."""
        if outcome.verdict == "silent" and self._cut_off(system):
            outcome = replace(outcome, verdict="blind", fault="own_network")
        health = self._verdicts[system.id].step(outcome, self._clock())
        if health is None:
            return []
        alarm = self._alarm(health)
        return [health] if alarm is None else [health, alarm]

    def _cut_off(self, system: System) -> bool:
        """Tell whether nothing answers anywhere: then the fault is more likely ours."""
        others = [
            self._verdicts[each.id].last
            for each in self._systems
            if each.address.host != system.address.host
        ]
        checked = [last for last in others if last is not None]
        return bool(checked) and all(last.verdict in {"silent", "blind"} for last in checked)

    def _alarm(self, health: SystemHealth) -> Alarm | None:
        down = health.state == "down"
        if down and health.system not in self._raised:
            self._raised.add(health.system)
        elif health.state in {"up", "degraded"} and health.system in self._raised:
            self._raised.discard(health.system)
        else:
            return None
        state: Literal["raised", "cleared"] = "raised" if down else "cleared"
        return Alarm(self._edge, health.system, "system", RULE, "major", state, health.time)
