"""Need: one core of an edge takes in 40,000 messages a second, each on disk before its PUBACK.

A real mosquitto, a real agent process with everything on (decoding, alarms, spool with FULL sync,
archive, aggregates, policy, ledger, uplink) and a collector that only thanks. Five thousand
devices. CPU is what the agent's process used (user and system, all threads), until everything was
also uploaded, divided by the messages.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import PYTHON, City, Program, answers, wait_for

DEVICES = 5_000
WAIT_S, ASK_S = 600.0, 0.25
"""To be asked how far it is costs the agent two milliseconds of CPU: it is not asked often."""


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds of a process, all threads."""
    times = process.cpu_times()
    return times.user + times.system


def measure(
    messages: int, attach: Callable[[int], None] | None = None, devices: int = DEVICES
) -> dict[str, float]:
    """Publish as fast as the broker takes it; return the agent's figures.

    Args:
        messages: How many.
        devices: Of how many devices, in turn.
        attach: Is called with the agent's process id before the rush, for a profiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            return _run(city, messages, attach, devices)
        finally:
            city.close()


def _run(
    city: City, messages: int, attach: Callable[[int], None] | None, devices: int
) -> dict[str, float]:
    receiver = Program(
        "receiver",
        [PYTHON, str(Path(__file__).with_name("receiver.py")), str(city.intake_port)],
        city.folder / "receiver.log",
        lambda: answers("127.0.0.1", city.intake_port),
    )
    city.programs.append(receiver)
    receiver.start()
    broker = city.broker()
    broker.start()
    agent = city.edge()
    agent.start()
    city.wait_connected()
    assert agent.process is not None
    assert broker.process is not None
    process, beside = psutil.Process(agent.process.pid), psutil.Process(broker.process.pid)
    packets = encoded(fleet(devices, messages, start_s=int(time.time()) - 600))
    warm_up(city, devices)
    if attach is not None:
        attach(process.pid)
    head = city.edge_status()["head"]
    before, began = cpu_s(process), time.monotonic()
    broker_before = cpu_s(beside)
    with Blaster(city.host, city.mqtt_port) as blaster:
        blaster.send(packets)
    wait_for("the commits", lambda: city.edge_status()["head"] >= head + messages, WAIT_S, ASK_S)
    committed_s, committed_cpu = time.monotonic() - began, cpu_s(process) - before
    wait_for("the uplink", lambda: city.settled("uplink"), WAIT_S, ASK_S)
    wait_for("the archive", lambda: city.settled("archive"), WAIT_S, ASK_S)
    whole_s, whole_cpu = time.monotonic() - began, cpu_s(process) - before
    status = city.edge_status()
    assert status["residual"] == 0, status
    return {
        "messages": messages,
        "committed_per_s": messages / committed_s,
        "uploaded_per_s": messages / whole_s,
        "committed_us": committed_cpu / messages * 1e6,
        "cpu_us": whole_cpu / messages * 1e6,
        "broker_us": (cpu_s(beside) - broker_before) / messages * 1e6,
        "rss_mb": process.memory_info().rss / 1e6,
        "peak_mb": peak_mb(process.pid),
    }


def warm_up(city: City, devices: int = DEVICES) -> None:
    """Let every device speak twice, and everything of it leave."""
    before = int(city.edge_status()["head"])
    packets = encoded(fleet(devices, 2 * devices, start_s=int(time.time()) - 1200))
    with Blaster(city.host, city.mqtt_port) as blaster:
        blaster.send(packets)
    wait_for("the warm-up", lambda: city.edge_status()["head"] >= before + 2 * devices)
    wait_for("the warm-up", lambda: city.settled("uplink") and city.settled("archive"))


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def record(py_spy: str, name: str, pid: int) -> None:
    """Let py-spy record where a process's time goes, for 20 s into the temporary folder."""
    command = [py_spy, "record", "-p", str(pid), "-d", "20", "-r", "200", "-t", "-f", "raw", "-o"]
    os.spawnv(os.P_NOWAIT, py_spy, [*command, str(Path(tempfile.gettempdir()) / f"{name}.raw")])
    time.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument(
        "--py-spy",
        default="",
        help="path of py-spy; writes agent.raw into the system's temporary folder",
    )
    asked = parser.parse_args()

    attach = partial(record, asked.py_spy, "agent") if asked.py_spy else None
    print(json.dumps(measure(asked.messages, attach), indent=1))
