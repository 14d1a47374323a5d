"""``collector refill`` and ``edge replay --sent``: send again what the centre lacks or lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from rich.progress import BarColumn, Progress, TextColumn

from tidegate.listing import get
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import HERE, Url, instant
from tidegate.remote import ask

_LOOK_S = 1.0


def refill(
    edge: str,
    /,
    *,
    since: str | None = None,
    until: str = "now",
    again: bool = False,
    wait: bool = False,
    url: Url = HERE,
    json: bool = False,
) -> None:
    """Ask an edge to send a window again, or show how far it is with what it was asked.

        tidegate collector refill bz-edge-01 --since 24h --wait

    What an edge says it delivered and what is not here, as after a restore, is asked for by itself;
    "missing" counts down. A window is for the rest: what an edge sent from an earlier spool, or,
    with --again, what InfluxDB lost. It comes within the uplink's share for a backlog; what the
    edge no longer holds is counted as gone.

    Args:
        edge: The edge's id.
        since: A duration back from now, or RFC 3339; left out: only show.
        until: now, or RFC 3339.
        again: Give the time-series store what is here already, too.
        wait: Until it is done, with a progress bar.
        json: Print JSON.
    """
    path = f"edges/{edge}/refill"
    name = ""
    if since is not None:
        body = {"since": instant(since), "until": instant(until), "again": again}
        target = f"{url.rstrip('/')}/api/v1/{path}"
        name = msgspec.json.decode(asyncio.run(ask("POST", target, body=body)))["id"]
    if wait:
        _follow(url, path, name)
    found = get(url, path)
    if json:
        print_json(found)
        return
    print_pairs({"edge": found["edge"], "missing": found["missing"]})
    columns = ("id", "since", "until", "again", "done", "whole", "gone", "records", "ended")
    if found["items"]:
        print_table(columns, ([item[c] for c in columns] for item in found["items"]))


def resend(admin: str, since: int, *, json: bool) -> None:
    """Have a running agent send a window again, and show how far it is until it ended."""
    body = {"since": since}
    said = msgspec.json.decode(asyncio.run(ask("POST", f"{admin}/resend", body=body)))
    columns = (TextColumn("numbers"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("numbers", total=None)
        while not said["ended"]:
            time.sleep(_LOOK_S)
            said = msgspec.json.decode(asyncio.run(ask("GET", f"{admin}/resend/{said['id']}")))
            bar.update(task, completed=said["done"], total=said["whole"])
    if json:
        print_json(said)
    else:
        print_pairs(said)


def _follow(url: str, path: str, name: str) -> None:
    """Show how far it is until nothing is missing and the request has ended."""
    columns = (TextColumn("numbers"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("numbers", total=None)
        most = 0
        while True:
            found = get(url, path)
            mine: dict[str, Any] = next((i for i in found["items"] if i["id"] == name), {})
            most = max(most, found["missing"])
            done = most - found["missing"] + mine.get("done", 0)
            bar.update(task, completed=done, total=most + mine.get("whole", 0))
            if not found["missing"] and (not name or mine.get("ended")):
                return
            time.sleep(_LOOK_S)
