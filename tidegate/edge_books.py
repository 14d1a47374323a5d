"""``tidegate edge``: what the books of a site say to people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.gap_view import print_gaps
from tidegate.output import DASH, console, print_json, print_pairs
from tidegate.query import instant
from tidegate.remote import ask

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def print_endurance(found: Mapping[str, Any]) -> None:
    """Print how long a site can stay offline and when its backlog is done, in two languages."""
    console.print()
    print_pairs(
        {
            "可离线时长 · can stay offline, 遥测 telemetry": spoken(found["telemetry_s"]),
            "可离线时长 · can stay offline, 报警 alarms": spoken(found["alarms_s"]),
            "积压 · backlog": found["backlog"],
            "积压传完还需 · backlog done in": spoken(found["backlog_done_s"]),
            "实时时延 · live lag": spoken(found["live_lag_s"]),
        }
    )


def spoken(seconds: float | None) -> str:
    """Return a length of time in its two largest units; a dash for what is not known."""
    if seconds is None:
        return DASH
    left = round(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2])


def gaps(
    device: str,
    *,
    since: str = "1d",
    until: str = "now",
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """Say what is missing of one device on this site, and why, as far as that is known.

        tidegate edge gaps sim-env-00001 --since 6h

    Args:
        device: Its id.
        since: 1h (that long ago), or RFC 3339 with an offset.
        until: Likewise, or now.
        json: Print JSON.
    """
    asked = urlencode({"device": device, "since": instant(since), "until": instant(until)})
    body = asyncio.run(ask("GET", f"{admin_url(config, url)}/gaps?{asked}"))
    found = msgspec.json.decode(body)
    print_json(found) if json else print_gaps(found)
