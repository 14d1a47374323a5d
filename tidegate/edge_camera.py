"""``tidegate edge camera``: the feeds of a running agent, why they are as they are, and upkeep."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import App, Parameter

from gateway_core.instant import to_rfc3339
from gateway_core.model import FeedState
from tidegate.edge_discover import discover
from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.edge_inspect import inspect, ptz, snapshot
from tidegate.feed_import import import_feeds, make_key, password
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.remote import ask

app = App(name="camera", help="Video feeds that the agent watches.")
app.command(import_feeds, name="import")
app.command(password)
app.command(discover)
app.command(make_key, name="key")
app.command(inspect)
app.command(snapshot)
app.command(ptz)


@app.command(name="list")
def list_(
    *,
    state: Annotated[FeedState | None, Parameter(help="Only feeds in this state.")] = None,
    group: str | None = None,
    q: str = "",
    limit: int = 100,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """List feeds with their state and faults.

        tidegate edge camera list --state offline

    Args:
        group: Only feeds of this group, as the feeds file names it.
        q: Only feeds whose id or name holds this.
        limit: Most rows, up to 10,000.
        json: Print JSON.
    """
    asked = {"state": state, "group": group, "q": q or None, "limit": limit}
    wanted = urlencode({name: value for name, value in asked.items() if value is not None})
    found = _asked("GET", f"{admin_url(config, url)}/feeds?{wanted}")
    if json:
        print_json(found)
        return
    columns = ("id", "name", "group", "state", "faults", "since", "checked", "rtt_ms")
    print_table(columns, ([_cell(row, column) for column in columns] for row in found["feeds"]))
    if found["next"] is not None:
        shown = len(found["feeds"])
        console.print(f"{shown} of {found['found']} feeds; --limit shows more")


@app.command
def show(feed: str, *, config: Config = CONFIG, url: Url = None, json: bool = False) -> None:
    """Show one feed and why it is as it is: its last checks, its faults, its next check.

        tidegate edge camera show cam-000007

    Args:
        feed: The feed's id.
        json: Print JSON.
    """
    found = _asked("GET", _address(admin_url(config, url), feed))
    if json:
        print_json(found)
    else:
        _print(found)


@app.command
def maintain(
    feed: str,
    *,
    on: Annotated[bool, Parameter(negative="--off", help="People are at work there, or not.")],
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """Say that people are at work at a feed, or no longer; it outlives a restart.

        tidegate edge camera maintain cam-000007 --on

    Args:
        feed: The feed's id.
        json: Print JSON.
    """
    address = _address(admin_url(config, url), feed)
    found = _asked("PATCH", address, {"maintenance": on})
    if json:
        print_json(found)
    else:
        print(f"{feed}: {found['feed']['state']}")


@app.command
def baseline(
    feed: str,
    *,
    reset: Annotated[bool, Parameter(negative=(), help="Forget it and learn anew.")] = False,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """Show what a feed's pictures usually are like, hour by hour (UTC), or learn it anew.

    Learn anew when a camera was turned, cleaned or mended: what it shows now is what it shall show.

        tidegate edge camera baseline cam-000007 --reset

    Args:
        feed: The feed's id.
        json: Print JSON.
    """
    address = f"{_address(admin_url(config, url), feed)}/baseline"
    found = _asked("DELETE" if reset else "GET", address)
    if json:
        print_json(found)
        return
    columns = ("hour", "looks", "learned", "focus", "chroma", "stripes", "likeness", "still")
    print_table(columns, ([row[column] for column in columns] for row in found["hours"]))
    if not found["hours"]:
        console.print("nothing is known yet: five good pictures around an hour make it usual")


@app.command
def sample(feed: str, *, config: Config = CONFIG, url: Url = None, json: bool = False) -> int:
    """Listen to a feed's stream for six seconds: loss, jitter, frame rate, key frames, bitrate.

    Nothing is decoded and nothing is kept but the figures. Two bad samples of three degrade it.

        tidegate edge camera sample cam-000007

    Args:
        feed: The feed's id.
        json: Print JSON.
    """
    found = _asked("POST", f"{_address(admin_url(config, url), feed)}/sample")
    if json:
        print_json(found)
    elif found["sample"] is not None:
        print_pairs({**_sample(found), "faults": found["stream_faults"][-1]["faults"] or "none"})
    else:
        print(f"{feed}: {found['sample_trouble']}")
    return 0 if found["sample"] is not None else 1


def _address(admin: str, feed: str) -> str:
    return f"{admin}/feeds/{quote(feed, safe='')}"


def _asked(method: str, url: str, body: Any = None) -> Any:
    return msgspec.json.decode(asyncio.run(ask(method, url, body=body)))


def _cell(row: dict[str, Any], column: str) -> Any:
    value = row[column]
    if column in {"since", "checked"}:
        return _time(value)
    return round(value, 1) if isinstance(value, float) else value


def _time(value: int | None) -> str | None:
    return to_rfc3339(value) if value is not None else None


def _print(found: dict[str, Any]) -> None:
    feed, device = found["feed"], found["device"] or {}
    print_pairs(
        {
            **{name: _cell(feed, name) for name in ("id", "name", "group", "area")},
            "url": found["url"],
            "state": feed["state"],
            "faults": feed["faults"],
            "since": _time(feed["since"]),
            "verdict": found["verdict"] if found["maintenance"] else None,
            "lost parent": found["parent"],
            "login": found["login_trouble"] or found["login"],
            "next check": _seconds(found["next_check_s"]),
            "device": device.get("identity"),
            "clock": _seconds(device.get("skew_s")),
            "onvif": device.get("detail"),
            "says itself": found["event_faults"],
        }
    )
    for title, column, rows in (
        ("stream check", "result", found["looks"]),
        ("onvif check", "faults", found["device_faults"]),
        ("picture", "faults", found["picture_faults"]),
        ("packets", "faults", found["stream_faults"]),
    ):
        if rows:
            console.print()
            print_table((title, column, "rtt_ms", "detail"), map(_line, rows))

    if found["sampled"] is not None:
        console.print()
        print_pairs({"packets of": _time(found["sampled"]), **_sample(found)})
    if found["grades"]:
        console.print()
        columns = ("fault", "verdict", "value", "limit", "usual")
        title = f"picture of {_time(found['graded'])}"
        named = (title, *columns[1:])
        print_table(named, ([grade[column] for column in columns] for grade in found["grades"]))


def _sample(found: dict[str, Any]) -> dict[str, Any]:
    return found["sample"] or {"not heard": found["sample_trouble"]}


def _line(row: dict[str, Any]) -> tuple[Any, ...]:
    rtt = row.get("rtt_ms")
    result = row["outcome"] if "outcome" in row else row["faults"] or "ok"
    return (
        to_rfc3339(row["time"]),
        result,
        round(rtt, 1) if rtt is not None else None,
        row.get("detail"),
    )


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f} s"
