"""``tidegate collector feeds``: every feed that the centre knows, and the figures on them."""

from __future__ import annotations

import sys
from typing import Any, Literal
from urllib.parse import urlencode

from cyclopts import App

from tidegate.listing import get, listed
from tidegate.output import print_json, print_table
from tidegate.plan_import import import_plan
from tidegate.query import HERE, Url

app = App(name="feeds")
app.command(import_plan, name="import")

_COLUMNS = ("id", "edge", "state", "faults", "since", "owner", "area", "name")
_FIGURES = ("all", "enabled", "online", "intact", "down", "unknown", "maintenance")
_RATES = ("online_rate", "online_of_known", "intact_rate", "picture_rate", "clock_rate")


@app.default
def show(
    *,
    edge: str | None = None,
    area: str | None = None,
    state: str | None = None,
    owner: str | None = None,
    group: str | None = None,
    gb_code: str | None = None,
    fault: str | None = None,
    plan: Literal["planned", "missing", "unplanned"] | None = None,
    q: str | None = None,
    limit: int = 100,
    url: Url = HERE,
    json: bool = False,
) -> None:
    """List feeds and what they were last known to be.

        tidegate collector feeds --state offline

    Args:
        edge: Only of this edge.
        area: Only this area code or below.
        state: Only in this state.
        owner: Only of this owner.
        group: Only of this group: an NVR or a switch.
        gb_code: Only with this GB/T 28181 code.
        fault: Only with this fault, for example clock_skew.
        plan: planned; missing: planned and never seen; unplanned: seen and not planned.
        q: Only with this text in the id or the name.
        limit: Most rows.
        json: Print JSON.
    """
    wanted = {"edge": edge, "area": area, "state": state, "owner": owner, "group": group}
    wanted |= {"gb_code": gb_code, "fault": fault, "plan": plan, "q": q}
    given = {name: value for name, value in wanted.items() if value is not None}
    items = listed(url, "feeds", given, limit)
    if json:
        print_json(items)
    else:
        print_table(_COLUMNS, ([item.get(c) for c in _COLUMNS] for item in items))


@app.command
def kpi(
    *,
    by: Literal["area", "owner", "group", "edge", "day"] = "area",
    area: str = "",
    digits: int = 0,
    day: str | None = None,
    since: str | None = None,
    until: str | None = None,
    url: Url = HERE,
    json: bool = False,
) -> None:
    """Show online, intact, picture and clock rates: now, or over whole days by time.

        tidegate collector feeds kpi --by area --area 3716
        tidegate collector feeds kpi --by day --since 2026-03-01 --until 2026-03-31

    Args:
        by: One row for each of these.
        area: Only this area code or below.
        digits: Characters of an area's code that name one row; 0: the level below area.
        day: Over this day (YYYY-MM-DD, the city's calendar), time-weighted.
        since: Over the days from this one on.
        until: Up to this day, included; left out: today.
        json: Print JSON.
    """
    wanted = {"by": by, "area": area, "day": day, "since": since, "until": until}
    given = {name: value for name, value in wanted.items() if value}
    if digits:
        given["digits"] = str(digits)
    found = get(url, f"feeds/kpi?{urlencode(given)}")
    if json:
        print_json(found)
        return
    rows = [*found["items"], found["total"] | {"key": "total"}]
    print_table((by, *_FIGURES, *_RATES), map(_row, rows))
    if found["unit"] == "seconds":
        sys.stdout.write(f"seconds, {found['since']} to {found['until']}\n")


def _row(item: dict[str, Any]) -> list[Any]:
    rates = (item[name] for name in _RATES)
    shown = (None if rate is None else f"{rate:.2%}" for rate in rates)
    return [item["key"], *(item[name] for name in _FIGURES), *shown]
