"""Need: 300,000 points a second in; 24 h of a device in 20 ms; 5,000 devices' hourly means in 1 s.

The same day of points, one each device and `--every` seconds, goes into the embedded store and into
a real InfluxDB 1, through the collector's own writers; then both are asked the same questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from collector.query import Query, TimeSeries
from collector.timeseries.embedded import open_embedded
from collector.timeseries.influx1 import open_influx1
from gateway_core.model import Batch, Reading
from tests.fakes.influx import influxd

DEVICES, DAY_S, BATCH = 5_000, 86_400, 5_000
HOUR_NS = 3600 * 10**9
START = 1_790_000_000 // 3600 * HOUR_NS
ASKED = 5


def batches(every_s: int, day: int = 0) -> Iterator[Batch]:
    """A day of every device, in the order of time."""
    dice, first = random.Random(day), 1 + day * DEVICES * DAY_S
    for second in range(day * DAY_S, (day + 1) * DAY_S, every_s):
        records = [
            Reading(
                "edge-01",
                f"env-{n:04d}",
                "tidegate/env-sensor",
                "env",
                START + second * 10**9 + n,
                START + second * 10**9 + n,
                {
                    "temperature": dice.randrange(-200, 400) / 10,
                    "humidity": dice.randrange(1000) / 10,
                    "battery": dice.randrange(101),
                    "seq": first + n,
                },
            )
            for n in range(DEVICES)
        ]
        yield Batch(first, records)
        first += DEVICES


async def measure(every_s: int) -> dict[str, dict[str, float]]:
    """Fill and ask both stores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_embedded(folder / "ts.duckdb", 512 << 20) as embedded:
            found = {"embedded": await _fill_and_ask(embedded, every_s)}
        size = (folder / "ts.duckdb").stat().st_size
        found["embedded"]["bytes_a_point"] = size / found["embedded"]["points"]
        async with influxd(folder / "influx") as url, open_influx1(url, "td") as influx:
            await influx.create()
            found["influxdb1"] = await _fill_and_ask(influx, every_s)
    return found


async def _fill_and_ask(store: TimeSeries, every_s: int) -> dict[str, float]:
    points, writing, cpu = 0, 0.0, 0.0
    for batch in batches(every_s):
        began, used = time.monotonic(), time.process_time()
        receipt = await store.write(batch)
        writing += time.monotonic() - began
        cpu += time.process_time() - used
        assert not receipt.rejected
        points += len(batch.records)
    day = START + DAY_S * 10**9
    one = Query("env", START, day, where={"device": ("env-2500",)}, limit=100_000)
    hourly = Query(
        "env", START, day, fields=("temperature",), every_ns=HOUR_NS, agg="mean", limit=1_000_000
    )
    return {
        "points": points,
        "per_s": points / writing,
        "cpu_us": cpu / points * 1e6,
        "one_device_ms": await asked(store, one, DAY_S // every_s),
        "hourly_means_ms": await asked(store, hourly, DEVICES * 24),
    }


async def asked(store: TimeSeries, query: Query, rows: int) -> float:
    """Milliseconds until the whole answer is there, the median of some."""
    times = []
    for _ in range(ASKED):
        began = time.monotonic()
        table = await store.query(query)
        times.append((time.monotonic() - began) * 1e3)
        assert len(table.rows) == rows, (len(table.rows), rows)
    return statistics.median(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=600, help="seconds between a device's points")
    print(json.dumps(asyncio.run(measure(parser.parse_args().every)), indent=1))
