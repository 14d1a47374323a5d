"""Need: what grows with the city grows in straight lines, or the page says why it does not.

Messages a second, CPU and memory of the agent with 1,000 to 50,000 devices; time of two questions
to the embedded store with up to ten million points; and of the spool with up to ten million records
that nobody has fetched: memory, time to open it, and time to the first batch. `--plot` draws what
was kept (needs matplotlib: `uv pip install --group plots`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import agent, store
from collector.query import Query
from collector.timeseries.embedded import open_embedded
from gateway_core.model import Batch, Reading, Record
from gateway_core.spool import SpoolOptions, open_spool

KEPT = Path(__file__).with_name("growth.json")
IMAGES = Path(__file__).parent.parent / "docs" / "img"
DEVICES = (1_000, 5_000, 20_000, 50_000)
POINTS = (1_000_000, 3_000_000, 10_000_000)
BACKLOG = (0, 1_000_000, 10_000_000)
COMMIT = 5_000

Line = dict[str, float]


def by_devices(messages: int, sizes: tuple[int, ...]) -> list[Line]:
    """The agent behind mosquitto; every device speaks twice before the clock starts."""
    return [{"devices": each, **agent.measure(messages, devices=each)} for each in sizes]


async def by_points(sizes: tuple[int, ...]) -> list[Line]:
    """Ask for the last day of one device and for hourly means, of ever more days."""
    out: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        async with open_embedded(Path(folder) / "ts.duckdb", 512 << 20) as opened:
            points, day = 0, 0
            for size in sizes:
                while points < size:
                    for batch in store.batches(3600, day):
                        await opened.write(batch)
                        points += len(batch.records)
                    day += 1
                start = store.START + (day - 1) * store.DAY_S * 10**9
                stop = start + store.DAY_S * 10**9
                one = Query("env", start, stop, where={"device": ("env-2500",)}, limit=100_000)
                means = Query(
                    "env", start, stop, ("temperature",), every_ns=store.HOUR_NS, agg="mean",
                    limit=1_000_000,
                )  # fmt: skip
                out.append(
                    {
                        "points": points,
                        "one_device_ms": await store.asked(opened, one, 24),
                        "hourly_means_ms": await store.asked(opened, means, store.DEVICES * 24),
                    }
                )
    return out


async def by_backlog(sizes: tuple[int, ...]) -> list[Line]:
    """Fill a spool, close it, and open it as the agent does."""
    return [await _backlog(each) for each in sizes]


async def _backlog(size: int) -> Line:
    with tempfile.TemporaryDirectory() as folder:
        path, options = Path(folder) / "spool.db", SpoolOptions(group_commit_s=0)
        async with open_spool(path, "edge-01", options) as spool:
            await spool.register("uplink")
            for first in range(0, max(size, 1), COMMIT):
                await spool.append(_records(first), source="mqtt:site")
        before, began = psutil.Process().memory_info().rss, time.monotonic()
        async with open_spool(path, "edge-01", options) as spool:
            opened_s = time.monotonic() - began
            batch = await spool.read("uplink", COMMIT)
            first_s = time.monotonic() - began
            assert isinstance(batch, Batch)
            grown = psutil.Process().memory_info().rss - before
            books = await spool.books()
    return {
        "backlog": size,
        "opened_s": opened_s,
        "first_batch_s": first_s,
        "memory_mb": grown / 1e6,
        "bytes_a_record": books.bytes / max(size, COMMIT),
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
    most = 2 if small else None
    return {
        "devices": by_devices(messages, DEVICES[:most]),
        "points": asyncio.run(by_points(POINTS[: most and 1])),
        "backlog": asyncio.run(by_backlog(BACKLOG[:most])),
    }


def plot(found: dict[str, Any]) -> None:
    """Draw one picture for each kind of growth."""
    import matplotlib as mpl  # an extra that only pictures need

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    wanted = {
        "devices": ("committed_per_s", "cpu_us", "peak_mb"),
        "points": ("one_device_ms", "hourly_means_ms"),
        "backlog": ("opened_s", "first_batch_s", "memory_mb"),
    }
    for along, names in wanted.items():
        figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3))
        for axis, name in zip(axes, names, strict=True):
            lines = found[along]
            axis.plot([each[along] for each in lines], [each[name] for each in lines], marker="o")
            axis.set_xlabel(along)
            axis.set_title(name)
            axis.set_ylim(bottom=0)
        figure.tight_layout()
        figure.savefig(IMAGES / f"growth-{along}.png", dpi=90)
        plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--small", action="store_true", help="the first sizes only")
    parser.add_argument("--keep", action="store_true", help=f"write {KEPT.name}")
    parser.add_argument("--plot", action="store_true", help=f"draw {KEPT.name} into docs/img")
    asked = parser.parse_args()
    if asked.plot:
        plot(json.loads(KEPT.read_text()))
        sys.exit(0)
    text = json.dumps(measure(asked.messages, small=asked.small), indent=1)
    print(text)
    if asked.keep:
        KEPT.write_text(text + "\n")
