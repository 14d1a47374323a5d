"""Measure every row of the table of costs, ratios first, and keep the result as JSON.

    python benchmarks/run.py             three runs of each row, the median (about 15 minutes)
    python benchmarks/run.py --quick     one smaller run of each row (under 3 minutes)
    python benchmarks/run.py --page      write docs/reference/costs.md from the kept result

What a row needs, and how it is measured, stands at the top of the file that measures it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import apsw

from benchmarks import agent, cameras, centre, coap, neighbours, newcomers, road, steps, store
from benchmarks.line import Figure, Measure, median, shown

KEPT = Path(__file__).with_name("result.json")
PAGE = Path(__file__).parent.parent / "docs" / "reference" / "costs.md"


@dataclass(frozen=True)
class Size:
    """How much is measured: runs of each row, messages of a rush, seconds between points."""

    runs: int
    messages: int
    every_s: int


FULL, QUICK = Size(3, 200_000, 300), Size(1, 50_000, 1800)


def alone() -> list[Figure]:
    """Steps of the road in one process, beside what a site would write itself."""
    found = {step.name: step for step in asyncio.run(steps.measure())}
    said = neighbours.spoken()
    row_us, row_bytes = neighbours.rows(said)
    paho_us, _ = neighbours.subscriber(said)
    point, point_us = "influxdb-client's Point", neighbours.points(said)
    hand, hand_us = "json.loads, checked by hand", neighbours.handwritten(said)
    row, paho = "sqlite3, a row a message", "paho-mqtt, manual_ack"

    def own(name: str, aim: float | None = None, *beside: Any) -> Figure:
        return Figure(name, found[name].cpu_us, "us", aim, *beside)

    spool = "spool append, FULL sync, 1,000 a commit"
    up = found["egress policy"].cpu_us + found["encode upload (zstd)"].cpu_us
    return [
        own("MQTT 5 packets to arrivals", 1.5, paho, paho_us),
        own("decode: topic and JSON to checked fields", 1.5, hand, hand_us),
        own("decode, device, alarm rules: arrivals to records"),
        own(spool, 0.6, row, row_us),
        Figure("spool, on disk a message", found[spool].size or 0.0, "bytes", 15, row, row_bytes),
        Figure("egress policy and upload encoded (zstd)", up, "us", 1.5, point, point_us),
        own("decode upload"),
        own("line protocol", None, point, point_us),
    ]


def whole_agent(messages: int) -> list[Figure]:
    """A real agent behind a real mosquitto."""
    one = agent.measure(messages)
    beside = ("mosquitto", one["broker_us"])
    return [
        Figure("edge agent, QoS 1 in to the commit", one["committed_us"], "us", None, *beside),
        Figure("edge agent, archived and uploaded as well", one["cpu_us"], "us", 5, *beside),
        Figure("edge agent, messages to the commit", one["committed_per_s"], "/s", 80_000),
        Figure("edge agent, most memory", one["peak_mb"], "MB", 300),
    ]


def whole_road(messages: int) -> list[Figure]:
    """Broker, agent, collector and embedded store together."""
    found = road.measure(messages)
    return [
        Figure("whole road into the embedded store", found["per_s"], "/s"),
        Figure("whole road: edge agent", found["edge_us"], "us"),
        Figure("whole road: collector", found["centre_us"], "us"),
    ]


def centre_alone(messages: int) -> list[Figure]:
    """The collector, uploads encoded before."""
    influx, own = (centre.measure(2 * messages, kind) for kind in ("influxdb1", "embedded"))
    beside, theirs = "InfluxDB 1", influx["store_cpu_us"]
    return [
        Figure("collector to InfluxDB 1", influx["cpu_us"], "us", 5, beside, theirs),
        Figure("collector to InfluxDB 1, taken from edges", influx["taken_per_s"], "/s", 100_000),
        Figure("collector to InfluxDB 1, stored", influx["stored_per_s"], "/s", 100_000),
        Figure("collector to the embedded store", own["cpu_us"], "us"),
        Figure("collector to the embedded store, stored", own["stored_per_s"], "/s"),
    ]


def stores(every_s: int) -> list[Figure]:
    """A day of 5,000 devices."""
    found = asyncio.run(store.measure(every_s))
    ours, theirs, beside = found["embedded"], found["influxdb1"], "InfluxDB 1"
    day, means = "one_device_ms", "hourly_means_ms"
    return [
        Figure("embedded store, append", ours["per_s"], "/s", 300_000, beside, theirs["per_s"]),
        Figure("24 h of one device", ours[day], "ms", 20, beside, theirs[day]),
        Figure("hourly means of 5,000 devices", ours[means], "ms", 1000, beside, theirs[means]),
    ]


def coap_server(messages: int) -> list[Figure]:
    """CON PUT, 2.04 after the commit."""
    found = coap.measure(messages)
    ours = found["agent"]
    return [
        Figure(f"CoAP CON PUT, beside {name}", ours["committed_us"], "us", 12, name, each["cpu_us"])
        for name, each in found.items()
        if each is not ours
    ] + [Figure("CoAP CON PUT, to the commit", ours["per_s"], "/s", 50_000)]


def watched_cameras() -> list[Figure]:
    """A camera asked over ONVIF, and what a watched one takes of memory."""
    found, beside = cameras.measure(), "onvif-zeep-async"
    ask = "ONVIF: information, profiles, stream address"
    mine, its = 1000 * found["cycle_ms"], 1000 * found["zeep_cycle_ms"]
    kept, theirs = found["feed_bytes"], found["zeep_bytes"]
    return [
        Figure(ask, mine, "us", 1000, beside, its),
        Figure("a watched camera's memory", kept, "bytes", 4096, beside, theirs),
    ]


def strangers() -> list[Figure]:
    """Devices never seen before."""
    found = newcomers.measure(5_000)
    return [Figure("5,000 new devices at once", found["known_and_stored_s"], "s", 2)]


def rows(size: Size) -> dict[str, Measure]:
    """Return what is measured, in the order of the table."""
    return {
        "steps": alone,
        "agent": partial(whole_agent, size.messages),
        "coap": partial(coap_server, size.messages // 2),
        "newcomers": strangers,
        "cameras": watched_cameras,
        "road": partial(whole_road, size.messages),
        "centre": partial(centre_alone, size.messages),
        "store": partial(stores, size.every_s),
    }


def machine() -> str:
    """Name this machine: processor, cores, memory, system, Python, SQLite."""
    info = Path("/proc/cpuinfo").read_text()
    model = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return (
        f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {system}, "
        f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
    )


def measured(size: Size, only: list[str]) -> dict[str, Any]:
    """Run everything that was asked for; print each row as it is there."""
    load, began, found = os.getloadavg()[0], time.monotonic(), []
    for name, measure in rows(size).items():
        if only and name not in only:
            continue
        for line in median([measure() for _ in range(size.runs)]):
            found.append([line[0]._asdict(), line[1], line[2]])
            print("  ".join(_cells(*line)), flush=True)
    return {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "runs": size.runs,
        "messages": size.messages,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "seconds": round(time.monotonic() - began),
        "figures": found,
    }


def _cells(figure: Figure, least: float, most: float) -> Iterator[str]:
    unit, ratio = figure.unit, figure.ratio
    yield "-" if ratio is None else f"{ratio:.1f}x"
    yield figure.step
    yield shown(figure.value, unit)
    yield f"{shown(least, unit)} to {shown(most, unit)}"
    yield (
        "-"
        if figure.aim is None
        else ("reached " if figure.reached else "missed ") + shown(figure.aim, unit)
    )
    yield f"{figure.beside}: {shown(figure.theirs or None, unit)}" if figure.beside else "-"


def page(result: dict[str, Any]) -> str:
    """Return the page of a kept result."""
    head = (
        "# What each step costs\n\n"
        "Made by `python benchmarks/run.py --page` from one run of `python benchmarks/run.py`,\n"
        "kept in `benchmarks/result.json`. *us* are microseconds of CPU a message, user and\n"
        "system, all threads of the process. *Ratio* is how many times better than the\n"
        "neighbour in the same run; below 1 it is worse. How a row is measured stands at the\n"
        "top of its file in `benchmarks/`, how to read it on\n"
        "[the page about costs](../explanation/performance.md).\n\n"
        f"{result['date']}; {result['machine']}; median of {result['runs']} runs;"
        f" load {result['load_before']:.1f} before and {result['load_after']:.1f} after;"
        f" {result['seconds']} s.\n\n"
        "| ratio | step | median | least to most | aim | beside it |\n"
        "|---:|---|---:|---:|---:|---|\n"
    )
    lines = [_cells(Figure(**each), least, most) for each, least, most in result["figures"]]
    return head + "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one smaller run of each row")
    parser.add_argument("--only", action="append", default=[], choices=list(rows(FULL)))
    parser.add_argument("--json", type=Path, help=f"where to keep the result, e.g. {KEPT.name}")
    parser.add_argument("--page", action="store_true", help="write the page of the kept result")
    asked = parser.parse_args()
    if asked.page:
        PAGE.write_text(page(json.loads(KEPT.read_text())))
        return 0
    result = measured(QUICK if asked.quick else FULL, asked.only)
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
