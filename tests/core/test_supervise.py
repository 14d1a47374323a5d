"""Promise: a part comes back after an outage, ever more patiently, and says so once."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from gateway_core.errors import Unavailable
from gateway_core.supervise import Failure, Patience, supervise


class Stop(Exception):
    """The test has seen enough."""


class Part:
    """Fails as often as it is told to, then stops the test."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        if self.runs > self.failures:
            raise Stop
        raise Unavailable("no route")


class NotedDice(random.Random):
    """Remembers between which bounds it was asked, and always answers the lower."""

    def __init__(self) -> None:
        super().__init__(0)
        self.ceilings: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.ceilings.append(b)
        return a


@pytest.mark.fault("F6")
async def test_the_ceiling_of_the_wait_doubles_up_to_the_longest():
    dice, part = NotedDice(), Part(failures=6)
    with pytest.raises(Stop):
        await supervise("uplink", part, Patience(first=1.0, longest=10.0), dice)
    assert dice.ceilings == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert part.runs == 7


async def test_an_outage_is_told_once():
    with capture_logs() as events, pytest.raises(Stop):
        await supervise("uplink", Part(failures=4), Patience(1.0, 10.0), NotedDice())
    assert [e["event"] for e in events if e["log_level"] == "warning"] == ["part_interrupted"]
    assert events[0] == {
        "event": "part_interrupted",
        "log_level": "warning",
        "part": "uplink",
        "why": "no route",
    }


async def test_a_run_that_outlives_the_longest_wait_begins_anew_and_is_told():
    dice, part = NotedDice(), Part(failures=5)
    longest = 0.02

    async def steady_third_run() -> None:
        if part.runs == 2:
            await asyncio.sleep(longest * 3)
        await part()

    with capture_logs() as events, pytest.raises(Stop):
        await supervise("uplink", steady_third_run, Patience(0.01, longest, steady=longest), dice)
    assert dice.ceilings[:4] == [0.01, 0.02, 0.01, 0.02]
    assert [e["event"] for e in events if e["log_level"] != "debug"] == [
        "part_interrupted",
        "part_recovered",
        "part_interrupted",
    ]


async def test_how_a_part_failed_is_there_until_it_has_run_for_long():
    failures: dict[str, Failure] = {}
    part = Part(failures=3)
    seen: list[list[tuple[str, str, int]]] = []

    async def steady_last_run() -> None:
        seen.append([(name, each.why, each.tries) for name, each in failures.items()])
        if part.runs == 3:
            await asyncio.sleep(0.06)
            seen.append([*failures])
        await part()

    patience = Patience(0.01, 0.01, steady=0.02)
    with pytest.raises(Stop):
        await supervise("uplink", steady_last_run, patience, NotedDice(), failures)
    assert seen == [
        [],
        [("uplink", "no route", 1)],
        [("uplink", "no route", 2)],
        [("uplink", "no route", 3)],
        [],
    ]


async def test_any_other_error_passes_through():
    async def broken() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        await supervise("uplink", broken)
