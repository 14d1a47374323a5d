"""``tidegate doctor``: look at everything an operator would have to look at, and say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from rich.text import Text

from device_profiles.catalogue import SHIPPED
from device_profiles.library import test_files
from gateway_core.clock import wall_ns
from gateway_core.yaml_document import read_yaml
from tidegate.checks.finding import Finding
from tidegate.checks.machine import (
    check_clock,
    check_disk,
    check_files,
    check_fsync,
    check_inodes,
    check_ipv6,
    check_python,
    check_sqlite,
)
from tidegate.output import console, print_json

_MARK = {"ok": ("✓", "green"), "warn": ("▲", "yellow"), "fail": ("✗", "red")}


def doctor(*, config: Path | None = None, json: bool = False) -> int:
    """Check this machine and, with a configuration, everything it names: cause and what to do.

        tidegate doctor --config /etc/tidegate/edge.yaml

    Args:
        config: An edge's or a collector's configuration.
        json: Print JSON.
    """
    return asyncio.run(_doctor(config, json=json))


async def _doctor(config: Path | None, *, json: bool) -> int:
    findings = []
    async for finding in _examine(config):
        findings.append(finding)
        if not json:
            _print(finding)
    failed = [finding for finding in findings if finding.grade == "fail"]
    warned = [finding for finding in findings if finding.grade == "warn"]
    if json:
        print_json(findings)
    else:
        console.print(f"{len(findings)} checks, {len(failed)} failed, {len(warned)} to look at")
    return 1 if failed else 0


async def _examine(config: Path | None) -> AsyncIterator[Finding]:
    for finding in _machine():
        yield finding
    if config is None:
        here = Path()
        for finding in (check_fsync(here), check_disk(here, 0), check_inodes(here)):
            yield finding
        yield check_clock(wall_ns, None)
        return
    document = read_yaml(config)
    if isinstance(document.data, dict) and "collector" in document.data:
        from tidegate.checks.centre import check_collector

        async for finding in check_collector(config, wall_ns):
            yield finding
    else:
        from tidegate.checks.edge_site import check_edge

        async for finding in check_edge(config, wall_ns):
            yield finding


def _machine() -> Iterator[Finding]:
    yield check_python()
    yield check_sqlite()
    yield check_files()
    yield check_ipv6()
    yield _examples()


def _examples() -> Finding:
    """The profiles that ship still decode as their vectors say."""
    report = test_files([SHIPPED])
    failed = [outcome for outcome in report.outcomes if not outcome.passed]
    if report.passed:
        return Finding("profiles", "ok", f"{len(report.outcomes)} vectors passed")
    found = ", ".join(f"{outcome.profile}: {outcome.name}" for outcome in failed[:3])
    advice = "install Tidegate anew; tidegate profiles test says more"
    return Finding("profiles", "fail", found, "the installation is damaged", advice)


def _print(finding: Finding) -> None:
    mark, style = _MARK[finding.grade]
    console.print(Text.assemble((mark, style), f" {finding.check}: {finding.found}"))
    if finding.cause:
        console.print(Text(f"    why: {finding.cause}"))
    if finding.advice:
        console.print(Text(f"    do:  {finding.advice}"))
