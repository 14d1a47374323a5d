"""Promise: a store that says yes before it has written loses nothing, because its cursor trails."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from collector.timeseries.born import born
from collector.timeseries.influx2 import open_influx2
from gateway_core.clock import NS, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.forward import Trail, forward
from gateway_core.model import Reading
from gateway_core.spool import Spool, open_spool
from gateway_core.supervise import Patience, supervise
from tests.fakes.core import ListSink, readings
from tests.fakes.influx import free_port


def seconds(count: int) -> list[Reading]:
    """Return what a device said in the last hour; what is far ahead the server would not take."""
    began = wall_ns() - 3600 * NS
    times = [began + n * NS for n in range(count)]
    return [Reading("e1", "d1", "p", "m", at, at, {"n": n}) for n, at in enumerate(times)]


class Victoria:
    """VictoriaMetrics on one port and folder, as often as it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = ["victoria-metrics", f"-storageDataPath={self.folder}", "-loggerLevel=ERROR"]
        command += [f"-httpListenAddr=127.0.0.1:{self.port}", "-retentionPeriod=100y"]
        command += ["-dedup.minScrapeInterval=1ms", "-memory.allowedBytes=256MB"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        async with asyncio.timeout(60), aiohttp.ClientSession() as web:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with web.get(f"{self.url}/health") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def points(self) -> list[int]:
        """Return the values of every point, sorted."""
        async with aiohttp.ClientSession() as web:
            await (await web.get(f"{self.url}/internal/force_flush")).read()
            async with web.get(f"{self.url}/api/v1/export", params={"match[]": "m_n"}) as answer:
                series = [json.loads(line) for line in (await answer.text()).splitlines()]
        return sorted(value for each in series for value in each["values"])


@pytest.fixture
async def victoria(tmp_path: Path) -> AsyncIterator[Victoria]:
    made = Victoria(tmp_path / "vm")
    await made.start()
    yield made
    made.kill()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with open_spool(tmp_path / "s.db", "centre") as opened:
        yield opened


class Store:
    """Sink ``timeseries`` over a store."""

    name = "timeseries"

    def __init__(self, store) -> None:
        self.store = store
        self.written = asyncio.Event()

    async def send(self, batch):
        receipt = await self.store.write(batch)
        self.written.set()
        return receipt


@pytest.mark.fault("R20")
async def test_what_victoria_metrics_took_and_lost_in_a_crash_comes_again(spool, victoria) -> None:
    await spool.register("timeseries")
    await spool.append(seconds(200), source="s")
    async with open_influx2(victoria.url, "city", "tidegate", "t") as store:
        sink = Store(store)
        trail = Trail(2.0, partial(born, victoria.url))
        moves = partial(forward, spool, sink, trail=trail)
        mover = asyncio.create_task(supervise("timeseries", moves, Patience(0.1, 0.5)))
        await sink.written.wait()
        assert spool.settled("timeseries") == 0  # taken, but not yet believed
        while wall_ns() // NS <= int(await born(victoria.url)):
            await asyncio.sleep(0.05)  # it says when it was started to the second
        victoria.kill()
        await victoria.start()
        async with asyncio.timeout(60):
            while spool.settled("timeseries") < 200:
                await asyncio.sleep(0.05)
        mover.cancel()
    assert (await spool.books()).consumers["timeseries"].delivered == 200
    assert await victoria.points() == list(range(200))


async def test_a_restart_of_the_store_between_two_sends_is_noticed(spool) -> None:
    sink, lives = ListSink(), ["1", "2"]

    async def alive() -> str:
        return lives[min(len(sink.batches), 1)]

    await spool.append(readings(1, 10), source="s")
    with pytest.raises(Unavailable, match="started anew"):
        await forward(spool, sink, trail=Trail(0.0, alive))
    assert spool.settled("list") == 0
    assert sink.seqs == list(range(1, 11))


async def test_a_trailing_cursor_settles_everything_in_the_end(spool) -> None:
    sink = ListSink()

    async def alive() -> str:
        return "1"

    await spool.append(readings(1, 50), source="s")
    mover = asyncio.create_task(forward(spool, sink, limit=20, trail=Trail(0.05, alive)))
    await spool.append(readings(51, 60), source="s")
    async with asyncio.timeout(30):
        while not spool.knows("list") or spool.settled("list") < 60:
            await asyncio.sleep(0.01)
    mover.cancel()
    assert sink.seqs == list(range(1, 61))
    assert (await spool.books()).residual == 0


async def test_a_server_says_when_it_was_started(victoria) -> None:
    first = await born(victoria.url)
    assert first
    assert await born(victoria.url) == first
