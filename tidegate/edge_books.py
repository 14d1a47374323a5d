"""``tidegate edge``: what the books of a site say to people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.output import DASH, console, print_pairs

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
