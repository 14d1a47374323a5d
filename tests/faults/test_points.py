"""Ended at every named point of the road, edge and collector lose, double and overtake nothing.

Each start of a program ends at the next point, while a fleet speaks; then both run on, everything
drains, and the oracle compares what was acknowledged with what a query of the collector returns.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.sensors.truth import TruthFile
from tests.e2e.city import PYTHON, City, Program, http, reachable, tidegate, wait_for
from tests.faults.fleet import SENTINEL, Fleet, truth_file
from tests.faults.killed_at import ended_at
from tests.faults.nursery import Nursery
from tests.faults.points import CENTRE, EDGE, Point
from tidegate.simulate.judgement import judge_truth
from tidegate.simulate.store import Store

PATIENCE_S = 240.0
ROOT = Path(__file__).parents[2]


async def walk(city: City, program: Program, module: str, points: tuple[Point, ...]) -> None:
    """Start a program as often as there are points; each time it ends at the next one."""
    plain = program.command
    for point in points:
        program.command = [PYTHON, "-m", "tests.faults.killed_at", point.name, module, *plain[3:]]
        await asyncio.to_thread(program.start, wait=False)
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(ask(city, point))
            assert program.process is not None
            try:
                await asyncio.to_thread(program.process.wait, PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"it never came to {point.name}") from None
            asking.cancel()
        tail = program.log.read_text(errors="replace")[-2000:]
        assert tail.endswith(f"{ended_at(point)}\n"), f"{point.name}: it ended by itself:\n{tail}"
    program.command = plain
    await asyncio.to_thread(program.start)


async def ask(city: City, point: Point) -> None:
    """Ask, over and over, for what brings the program to the point."""
    while point.needs:
        await asyncio.sleep(0.3)
        try:
            await asyncio.to_thread(ASKED[point.needs], city)
        except OSError:
            continue  # nobody listens yet, or not any more


def ask_for_backup(city: City) -> None:
    if reachable(f"{city.api}/healthz"):
        centre = city.folder / "centre"
        (centre / "secret").write_text("a passphrase of some length\n")
        told = ["--passphrase-file", str(centre / "secret"), "--config"]
        told.append(str(centre / "collector.yaml"))
        tidegate("collector", "backup", str(centre / "b.tgbk"), *told)


def ask_for_refill(city: City) -> None:
    url = f"{city.api}/api/v1/edges/sim-edge-01/refill"
    if not [each for each in http("GET", url)["items"] if not each["ended"]]:
        http("POST", url, {"since": "-1h", "again": True})


def ask_for_pin(city: City) -> None:
    http(
        "POST", f"{city.admin}/profiles/pin", {"profile": "tidegate/env-sensor", "version": "1.0.0"}
    )


ASKED = {"backup": ask_for_backup, "refill": ask_for_refill, "pin": ask_for_pin}


@pytest.fixture
def nursery(city: City) -> Iterator[Nursery]:
    made = Nursery()
    yield made
    city.close()  # first, what it started
    made.close()


@pytest.mark.fault("F1", "F9", "F20")
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_ended_at_every_named_point_nothing_is_lost_doubled_or_overtaken(
    city: City, nursery: Nursery
) -> None:
    fleet = Fleet(f"mqtt://{city.at(city.mqtt_port)}", 200, 50)
    broker, centre, edge = city.broker(), city.centre(), city.edge()
    for each in (broker, centre, edge):
        each.deadline_s = PATIENCE_S
    for each in (centre, edge):
        each.launch = nursery.launch
    broker.start()
    async with asyncio.TaskGroup() as walks:  # nobody listens to the broker before these are over
        walks.create_task(walk(city, centre, "collector", CENTRE[:1]))
        walks.create_task(walk(city, edge, "edge_agent", EDGE[:1]))
    await asyncio.to_thread(city.wait_connected)
    for each in (edge, centre):
        await asyncio.to_thread(each.kill)
    with TruthFile(truth_file(city.folder, 0)) as truth:
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(fleet.run())
            fleet.go_on(truth)
            async with asyncio.TaskGroup() as walks:
                walks.create_task(walk(city, centre, "collector", CENTRE[1:]))
                walks.create_task(walk(city, edge, "edge_agent", EDGE[1:]))
            await fleet.hold()
            speaking.cancel()
    await asyncio.to_thread(wait_for, "everything", lambda: drained(city, fleet), PATIENCE_S)
    verdict = await judge_truth(Store(city.api), [truth_file(city.folder, 0)], "env")
    found = (verdict.lost, verdict.duplicated, verdict.disordered)
    assert found == (0, 0, 0), verdict.examples
    assert verdict.acknowledged > 500
    assert city.edge_status()["set_aside"] == []


def drained(city: City, fleet: Fleet) -> bool:
    asked = {"measurement": "env", "where": {"device": [SENTINEL]}, "fields": ["seq"]}
    try:
        found = city.query(**asked, start="-1d", stop="+1d", limit=100_000)
    except urllib.error.HTTPError:
        return False
    there = len(found["rows"]) >= fleet.sentinels
    return there and city.settled() and city.edge_status()["residual"] == 0


def test_a_point_that_is_nowhere_is_an_error() -> None:
    command = [sys.executable, "-m", "tests.faults.killed_at", "nowhere", "edge_agent"]
    assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == 1
