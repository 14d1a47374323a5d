"""``tidegate edge profiles|pin|unpin|shadow|backtest``: the versions of profiles of one site."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress as Bar

from device_profiles.profile import load_profile
from edge_agent.config import EdgeConfig, load_edge_config
from edge_agent.holdings.lock import LOCK, read_lock
from edge_agent.holdings.versions import Versions
from edge_agent.knowledge import read_knowledge
from edge_agent.versions.compare import Summary
from edge_agent.versions.trial import Job, compare
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from gateway_core.instant import parse_instant, to_rfc3339
from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import instant
from tidegate.remote import ask
from tidegate.usage import WrongUsage


def profiles(*, all: bool = False, config: Config = CONFIG, json: bool = False) -> None:  # noqa: A002
    """Show which version of each profile is used, since when, from where, and what is held.

        tidegate edge profiles

    Reads profiles.lock, which the agent keeps: it need not be running.

    Args:
        all: Those that ship too, not only the site's own, the centre's, and what is held.
        json: Print JSON: all of them.
    """
    lock = read_lock(load_edge_config(config).edge.data_dir / LOCK)
    if json:
        print_json(lock)
        return
    names = {n for n, used in lock.used.items() if all or used.origin != "shipped"}
    names |= lock.planned.keys() | lock.shadow.keys() | lock.pins.keys()
    rows = []
    for name in sorted(names):
        used, planned, shadow = (
            group.get(name) for group in (lock.used, lock.planned, lock.shadow)
        )
        wants = planned.version if planned is not None and planned != used else None
        rows.append(
            (
                name,
                used.version if used else None,
                used.origin if used else None,
                used.since if used else None,
                used.sha256[:12] if used else None,
                lock.pins.get(name),
                wants if used is None or wants != used.version else None,
                shadow.version if shadow else None,
            )
        )
    print_table(
        ("profile", "version", "origin", "since", "sha256", "held", "planned", "shadow"), rows
    )
    spare = len(lock.used) - sum(name in lock.used for name in names)
    if spare:
        print(f"and {spare} that ship: tidegate edge profiles --all")


def pin(profile: str, /, *, config: Config = CONFIG, url: Url = None, json: bool = False) -> None:
    """Hold one version of a profile on this site, whatever the centre's plan says.

        tidegate edge pin acme/env@1.0.0

    Args:
        profile: vendor/model@version; the version must be on this edge.
        json: Print JSON.
    """
    name, at, version = profile.partition("@")
    if not at or not version:
        raise WrongUsage(f"{profile}: expected vendor/model@version, as acme/env@1.0.0")
    _set_pin(admin_url(config, url), name, version, json=json)


def unpin(profile: str, /, *, config: Config = CONFIG, url: Url = None, json: bool = False) -> None:
    """Follow the centre's plan again for a profile.

        tidegate edge unpin acme/env

    Args:
        profile: vendor/model.
        json: Print JSON.
    """
    _set_pin(admin_url(config, url), profile.partition("@")[0], None, json=json)


def shadow(
    profile: str, /, *, config: Config = CONFIG, url: Url = None, json: bool = False
) -> None:
    """Show how the version that runs beside a profile's would have read the live messages.

        tidegate edge shadow acme/env

    Args:
        profile: vendor/model.
        json: Print JSON, examples included.
    """
    where = f"{admin_url(config, url)}/profiles/shadow?profile={profile}"
    found = msgspec.json.decode(asyncio.run(ask("GET", where)))
    if json:
        print_json(found)
        return
    print(f"{profile}: {found['version']} beside {found['used'] or 'nothing'}")
    if found["summary"] is None:
        print("it has not seen a message yet")
        return
    _print_summary(msgspec.convert(found["summary"], Summary))


def backtest(
    version: str,
    /,
    *,
    since: str = "24h",
    limit: int = 1_000_000,
    config: Config = CONFIG,
    json: bool = False,
) -> None:
    """Read what the raw store has with another version, and show where the readings differ.

        tidegate edge backtest mended/env.yaml --since 24h

    Changes nothing, and needs no running agent.

    Args:
        version: A profile's file, or vendor/model@version of a version on this edge.
        since: A duration back from now, or RFC 3339.
        limit: Most messages.
        json: Print JSON, examples included.
    """
    site = load_edge_config(config)
    raw = site.edge.data_dir / "raw"
    if not raw.is_dir():
        raise Unavailable(f"{raw}: nothing was kept raw; see raw in {config}")
    file = _file_of(site, version)
    candidate = load_profile(file)
    used = read_knowledge(site, strict=False).catalogue.profiles.get(candidate.id)
    began = parse_instant(instant(since), wall_ns())
    job = Job(str(raw), str(file), str(used.file) if used is not None else "", began, limit)
    summary = _run(job, f"{candidate.id} {candidate.version}")
    found = {
        "profile": candidate.id,
        "version": candidate.version,
        "used": used.version if used is not None else "",
        "summary": summary,
    }
    if json:
        print_json(found)
        return
    print(f"{candidate.id}: {candidate.version} beside {found['used'] or 'nothing'}")
    _print_summary(summary)


def _run(job: Job, title: str) -> Summary:
    summary = Summary()
    with Bar(console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=1.0)
        for progress in compare(job):
            summary = progress.summary
            bar.update(task, completed=progress.share)
    return summary


def _file_of(site: EdgeConfig, version: str) -> Path:
    """Return the file of a version on this edge, or the file itself."""
    name, at, number = version.partition("@")
    if not at or Path(version).exists():
        return Path(version)
    versions = Versions(site.edge.data_dir)
    found = versions.file_of(name, number)
    if found is None:
        known = ", ".join(versions.here(name)) or "none"
        raise WrongUsage(f"{version} is not on this edge; here: {known}")
    return found


def _set_pin(admin: str, profile: str, version: str | None, *, json: bool) -> None:
    body: Mapping[str, Any] = {"profile": profile, "version": version}
    done = msgspec.json.decode(asyncio.run(ask("POST", f"{admin}/profiles/pin", body=body)))
    if json:
        print_json(done)
        return
    for name, why in done["failed"].items():
        print(f"{name}: {why}")
    if not done["failed"]:
        print(f"{profile}: " + (f"held at {version}" if version else "follows the plan"))


def _print_summary(summary: Summary) -> None:
    print_pairs(
        {
            "messages": summary.messages,
            "refused": f"{summary.refused}, by the version in use {summary.refused_before}",
            "differing": summary.differing,
            "from": to_rfc3339(summary.since) if summary.since else None,
            "to": to_rfc3339(summary.until) if summary.until else None,
            **({"damaged places": summary.damaged} if summary.damaged else {}),
        }
    )
    if not summary.differences:
        return
    console.print()
    rows = []
    for each in summary.differences:
        one = each.examples[0] if each.examples else None
        told = (one.device or one.address, one.before, one.after) if one else (None, None, None)
        rows.append((each.change, each.subject, each.count, *told))
    print_table(("change", "subject", "messages", "for example", "before", "after"), rows)
