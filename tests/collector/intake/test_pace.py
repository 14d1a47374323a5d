"""Edges may fill the queue before the store as fast as it takes records, and at once while it is
away: the newest readings never wait behind hours of old ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from collector import agent
from collector import pace as pacing
from collector.agent import open_collector
from collector.config import load_collector_config
from collector.pace import LONGEST_S, STILL_S, Pace
from gateway_core.model import Reading
from gateway_core.spool import Spool, SpoolOptions, open_spool
from tests.fakes.edges import Edge, upload

STORE = "timeseries"


@dataclass
class Seconds:
    """A clock that goes on when it is told to."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class Queue:
    """Ten records may wait; twelve do."""

    spool: Spool
    now: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        self.pace = Pace(self.spool, STORE, 10, self.now)

    async def fill(self, count: int) -> None:
        one = Reading("e", "d", "p", "env", 1, 1, {"v": 1}, {})
        await self.spool.append([one] * count, source="s")

    async def take(self, last: int) -> None:
        """Let the store have everything up to a number."""
        await self.spool.settle(STORE, 1, last)


@pytest.fixture(name="queue")
async def a_queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_spool(tmp_path / "s.db", "o", SpoolOptions(group_commit_s=0)) as spool:
        await spool.register(STORE)
        queue = Queue(spool)
        await queue.fill(12)
        yield queue


async def is_in(coming: asyncio.Task[bool]) -> bool:
    """Tell whether an upload came in, after it had the time to look thrice."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(coming), 3 * pacing._LOOK_S)
    return coming.done()


async def test_an_upload_waits_until_the_store_has_taken_what_is_too_much(queue: Queue) -> None:
    coming = asyncio.create_task(queue.pace.turn())
    assert not await is_in(coming)
    await queue.take(1)
    assert not await is_in(coming)
    await queue.take(2)
    assert await coming


async def test_what_a_store_can_take_comes_in_at_once(queue: Queue) -> None:
    await queue.take(2)
    assert not await queue.pace.turn()


async def test_nothing_waits_for_a_store_that_is_away(queue: Queue) -> None:
    coming = asyncio.create_task(queue.pace.turn())
    assert not await is_in(coming)
    queue.now.at += STILL_S
    assert await coming
    queue.now.at += 3600
    assert not await queue.pace.turn()
    await queue.fill(100)
    assert not await queue.pace.turn()


async def test_a_store_that_is_back_holds_uploads_up_again(queue: Queue) -> None:
    queue.now.at += STILL_S
    assert not await queue.pace.turn()
    await queue.take(1)
    coming = asyncio.create_task(queue.pace.turn())
    assert not await is_in(coming)
    await queue.take(2)
    assert await coming


async def test_behind_a_slow_store_no_upload_waits_too_long(queue: Queue) -> None:
    await queue.fill(100)
    coming = asyncio.create_task(queue.pace.turn())
    for last in range(1, 1 + round(LONGEST_S)):
        assert not await is_in(coming)
        await queue.take(last)
        assert not await is_in(coming)
        queue.now.at += 1
    assert await coming


CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'


async def test_a_collector_paces_its_edges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "QUEUED", 10)
    monkeypatch.setattr(pacing, "STILL_S", 300.0)
    monkeypatch.setattr(pacing, "LONGEST_S", 0.2)
    (tmp_path / "c.yaml").write_text(CONFIG)
    config = load_collector_config(tmp_path / "c.yaml")
    async with open_collector(config) as centre, aiohttp.ClientSession() as session:
        edge = Edge(session, centre.intake.url)
        assert (await edge.send(upload(1, 20)))[0] == 200
        status, receipt = await edge.send(upload(21, 40))
        assert (status, receipt["accepted"]) == (200, 20)
        assert b"tidegate_intake_uploads_paced_total 1.0" in centre.meter.render()
