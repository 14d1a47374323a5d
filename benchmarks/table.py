"""Run every benchmark and print the table of docs/explanation/performance.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import apsw

from benchmarks import agent, road, steps


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


def row(*cells: str) -> str:
    """One line of Markdown."""
    return f"| {' | '.join(cells)} |"


def us(value: float) -> str:
    """Microseconds, for people."""
    return f"{value:.2f} us" if value < 10 else f"{value:.1f} us"


def rate(value: float) -> str:
    """Messages a second, for people."""
    return f"{value:,.0f}"


def size(value: float | None) -> str:
    """Bytes, or a dash where nothing is written."""
    return "-" if value is None else f"{value:.0f}"


def mb(value: float) -> str:
    """Megabytes, for people."""
    return f"{value:.0f} MB"


def table(messages: int) -> str:
    """Measure, and return Markdown."""
    busy = os.getloadavg()[0]
    alone = asyncio.run(steps.measure())
    one, whole = agent.measure(messages), road.measure(messages)
    rows = [
        row("step, alone", "CPU a message", "bytes a message"),
        "|---|---:|---:|",
        *(row(step.name, us(step.cpu_us), size(step.size)) for step in alone),
    ]
    programs = [
        row("real programs, QoS 1, FULL sync", "messages/s", "CPU a message", "most memory"),
        "|---|---:|---:|---:|",
        row("edge agent, to the commit", rate(one["committed_per_s"]), us(one["committed_us"]), ""),
        row(
            "edge agent, archived and uploaded as well",
            rate(one["uploaded_per_s"]),
            us(one["cpu_us"]),
            mb(one["peak_mb"]),
        ),
        row(
            "whole road into the embedded store: edge agent",
            rate(whole["per_s"]),
            us(whole["edge_us"]),
            mb(whole["edge_peak_mb"]),
        ),
        row(
            "whole road into the embedded store: collector",
            "",
            us(whole["centre_us"]),
            mb(whole["centre_peak_mb"]),
        ),
    ]
    where = f"{messages:,} messages of 5,000 devices; {machine()}; load before: {busy:.1f}."
    return "\n".join([where, "", *rows, "", *programs])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300_000)
    print(table(parser.parse_args().messages))
