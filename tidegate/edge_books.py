"""``tidegate edge``: what the books of a site say to people."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec

from gateway_core.balance import Signed, decode_balance
from gateway_core.instant import to_rfc3339
from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.gap_view import print_gaps
from tidegate.output import DASH, console, print_json, print_pairs, print_table
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


_CLOCK = {
    None: "可信 · trusted",
    "unset": "未校时 · not set",
    "jumped": "跳变，未确认 · jumped, and nobody vouches for it",
    "unsynced": "未同步 · no time service has set it since the start",
}


def print_clock(found: Mapping[str, Any]) -> None:
    """Print how far the edge trusts its clock, and what it marked, in two languages."""
    said = {"时钟 · clock": _CLOCK.get(found["trouble"], found["trouble"])}
    if found["holding"]:
        said["时钟 · clock"] += "；数据暂留现场 · records wait on site"
    if found["marked"]:
        counts = ", ".join(f"{mark} {n}" for mark, n in sorted(found["marked"].items()))
        said["时间标记 · readings marked"] = counts
    print_pairs(said)


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


def balance(
    *, close: bool = False, config: Config = CONFIG, url: Url = None, json: bool = False
) -> None:
    """Show the daily balances of this site's books, signed and chained; the collector gets each.

        tidegate edge balance

    Args:
        close: Close the books now first, as it is done at the end of each day (UTC).
        json: Print JSON, key and signature included.
    """
    where = f"{admin_url(config, url)}/balances"
    if close:
        asyncio.run(ask("POST", where))
    found = msgspec.json.decode(asyncio.run(ask("GET", where)), type=list[Signed])
    if json:
        print_json([msgspec.json.decode(each.balance) | _proof(each) for each in found])
        return
    rows = []
    for each in map(decode_balance, (each.balance for each in found)):
        residual = sum(abs(account.residual) for account in each.accounts.values())
        uplink = each.accounts.get("uplink")
        left = uplink.closing if uplink is not None else None
        accepted = sum(each.accepted.values())
        rows.append(
            (each.n, to_rfc3339(each.since), to_rfc3339(each.until), accepted, left, residual)
        )
    print_table(
        ("n", "起 · since", "止 · until", "收下 · accepted", "待传 · waiting", "residual"), rows
    )


def _proof(signed: Signed) -> dict[str, str]:
    return {"key": signed.key, "signature": signed.signature}
