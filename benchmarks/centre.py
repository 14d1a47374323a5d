"""Need: 100,000 readings a second into InfluxDB at 5 us of CPU each, the server's own beside it.

Ten edges' uploads, encoded before the clock starts, are posted to a real collector as fast as it
takes them, once into the embedded store and once into a real InfluxDB 1. The clock and the CPU run
until the store has every reading. Registry and events are fed at the same time, as always.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import WAIT_S, cpu_s, peak_mb, record
from gateway_core.model import Reading
from gateway_core.wire import CONTENT_TYPE, Upload, encode_upload
from tests.e2e.city import City, Program
from tests.e2e.city import http as ask

EDGES, DEVICES, BATCH = 10, 500, 5_000
"""Devices of each edge; readings of an upload."""
ASKED_EVERY_S = 0.25


def uploads(readings: int, start_ns: int) -> Iterator[bytes]:
    """Encode what ten edges send in turn: four fields, each device once a second."""
    dice = random.Random(1)
    first = dict.fromkeys(range(EDGES), 1)
    for turn in range(readings // BATCH):
        number = turn % EDGES
        edge, at = f"edge-{number:02d}", first[number]
        records = [_reading(edge, at + n, start_ns, dice) for n in range(BATCH)]
        first[number] = at + BATCH
        yield encode_upload(
            Upload(edge, f"{number:016x}", at, at + BATCH - 1, [*range(at, at + BATCH)], records)
        )


def _reading(edge: str, seq: int, start_ns: int, dice: random.Random) -> Reading:
    time_ns = start_ns + seq // DEVICES * 10**9
    fields = {
        "temperature": dice.randrange(-200, 400) / 10,
        "humidity": dice.randrange(1000) / 10,
        "battery": dice.randrange(101),
        "seq": seq,
    }
    device = f"env-{seq % DEVICES:04d}"
    return Reading(edge, device, "tidegate/env-sensor", "env", time_ns, time_ns + 10**6, fields)


def measure(
    readings: int, store: str, attach: Callable[[int], None] | None = None
) -> dict[str, float]:
    """Post everything; return what it cost.

    Args:
        readings: How many, those of the warm-up included.
        store: ``embedded`` or ``influxdb1``.
        attach: Is called with the collector's process id before the rush, for a profiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            influx, timeseries = None, "{kind: embedded}"
            if store == "influxdb1":
                influx, port = city.influxd()
                influx.start()
                timeseries = f"{{kind: influxdb1, url: 'http://127.0.0.1:{port}', database: td}}"
            centre = city.centre(timeseries)
            centre.start()
            return _run(city, centre, influx, readings, attach)
        finally:
            city.close()


def _run(
    city: City,
    centre: Program,
    influx: Program | None,
    readings: int,
    attach: Callable[[int], None] | None,
) -> dict[str, float]:
    bodies = list(uploads(readings, time.time_ns() - 10**13))
    warm, bodies = bodies[:EDGES], bodies[EDGES:]
    _post(city, warm)
    _wait(city, len(warm) * BATCH)
    ours, theirs = _process(centre), None if influx is None else _process(influx)
    if attach is not None:
        attach(ours.pid)
    before, before_theirs = cpu_s(ours), 0.0 if theirs is None else cpu_s(theirs)
    began, count = time.monotonic(), len(bodies) * BATCH
    _post(city, bodies)
    taken_s = time.monotonic() - began
    _wait(city, len(warm) * BATCH + count)
    seconds = time.monotonic() - began
    out = {
        "readings": count,
        "taken_per_s": count / taken_s,
        "stored_per_s": count / seconds,
        "cpu_us": (cpu_s(ours) - before) / count * 1e6,
        "peak_mb": peak_mb(ours.pid),
    }
    if theirs is not None:
        out["store_cpu_us"] = (cpu_s(theirs) - before_theirs) / count * 1e6
    return out


def _post(city: City, bodies: list[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", city.intake_port, timeout=60)
    for body in bodies:
        while True:
            connection.request("POST", "/v1/batches", body, {"Content-Type": CONTENT_TYPE})
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200:
                break
            assert answer.status in {429, 503}, said
            time.sleep(0.1)
    connection.close()


def _wait(city: City, stored: int) -> None:
    """Wait until the store has so many, asking seldom: the answer costs the collector some too."""
    end = time.monotonic() + WAIT_S
    while ask("GET", f"{city.api}/api/v1/status")["books"]["timeseries"]["delivered"] < stored:
        assert time.monotonic() < end, f"the store did not get {stored} readings"
        time.sleep(ASKED_EVERY_S)


def _process(program: Program) -> psutil.Process:
    assert program.process is not None
    return psutil.Process(program.process.pid)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readings", type=int, default=500_000)
    parser.add_argument("--store", choices=["embedded", "influxdb1"], action="append")
    parser.add_argument("--py-spy", default="", help="path of py-spy, as for agent.py")
    asked = parser.parse_args()

    def measured(store: str) -> dict[str, float]:
        """Measure one store, recording where the collector's time goes if that is wanted."""
        attach = partial(record, asked.py_spy, store) if asked.py_spy else None
        return measure(asked.readings, store, attach)

    stores = asked.store or ["embedded", "influxdb1"]
    print(json.dumps({store: measured(store) for store in stores}, indent=1))
