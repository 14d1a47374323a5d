"""Need: one two-core edge judges 10,000 cameras a minute, soon enough, and none of them wrongly.

`tidegate simulate cameras` and one real edge agent that patrols them with everything on, pictures
included. One connection in a hundred is disturbed, cameras break and are mended all the time. From
the truth file of the simulator and the verdicts in the agent's spool: how soon each lasting change
was a verdict, and how many cameras were called offline that were not. CPU is the agent's, user and
system, all threads, over the whole run but its start; that of the picture worker stands beside it.

    python -m benchmarks.patrol                                  10,000 cameras, 10 minutes
    python -m benchmarks.patrol --count 1000 --seconds 180
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil

from benchmarks.agent import cpu_s, peak_mb
from gateway_core.model import FeedHealth
from gateway_core.spool.reader import SpoolReader
from simulators.cameras.score import Moment, score
from tests.e2e.city import PYTHON, Program, reachable
from tests.fakes.ports import free_port

FAULTS = ("dead=0.006", "silent=0.002", "resets=0.002", "slow=0.01", "clock_skew=0.005")
"""What is the matter with cameras: what their streams show within a sweep, and what is no fault."""
CHANGES_PER_CAMERA_S = 1 / 10_000
"""So many cameras break or are mended each second, for each camera: one a second of 10,000."""
MARKS = {
    "coverage_least": (">=", 1.0),
    "false_offline": ("<=", 0),
    "never_judged": ("<=", 0),
    "accounts_locked": ("<=", 0),
    "changes_missed": ("<=", 0),
    "delay_p95_s": ("<=", 90.0),
    "agent_cpu_share": ("<=", 0.30),
    "agent_peak_mb": ("<=", 400.0),
    "descriptors_gained": ("<=", 64),
}
"""Descriptors may differ by the checks that are under way."""


def measure(count: int, seconds: float, sweep_s: float, py_spy: str = "") -> dict[str, Any]:
    """Patrol simulated cameras and return the figures."""
    folder = Path(tempfile.mkdtemp(prefix="patrol-"))
    programs: list[Program] = []
    try:
        return _run(folder, programs, count, seconds, sweep_s, py_spy)
    finally:
        for program in reversed(programs):
            program.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    folder: Path, programs: list[Program], count: int, seconds: float, sweep_s: float, py_spy: str
) -> dict[str, Any]:
    cameras, agent, admin = _programs(folder, count, sweep_s)
    programs += [cameras, agent]
    cameras.start()
    agent.start()
    assert agent.process is not None
    assert cameras.process is not None
    process, simulator = psutil.Process(agent.process.pid), psutil.Process(cameras.process.pid)
    began_s, load = time.time(), os.getloadavg()[0]
    cpu, cpu_began, spent = cpu_s(process), time.monotonic(), cpu_s(simulator)
    if py_spy:
        spy = [py_spy, "record", "-p", str(process.pid), "-d", str(int(seconds) - 10)]
        os.spawnv(os.P_NOWAIT, py_spy, [*spy, "-f", "raw", "-o", "patrol.raw"])
    coverage, descriptors, shares = [], [], []
    end = time.monotonic() + seconds
    last_cpu, last_at = cpu, cpu_began
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(5.0, left))
        now, used = time.monotonic(), cpu_s(process)
        shares.append((used - last_cpu) / (now - last_at))
        last_cpu, last_at = used, now
        if time.time() - began_s > 1.2 * sweep_s:
            coverage.append(_coverage(admin))
            descriptors.append(process.num_fds())
    share = (cpu_s(process) - cpu) / (time.monotonic() - cpu_began)
    workers = sum(cpu_s(each) for each in process.children(recursive=True))
    took = time.monotonic() - cpu_began
    figures = {
        "cameras": count,
        "seconds": round(took),
        "sweep_s": sweep_s,
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "coverage_least": min(coverage),
        "agent_cpu_share": share,
        "agent_cpu_share_median_5s": statistics.median(shares),
        "agent_cpu_share_most_5s": max(shares),
        "picture_worker_cpu_share": workers / took,
        "agent_rss_mb": process.memory_info().rss / 1e6,
        "agent_peak_mb": peak_mb(process.pid),
        "descriptors_first_minute": statistics.median(descriptors[:12]),
        "descriptors_last_minute": statistics.median(descriptors[-12:]),
        "simulator_cpu_share": (cpu_s(simulator) - spent) / took,
        "simulator_rss_mb": simulator.memory_info().rss / 1e6,
    }
    gained = figures["descriptors_last_minute"] - figures["descriptors_first_minute"]
    agent.stop()
    until = time.time_ns()
    cameras.stop()
    return {**figures, "descriptors_gained": gained, **_judged(folder, until)}


def _programs(folder: Path, count: int, sweep_s: float) -> tuple[Program, Program, str]:
    feeds, admin = folder / "feeds.csv", f"127.0.0.1:{free_port()}"
    config = folder / "edge.yaml"
    config.write_text(
        f"edge: {{id: sim-edge-01, area: '371602', data_dir: {folder / 'edge'}}}\n"
        f"cameras: {{file: {feeds}, sweep: {sweep_s:g}s}}\n"
        f"admin: {{listen: '{admin}'}}\n"
    )
    command = [PYTHON, "-m", "tidegate", "simulate", "cameras", "--count", str(count)]
    command += ["--feeds-csv", str(feeds), "--truth", str(folder / "truth.jsonl")]
    command += ["--faults", "none", *(f"--fault={each}" for each in FAULTS)]
    command += ["--port", str(free_port()), "--onvif-port", str(free_port())]
    command += ["--disturbed", "0.01", "--change-every", f"{1 / CHANGES_PER_CAMERA_S / count:g}s"]
    cameras = Program("cameras", command, folder / "cameras.log", feeds.exists)
    agent = Program(
        "agent",
        [PYTHON, "-m", "edge_agent", "--config", str(config)],
        folder / "agent.log",
        lambda: reachable(f"http://{admin}/healthz"),
    )
    return cameras, agent, admin


def _coverage(admin: str) -> float:
    with urllib.request.urlopen(f"http://{admin}/metrics", timeout=30) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("tidegate_feed_coverage "):
                return float(line.split()[1])
    return 0.0


def _judged(folder: Path, until: int) -> dict[str, Any]:
    (spool,) = (folder / "edge").glob("spool*.db")
    verdicts: dict[str, list[Moment]] = {}
    with SpoolReader(spool) as reader:
        seq = 0
        while (batch := reader.read_after(seq, 10_000)) is not None:
            for record in batch.records:
                if isinstance(record, FeedHealth):
                    verdicts.setdefault(record.feed, []).append((record.time, record.state))
            seq = batch.last
    with (folder / "truth.jsonl").open(encoding="utf-8") as lines:
        truth = [json.loads(line) for line in lines]
    found = score(truth, verdicts, until)
    made = next((line for line in truth if line.get("event") == "connections"), {})
    return {
        "connections": made.get("made"),
        "disturbed": made.get("disturbed"),
        "offline_verdicts": found.offline_verdicts,
        "false_offline": len(found.false_offline),
        "never_judged": found.never_judged,
        "accounts_locked": found.locked,
        "changes": dict(found.changes),
        "changes_missed": len(found.missed),
        "delay_p50_s": found.delay_s(0.5),
        "delay_p95_s": found.delay_s(0.95),
        "delay_most_s": found.delay_s(1.0),
        "delay_offline_p95_s": found.delay_s(0.95, "offline"),
        "delay_online_p95_s": found.delay_s(0.95, "online"),
    }


def kept(figures: dict[str, Any]) -> dict[str, bool]:
    """Return which marks were kept."""
    return {
        name: figures[name] is not None
        and (figures[name] >= mark if sign == ">=" else figures[name] <= mark)
        for name, (sign, mark) in MARKS.items()
    }


def main() -> int:
    """Measure, print, and fail when a mark was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="cameras")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--sweep", type=float, default=60.0, help="seconds")
    parser.add_argument("--py-spy", default="", help="path of py-spy; writes patrol.raw")
    asked = parser.parse_args()
    figures = measure(asked.count, asked.seconds, asked.sweep, asked.py_spy)
    print(json.dumps(figures, indent=1))
    missed = [name for name, good in kept(figures).items() if not good]
    print("all marks kept" if not missed else f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
