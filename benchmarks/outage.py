"""Need: a centre that was away for 24 hours has everything within 30 minutes, live data first.

The backlog of one edge of ten (10.3 million records in 24 hours) is put into its spool by the
spool API. Then a real agent drains it into a real collector with a real InfluxDB 1 beside it,
while devices go on speaking over mosquitto. Measured: from the start to the first
record at the centre; minutes until the backlog is in InfluxDB; memory meanwhile; the age
of the newest live reading there.

    python benchmarks/outage.py --records 300000      under a minute
    python benchmarks/outage.py                       10.3 million: about ten minutes
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from edge_agent.register import Register
from gateway_core.instant import parse_instant
from gateway_core.model import Reading, Record
from gateway_core.spool import SpoolOptions, open_spool
from tests.e2e.blast import Blaster, encoded, env
from tests.e2e.city import City, Program, http, wait_for

EDGE, PROFILE = "sim-edge-01", "tidegate/env-sensor"
DEVICES, BATCH = 1_000, 5_000
LIVE_A_SECOND = 120
DAY_NS = 86_400 * 10**9
WAIT_S = 4 * 3600.0


@dataclass
class Seen:
    """What was looked at while it drained, one entry a second or so."""

    lag_s: list[float] = field(default_factory=list)
    agent_mb: list[float] = field(default_factory=list)
    collector_mb: list[float] = field(default_factory=list)
    store_mb: list[float] = field(default_factory=list)


def backlog(records: int, until_ns: int) -> Iterator[list[Record]]:
    """Yield what devices said within the 24 hours before, in batches."""
    step = DAY_NS // records
    for first in range(0, records, BATCH):
        yield [
            Reading(
                EDGE, f"late-{n % DEVICES:04d}", PROFILE, "env",
                until_ns - (records - n) * step, until_ns - (records - n) * step,
                {"temperature": n % 400 / 10, "humidity": n % 1000 / 10, "seq": n},
            )
            for n in range(first, min(first + BATCH, records))
        ]  # fmt: skip


async def fill(path: Path, records: int) -> None:
    """Put the backlog into a spool; on site it was archived, and the registry saved, long ago."""
    async with open_spool(path, EDGE, SpoolOptions(group_commit_s=0.0)) as spool:
        for name in ("uplink", "archive"):
            await spool.register(name)
        for batch in backlog(records, time.time_ns()):
            await spool.append(batch, source="mqtt:site")
        await spool.settle("archive", 1, spool.head)
        register = Register(path.with_name("registry.db"))
        register.save((), (), (), (spool.epoch, spool.head))
        register.close()


def measure(records: int) -> dict[str, Any]:
    """Fill, drain and say what it took."""
    with tempfile.TemporaryDirectory(prefix="tidegate-outage-") as folder:
        city = City(Path(folder))
        try:
            influx, port = city.influxd()
            centre = city.centre(
                f"{{kind: influxdb1, url: 'http://127.0.0.1:{port}', database: td}}"
            )
            broker, edge = city.broker(), city.edge()
            for each in (influx, centre, broker):
                each.start()
            began = time.monotonic()
            asyncio.run(fill(city.folder / "edge" / "var" / "spool.db", records))
            filled_s = time.monotonic() - began
            return {"records": records, "fill_s": round(filled_s, 1)} | drain(
                city, records, (edge, centre, influx)
            )
        finally:
            city.close()


def drain(city: City, records: int, programs: tuple[Program, Program, Program]) -> dict[str, Any]:
    """Start the agent and let live data flow until the backlog is in the store."""
    seen, over = Seen(), threading.Event()
    began = time.monotonic()
    programs[0].start(wait=False)
    wait_for("the first record at the centre", lambda: stored(city, "accepted") > 0, WAIT_S)
    first_s = time.monotonic() - began
    programs[0].wait_ready()
    listening_s = time.monotonic() - began
    city.wait_connected()
    works = [
        threading.Thread(target=live, args=(city, over)),
        threading.Thread(target=look, args=(city, programs, seen, over)),
    ]
    for each in works:
        each.start()
    try:
        wait_for("the backlog in the store", lambda: stored(city, "delivered") >= records, WAIT_S)
        seconds = time.monotonic() - began
    finally:
        over.set()
        for each in works:
            each.join()
    lags = sorted(seen.lag_s) or [float("nan")]
    return {
        "first_forward_s": round(first_s, 1),
        "listening_s": round(listening_s, 1),
        "drained_min": round(seconds / 60, 2),
        "records_per_s": round(records / seconds),
        "live_lag_p50_s": round(median(lags), 2),
        "live_lag_p99_s": round(lags[int(len(lags) * 0.99)], 2),
        "agent_mb": memory(seen.agent_mb),
        "collector_mb": memory(seen.collector_mb),
        "store_mb": memory(seen.store_mb),
        "residual": city.edge_status()["residual"],
    }


def live(city: City, over: threading.Event) -> None:
    """Let devices speak at one edge's share."""
    n = 0
    with Blaster(city.host, city.mqtt_port, client="sim-live") as blaster:
        while not over.wait(0.5):
            now = time.time()
            part = [
                env(f"live-{(n + k) % DEVICES}", temperature=21.5, seq=n + k, ts=now)
                for k in range(LIVE_A_SECOND // 2)
            ]
            part.append(env("live-newest", temperature=21.5, seq=n, ts=now))
            blaster.send(encoded(part))
            n += len(part)


def look(city: City, programs: tuple[Program, ...], seen: Seen, over: threading.Event) -> None:
    """Note memory, and how old the newest live reading is that a query finds."""
    kept = (seen.agent_mb, seen.collector_mb, seen.store_mb)
    while not over.wait(1.0):
        for program, into in zip(programs, kept, strict=True):
            assert program.process is not None
            into.append(psutil.Process(program.process.pid).memory_info().rss / 2**20)
        asked = {"measurement": "env", "where": {"device": ["live-newest"]}, "fields": ["seq"]}
        try:
            rows = city.query(**asked, start="-10m", stop="+1m", limit=10_000)["rows"]
        except OSError:
            continue  # nothing of this measurement yet, or busy
        if rows:
            newest = parse_instant(max(row[0] for row in rows), 0)
            seen.lag_s.append(max(0.0, (time.time_ns() - newest) / 10**9))


def stored(city: City, what: str) -> int:
    """Return a figure of the books of the sink that feeds the store."""
    try:
        status = http("GET", f"{city.api}/api/v1/status")
    except OSError:
        return 0
    return int(status["books"]["timeseries"][what])


def memory(samples: list[float]) -> dict[str, float]:
    """Return the mean of the first and of the last tenth, and the most."""
    part = max(1, len(samples) // 10)
    parts = {"early": samples[part : 2 * part] or samples, "late": samples[-part:]}
    means = {name: round(sum(each) / max(1, len(each))) for name, each in parts.items()}
    return means | {"most": round(max(samples, default=0.0))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=10_300_000)
    print(json.dumps(measure(parser.parse_args().records), indent=1))
