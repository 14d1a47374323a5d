"""kill -9, at random moments drawn from a seed, of edge, collector and broker, round after round.

In a round the fleet speaks while programs are killed, also while they are starting. At its end it
holds still, everything drains, and the oracle compares the round's truth file with what a query of
the collector returns. A broker keeps in memory what it took and has not forwarded, whatever it
acknowledged (mosquitto 2 saves every half hour): before it is killed, the fleet holds still and
what was said last has reached the edge, so that what is proven is ours: the road behind it, and
that an edge which meets a broker that forgot everything subscribes anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.sensors.truth import TruthFile, Verdict
from tests.e2e.city import City, Program, http, wait_for
from tests.faults.fleet import SENTINEL, Fleet, truth_file
from tests.faults.nursery import Nursery
from tidegate.simulate.judgement import judge_truth
from tidegate.simulate.store import Store

CYCLES_A_ROUND = 25
DRAIN_S = 180.0
STARTING_S = 0.4
"""So soon after a start a program is still starting; half of the kills come within it."""
START_S = 300.0
"""A machine that does much else beside this takes its time."""


@dataclass
class Table:
    """What was done, and what became of what was promised."""

    seed: int
    rate: float
    kills: Counter[str] = field(default_factory=Counter)
    starting: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    disordered: int = 0
    residual: int = 0
    examples: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def cycles(self) -> int:
        """How many cycles of kill and start there were."""
        return self.kills.total()

    @property
    def amiss(self) -> int:
        """0 when every promise was kept."""
        return self.lost + self.duplicated + self.disordered + abs(self.residual)

    def add(self, verdict: Verdict, residual: int) -> None:
        """Enter one round."""
        self.rounds += 1
        self.acknowledged += verdict.acknowledged
        self.lost += verdict.lost
        self.duplicated += verdict.duplicated
        self.disordered += verdict.disordered
        self.residual += residual
        self.examples += verdict.examples

    def __str__(self) -> str:
        """Return the table that people read."""
        lines = [f"seed {self.seed}, {self.rate:g} messages/s, {self.cycles} cycles of kill -9", ""]
        lines += [f"{'killed':<18}{'times':>8}{'while starting':>17}"]
        lines += [
            f"{who:<18}{n:>8}{self.starting[who]:>17}" for who, n in sorted(self.kills.items())
        ]
        took = time.monotonic() - self.began
        lines += ["", f"acknowledged {self.acknowledged} in {self.rounds} rounds, {took:.0f} s"]
        lines += [f"lost {self.lost}  duplicated {self.duplicated}  out of order {self.disordered}"]
        lines += [f"residual {self.residual}", *(f"for example: {each}" for each in self.examples)]
        return "\n".join(lines)


class KillLab:
    """A city whose programs are killed.

    Args:
        city: Not started yet.
        seed: The same seed draws the same victims and moments.
        rate: Messages a second.
        devices: That speak in turn.
        longest_s: Longest time between kills.
    """

    def __init__(
        self, city: City, seed: int, rate: float = 1000, devices: int = 400, longest_s: float = 1.2
    ) -> None:
        self.table = Table(seed, rate)
        self._city = city
        self._dice = random.Random(seed)
        self._longest_s = longest_s
        self._fleet = Fleet(f"mqtt://{city.at(city.mqtt_port)}", rate, devices)
        self._broker = city.broker()
        self._centre = city.centre()
        self._edge = city.edge()
        for each in (self._broker, self._centre, self._edge):
            each.deadline_s = START_S
        self._nursery = Nursery()
        for each in (self._centre, self._edge):
            each.launch = self._nursery.launch

    async def run(self, cycles: int, told: Callable[[str], None] = lambda _: None) -> Table:
        """Kill that often; return what was found."""
        try:
            return await self._run(cycles, told)
        finally:
            for each in (self._edge, self._centre):
                await asyncio.to_thread(each.stop)
            await asyncio.to_thread(self._nursery.close)

    async def _run(self, cycles: int, told: Callable[[str], None]) -> Table:
        for each in (self._broker, self._centre, self._edge):
            await asyncio.to_thread(each.start)
        await asyncio.to_thread(self._city.wait_connected)
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(self._fleet.run())
            while self.table.cycles < cycles and not self.table.amiss:
                await self._round(min(CYCLES_A_ROUND, cycles - self.table.cycles))
                told(f"{self.table.cycles}/{cycles}: {self.table.acknowledged} acknowledged")
            speaking.cancel()
        return self.table

    async def _round(self, cycles: int) -> None:
        path = truth_file(self._city.folder, self.table.rounds)
        with TruthFile(path) as truth:
            self._fleet.go_on(truth)
            for _ in range(cycles):
                longest_s = self._dice.choice((STARTING_S, self._longest_s))
                await asyncio.sleep(self._dice.uniform(0.0, longest_s))
                await self._cycle()
            for each in (self._edge, self._centre):
                await asyncio.to_thread(each.wait_ready)
            await self._fleet.hold()
        with contextlib.suppress(AssertionError):  # the verdict says more than "did not come"
            await asyncio.to_thread(wait_for, "everything", self._drained, DRAIN_S)
        status = await asyncio.to_thread(self._city.edge_status)
        verdict = await judge_truth(Store(self._city.api), [path], "env")
        self.table.add(verdict, int(status["residual"]))

    async def _cycle(self) -> None:
        """Kill one or two programs and start them again."""
        chosen = self._dice.choices(("edge", "collector", "both", "broker"), (9, 5, 2, 4))[0]
        waits = self._dice.random() < 0.5
        self.table.kills[chosen] += 1
        if chosen == "broker":
            await self._kill_broker()
            return
        victims = {"edge": [self._edge], "collector": [self._centre]}.get(
            chosen, [self._edge, self._centre]
        )
        if not await asyncio.to_thread(lambda: all(each.ready() for each in victims)):
            self.table.starting[chosen] += 1
        for each in victims:
            await asyncio.to_thread(each.kill)
        for each in victims:
            await asyncio.to_thread(each.start, wait=waits)

    async def _kill_broker(self) -> None:
        await asyncio.to_thread(self._edge.wait_ready)
        await self._fleet.hold()
        await asyncio.to_thread(wait_for, "the edge to have heard it all", self._heard)
        await asyncio.to_thread(self._broker.kill)
        await asyncio.to_thread(self._broker.start)
        await asyncio.to_thread(self._city.wait_connected)
        self._fleet.go_on()

    def _heard(self) -> bool:
        """Whether the sentinel's last word is on site: what was said before it is, too."""
        asked = {"measurement": "env", "where": {"device": [SENTINEL]}, "start": "-1d"}
        found = http("POST", f"{self._city.admin}/query", asked | {"stop": "+1d", "limit": 100_000})
        return len(found["rows"]) >= self._fleet.sentinels

    def _drained(self) -> bool:
        said = {"measurement": "env", "where": {"device": [SENTINEL]}, "fields": ["seq"]}
        found = self._city.query(**said, start="-1d", stop="+1d", limit=100_000)
        there = len(found["rows"]) >= self._fleet.sentinels
        return there and self._city.settled() and self._city.edge_status()["residual"] == 0


async def torment(program: Program, times: int, rng: random.Random, longest_s: float) -> None:
    """Kill and start again; half of the kills hit a program that is still starting."""
    for _ in range(times):
        await asyncio.sleep(rng.uniform(0, longest_s))
        await asyncio.to_thread(program.kill)
        await asyncio.to_thread(program.start, wait=rng.random() < 0.5)
