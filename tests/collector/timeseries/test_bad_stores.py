"""Stores that misbehave: every point that can be stored is, once in effect, and none is believed stored.

Over real HTTP, for InfluxDB 1, 2 and 3 (VictoriaMetrics speaks the second's write protocol): the way
from a spool to the store, with `forward` and its retries, meets one misdeed and goes on. What the
store will never take is in quarantine with the store's reason, and holds up nothing.
"""

from __future__ import annotations

import asyncio

import pytest

from collector.sinks.timeseries import TimeSeriesSink
from collector.timeseries.influx1 import open_influx1
from collector.timeseries.influx2 import open_influx2
from collector.timeseries.influx3 import open_influx3
from gateway_core.errors import Unavailable
from gateway_core.forward import forward
from gateway_core.model import Batch, Reading
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.supervise import Patience, supervise
from tests.fakes.bad_store import (
    bad_store,
    cut_off,
    reset,
    said,
    stored_and_silent,
    trickle,
    well,
)

T = 1_700_000_000_000_000_000
RECORDS, BAD = 60, (7, 31, 32)
PAGE = "<!doctype html><title>Log in</title>"
STORES = {
    "influxdb1": lambda url: open_influx1(url, "td"),
    "influxdb2": lambda url: open_influx2(url, "city", "td", "secret", 1.0),
    "influxdb3": lambda url: open_influx3(url, "td", "secret"),
}
MISDEEDS = {
    "too many requests": [said(429, more="Retry-After: 1\r\n")],
    "an error of its own": [said(500), said(503)],
    "a gateway that is down": [said(502, PAGE, "text/html")],
    "a login page": [said(200, PAGE, "text/html")],
    "an answer of something else": [said(200, '{"ok":true}')],
    "a proxy that refuses": [said(400, PAGE, "text/html"), said(413, PAGE, "text/html")],
    "not let in": [said(401), said(403)],
    "a redirect": [said(302, more="Location: /login\r\n"), said(307, more="Location: /\r\n")],
    "a broken line": [reset],
    "an answer cut off": [cut_off],
    "too large": [said(413, '{"error":"request too large","message":"request too large"}')],
}


def reading(n: int) -> Reading:
    value: float | str = "hot" if n in BAD else n * 0.5
    return Reading("e1", f"d{n}", "p", "env", T + n, T, {"t": value})


async def sent(tmp_path, store) -> list[tuple[int, str]]:
    """Bring everything from a spool to the store; return what is in quarantine."""
    async with open_spool(tmp_path / "s.db", "centre", SpoolOptions(group_commit_s=0.0)) as spool:
        sink = TimeSeriesSink(store)
        await spool.register(sink.name)
        await spool.append([reading(n) for n in range(1, RECORDS + 1)], source="s")
        async with asyncio.TaskGroup() as tasks:
            moving = tasks.create_task(
                supervise("store", lambda: forward(spool, sink), Patience(0.01, 0.05))
            )
            async with asyncio.timeout(60):
                while spool.settled(sink.name) < spool.head:
                    await asyncio.sleep(0.02)
            moving.cancel()
        assert (await spool.books()).residual == 0
        return [(each.seq, each.reason) for each in await spool.quarantined(100)]


@pytest.mark.fault("F10")
@pytest.mark.parametrize("misdeed", MISDEEDS)
@pytest.mark.parametrize("kind", STORES)
async def test_after_a_misdeed_all_that_can_be_stored_is_and_the_rest_is_told(
    tmp_path, kind, misdeed
):
    async with bad_store() as server, STORES[kind](server.url) as store:
        server.misdeeds.extend(MISDEEDS[misdeed])
        assert await sent(tmp_path, store) == [(n, "field_type") for n in BAD]
        assert not server.misdeeds
    devices = sorted({line.split("device=d")[1].split(",")[0] for line in server.lines}, key=int)
    assert devices == [str(n) for n in range(1, RECORDS + 1) if n not in BAD]
    assert not [line for line in server.lines if '"' in line]


@pytest.mark.fault("F10")
@pytest.mark.parametrize("misdeed", [stored_and_silent, trickle])
async def test_a_store_that_never_ends_its_answer_is_given_up_and_written_again(misdeed):
    batch = Batch(1, [reading(1)])
    async with bad_store() as server, open_influx2(server.url, "city", "td", "x", 0.5) as store:
        server.misdeeds.append(misdeed)
        with pytest.raises(Unavailable):
            await store.write(batch)
        assert (await store.write(batch)).rejected == ()
        assert server.lines == {"env,device=d1,edge=e1,profile=p t=0.5 1700000000000000001": 2}


@pytest.mark.parametrize("kind", STORES)
async def test_what_is_written_together_reaches_the_store_one_after_another(kind):
    free = asyncio.Event()

    async def slow(store, lines, writer) -> None:
        await free.wait()
        await well(store, lines, writer)

    async with bad_store() as server, STORES[kind](server.url) as store:
        server.misdeeds.append(slow)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.write(Batch(1, [reading(1)])))
            while server.writes < 1:
                await asyncio.sleep(0.01)
            tasks.create_task(store.write(Batch(2, [reading(2)])))
            await asyncio.sleep(0.3)
            assert server.writes == 1  # the later value of a series must come later
            free.set()
    assert [line.split(",")[1] for line in server.lines] == ["device=d1", "device=d2"]


async def test_a_store_that_asks_for_a_second_gets_it():
    loop = asyncio.get_running_loop()
    async with bad_store() as server, open_influx1(server.url, "td") as store:
        server.misdeeds.append(said(429, more="Retry-After: 1\r\n"))
        with pytest.raises(Unavailable):
            await store.write(Batch(1, [reading(1)]))
        began = loop.time()
        await store.write(Batch(1, [reading(1)]))
        assert loop.time() - began >= 0.9
