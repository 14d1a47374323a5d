"""Need: a centre takes in what its edges send; 24 h of a city (5.5 million records) in 30 minutes.

The whole road with real processes: mosquitto, edge agent, collector with the embedded store. The
clock runs from the first PUBLISH until a query of the store can see the last point.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import DEVICES, WAIT_S, cpu_s, peak_mb, warm_up
from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import City, Program, http, wait_for


def measure(messages: int) -> dict[str, float]:
    """Publish as fast as the broker takes it; return what the road did with it."""
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            return _run(city, messages)
        finally:
            city.close()


def _run(city: City, messages: int) -> dict[str, float]:
    city.broker().start()
    centre, edge = city.centre(), city.edge()
    centre.start()
    edge.start()
    city.wait_connected()
    packets = encoded(fleet(DEVICES, messages, start_s=int(time.time()) - 900))
    warm_up(city)
    edge_process, centre_process = _of(edge), _of(centre)
    edge_cpu, centre_cpu = cpu_s(edge_process), cpu_s(centre_process)
    before, began = _stored(city), time.monotonic()
    with Blaster(city.host, city.mqtt_port) as blaster:
        blaster.send(packets)
    wait_for("the store", lambda: _stored(city) >= before + messages, WAIT_S)
    seconds = time.monotonic() - began
    assert city.edge_status()["residual"] == 0
    return {
        "messages": messages,
        "per_s": messages / seconds,
        "edge_us": (cpu_s(edge_process) - edge_cpu) / messages * 1e6,
        "centre_us": (cpu_s(centre_process) - centre_cpu) / messages * 1e6,
        "edge_peak_mb": peak_mb(edge_process.pid),
        "centre_peak_mb": peak_mb(centre_process.pid),
    }


def _of(program: Program) -> psutil.Process:
    assert program.process is not None
    return psutil.Process(program.process.pid)


def _stored(city: City) -> int:
    books = http("GET", f"{city.api}/api/v1/status")["books"]["timeseries"]
    return int(books["delivered"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=300_000)
    print(json.dumps(measure(parser.parse_args().messages), indent=1))
