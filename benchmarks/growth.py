"""Need: what grows with the city grows in straight lines, or the page says why it does not.

Messages a second, CPU and memory of the agent with 1,000 to 50,000 devices; time of two questions
to the embedded store with up to a hundred million points; and of the spool with up to ten million
records that nobody has fetched: memory, time to open it, and time to the first batch.

    python benchmarks/growth.py --keep          measures; two to ten minutes and 3 GB of disk
    python benchmarks/growth.py --plot          draws what was kept and writes its page; needs
                                                matplotlib: uv pip install --group plots
    python benchmarks/growth.py --keep --small --messages 50000     the first sizes, in a minute
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import agent, growth_page, run, store
from collector.query import Query
from collector.timeseries.embedded import Embedded, open_embedded
from gateway_core.model import Reading, Record
from gateway_core.spool import SpoolOptions, open_spool

KEPT = growth_page.KEPT
DEVICES = (1_000, 5_000, 20_000, 50_000)
POINTS = (1_000_000, 10_000_000, 30_000_000, 100_000_000)
SMALL_POINTS = (120_000, 1_000_000, 3_000_000)
BACKLOG = (0, 1_000_000, 10_000_000)
COMMIT = 5_000
DAY_NS = store.DAY_S * 10**9
MEMORY = 512 << 20
OPTIONS = SpoolOptions(group_commit_s=0)

Line = dict[str, float]


def by_devices(messages: int, sizes: tuple[int, ...]) -> list[Line]:
    """The agent behind mosquitto; every device speaks twice before the clock starts."""
    return [{"devices": each, **agent.measure(messages, devices=each)} for each in sizes]


async def by_points(sizes: tuple[int, ...]) -> list[Line]:
    """Ask for the last day of one device and for hourly means, of ever more days."""
    out: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ts.duckdb"
        async with open_embedded(path, MEMORY) as opened:
            for batch in store.batches(3600):
                await opened.write(batch)
        a_day, days = store.DEVICES * 24, 1
        for size in sizes:
            wanted = -(-size // a_day)
            _copy_days(path, days, wanted)
            days = wanted
            async with open_embedded(path, MEMORY) as opened:
                out.append(await _asked(opened, days - 1) | {"points": days * a_day})
            out[-1]["bytes_a_point"] = path.stat().st_size / out[-1]["points"]
    return out


def _copy_days(path: Path, first: int, end: int) -> None:
    """Fill days of the store with what its first one holds, much faster than through the writer."""
    with duckdb.connect(str(path), config={"memory_limit": f"{MEMORY >> 20}MiB"}) as db:
        for day in range(first, end):
            db.execute(
                "INSERT INTO points.env SELECT * REPLACE (time + ? AS time) FROM points.env"
                " WHERE time < ? ORDER BY time",
                [day * DAY_NS, store.START + DAY_NS],
            )


async def _asked(opened: Embedded, day: int) -> Line:
    start = store.START + day * DAY_NS
    stop, hour = start + DAY_NS, store.HOUR_NS
    one = Query("env", start, stop, where={"device": ("env-2500",)}, limit=100_000)
    means = Query("env", start, stop, ("temperature",), every_ns=hour, agg="mean", limit=1_000_000)
    return {
        "one_device_ms": await store.asked(opened, one, 24),
        "hourly_means_ms": await store.asked(opened, means, store.DEVICES * 24),
    }


async def by_backlog(sizes: tuple[int, ...]) -> list[Line]:
    """Fill a spool, close it, and open it as the agent does, in a process of its own."""
    return [await _backlog(each) for each in sizes]


async def _backlog(size: int) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool.db"
        async with open_spool(path, "edge-01", OPTIONS) as spool:
            await spool.register("uplink")
            for first in range(0, size, COMMIT):
                await spool.append(_records(first), source="mqtt:site")
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            opened = await asyncio.to_thread(fresh.apply, _open, (str(path),))
    return {"backlog": size, **opened}


def _open(path: str) -> Line:
    """Open a spool and read what waits first, or, where nothing does, what comes in."""
    return asyncio.run(_opened(Path(path)))


async def _opened(path: Path) -> Line:
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    async with open_spool(path, "edge-01", OPTIONS) as spool:
        opened_s, held = time.monotonic() - began, spool.head
        if not held:
            await spool.append(_records(0), source="mqtt:site")
        batch = await spool.read("uplink", COMMIT)
        first_s = time.monotonic() - began
        assert len(batch.records) == COMMIT
        grown = psutil.Process().memory_info().rss - before
        size = (await spool.books()).bytes
    return {
        "opened_s": opened_s,
        "first_batch_s": first_s,
        "memory_mb": grown / 1e6,
        "bytes_a_record": size / max(held, COMMIT),
    }


def _records(first: int) -> list[Record]:
    start, fields = store.START + first * 10**6, {"temperature": 21.5, "battery": 90}
    return [
        Reading(
            "edge-01", f"env-{n % store.DEVICES:04d}", "tidegate/env-sensor", "env",
            start + n, start + n, {**fields, "seq": first + n},
        )
        for n in range(COMMIT)
    ]  # fmt: skip


def measure(messages: int, *, small: bool) -> dict[str, Any]:
    """Measure all three."""
    most, load, began = 2 if small else None, os.getloadavg()[0], time.monotonic()
    points = SMALL_POINTS if small else POINTS
    return {
        "devices": by_devices(messages, DEVICES[:most]),
        "points": asyncio.run(by_points(points)),
        "backlog": asyncio.run(by_backlog(BACKLOG[:most])),
        "machine": run.machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "messages": messages,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "seconds": round(time.monotonic() - began),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--small", action="store_true", help="the first sizes only")
    parser.add_argument("--keep", action="store_true", help=f"write {KEPT.name}")
    parser.add_argument("--plot", action="store_true", help=f"draw {KEPT.name} and write its page")
    asked = parser.parse_args()
    if asked.keep or not asked.plot:
        text = json.dumps(measure(asked.messages, small=asked.small), indent=1)
        print(text)
        if asked.keep:
            KEPT.write_text(text + "\n")
    if asked.plot:
        growth_page.write(json.loads(KEPT.read_text()))
