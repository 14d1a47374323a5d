"""Need: devices straight to the agent cost no more than behind a broker; thousands come at once.

A real agent with everything on and a collector that only thanks; the crowd of devices is a process
of its own beside them. In the same run the crowd speaks to a real mosquitto, to which another agent
subscribes: there a PUBACK means "in the broker's memory". CPU is that of the programs between the
devices and the disk, until everything was committed, divided by the messages.
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
import uvloop

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.agent import cpu_s
from benchmarks.crowd import gather
from tests.e2e.blast import env
from tests.e2e.city import PYTHON, City, Program, answers, wait_for

WAVE = 10_000
"""Devices that are connected at a time, where there are more than a process may have files open."""


def start(city: City, *, direct: bool) -> list[psutil.Process]:
    """Start what stands between devices and disk; return its processes."""
    receiver = Program(
        "receiver",
        [PYTHON, str(Path(__file__).with_name("receiver.py")), str(city.intake_port)],
        city.folder / "receiver.log",
        lambda: answers("127.0.0.1", city.intake_port),
    )
    city.programs.append(receiver)
    programs = [] if direct else [city.broker()]
    programs.append(city.edge(direct="anonymous: true" if direct else None))
    for each in [receiver, *programs]:
        each.start()
    city.wait_connected()
    return [psutil.Process(each.process.pid) for each in programs if each.process is not None]


def told(connections: int, messages: int, first: int = 0) -> list[list[tuple[str, bytes]]]:
    """What each device says: all together ``messages``; ``first`` is the first one's number."""
    each = messages // connections
    now = int(time.time()) - each
    return [
        [
            env(f"sim-env-{n:05d}", ts=now + k, temperature=20 + k % 9, humidity=40.5, seq=k + 1)
            for k in range(each)
        ]
        for n in range(first, first + connections)
    ]


async def rush(city: City, processes: list[psutil.Process], connections: int, messages: int) -> Any:
    """Let every device say what it has; return what it cost."""
    clients = await gather(city.host, city.mqtt_port, told(connections, messages))
    head = city.edge_status()["head"]
    count = messages // connections * connections
    before, began = sum(map(cpu_s, processes)), time.monotonic()
    for client in clients:
        client.speak()
    for client in clients:
        await client.done
    acknowledged_s = time.monotonic() - began
    await asyncio.to_thread(
        wait_for, "the commits", lambda: city.edge_status()["head"] >= head + count, 300
    )
    cpu = sum(map(cpu_s, processes)) - before
    for client in clients:
        client.close()
    return {
        "acknowledged_per_s": round(count / acknowledged_s),
        "cpu_us": round(cpu / count * 1e6, 1),
        "rss_mb": round(sum(each.memory_info().rss for each in processes) / 1e6),
    }


async def crowd(city: City, processes: list[psutil.Process], connections: int, at_once: int) -> Any:
    """Let devices connect and say nothing; return time and memory."""
    before, began = processes[-1].memory_info().rss, time.monotonic()
    cpu = cpu_s(processes[-1])
    clients = await gather(city.host, city.mqtt_port, [[]] * connections, at_once)
    took_s = time.monotonic() - began
    cpu = cpu_s(processes[-1]) - cpu
    (states,) = [s["clients"] for s in city.edge_status()["sources"] if s["clients"]]
    assert states["connected"] == connections, states
    grown = processes[-1].memory_info().rss - before
    for client in clients:
        client.close()
    return {
        "connections": connections,
        "admitted_s": round(took_s, 2),
        "cpu_us_each": round(cpu / connections * 1e6),
        "bytes_each": round(grown / connections),
    }


async def multitude(city: City, process: psutil.Process, devices: int) -> Any:
    """Let devices come in waves, speak and go; return the memory after each wave."""
    sizes, began = [], time.monotonic()
    for first in range(0, devices, WAVE):
        said = told(WAVE, 3 * WAVE, first)
        clients = await gather(city.host, city.mqtt_port, said, first=first)
        for client in clients:
            client.speak()
        for client in clients:
            await client.done
            client.close()
        sizes.append(round(process.memory_info().rss / 1e6))
    await asyncio.to_thread(wait_for, "the uplink", lambda: city.settled("uplink"), 300)
    sizes.append(round(process.memory_info().rss / 1e6))
    return {"devices": devices, "rss_mb": sizes, "s": round(time.monotonic() - began, 1)}


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for."""
    found: dict[str, Any] = {"load_before": psutil.getloadavg()[0]}
    for name, direct in (("direct", True), ("behind_mosquitto", False)):
        with tempfile.TemporaryDirectory() as folder:
            city = City(Path(folder))
            try:
                processes = start(city, direct=direct)
                if direct and asked.idle:
                    found["idle"] = uvloop.run(crowd(city, processes, asked.idle, 200))
                if direct and asked.storm:
                    found["storm"] = uvloop.run(crowd(city, processes, asked.storm, asked.storm))
                if direct and asked.devices:
                    told_by = multitude(city, processes[-1], asked.devices)
                    found["devices"] = uvloop.run(told_by)
                if asked.messages:
                    n, m = asked.connections, asked.messages
                    found[name] = uvloop.run(rush(city, processes, n, m))
            finally:
                city.close()
        if not asked.messages:
            break
    return found


def table(found: dict[str, Any]) -> str:
    """Return the figures of the rush as a table."""
    rows = ["| way | acknowledged/s | CPU a message | memory |", "|---|---:|---:|---:|"]
    names = {
        "direct": "straight to the agent, PUBACK after fsync",
        "behind_mosquitto": "mosquitto, PUBACK from its memory, and an agent behind it",
    }
    for key, name in names.items():
        if key in found:
            row = found[key]
            per_s, cpu, rss = row["acknowledged_per_s"], row["cpu_us"], row["rss_mb"]
            rows.append(f"| {name} | {per_s:,} | {cpu} us | {rss} MB |")
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--connections", type=int, default=2_000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--devices", type=int, default=0, help="devices that come in waves")
    parser.add_argument("--idle", type=int, default=0, help="connections that say nothing")
    parser.add_argument("--storm", type=int, default=0, help="connections at once")
    result = measure(parser.parse_args())
    print(json.dumps(result, indent=1))
    print(table(result))
