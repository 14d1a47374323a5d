"""``tidegate collector events`` and ``event``: the closed loop from the command line."""

from __future__ import annotations

import asyncio
import getpass
from typing import Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.query import HERE, Url
from tidegate.remote import ask

Step = Literal["accept", "assign", "handle", "feedback", "verify", "reopen"]
_COLUMNS = ("id", "state", "severity", "edge", "device", "rule", "raised", "cleared", "assignee")


def events(
    *,
    state: str | None = None,
    edge: str | None = None,
    device: str | None = None,
    severity: str | None = None,
    assignee: str | None = None,
    closed: bool = False,
    limit: int = 100,
    url: Url = HERE,
    json: bool = False,
) -> None:
    """List events that are not verified yet, newest first.

        tidegate collector events --severity critical

    Args:
        state: Only in this state: open, accepted, assigned, handled, fed_back or verified.
        edge: Only of this edge.
        device: Only of this device, feed or system.
        severity: Only of this severity.
        assignee: Only assigned to this person or section.
        closed: Verified ones instead.
        limit: Most rows.
        json: Print JSON.
    """
    wanted: dict[str, Any] = {"edge": edge, "device": device, "severity": severity}
    wanted |= {"state": state, "assignee": assignee}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    if state is None:
        wanted["closed"] = str(closed).lower()
    items: list[dict[str, Any]] = []
    while len(items) < limit:
        query = urlencode(wanted | {"limit": min(1000, limit - len(items))})
        page = _ask("GET", f"{_at(url)}?{query}")
        items += page["items"]
        if page["next"] is None:
            break
        wanted["cursor"] = page["next"]
    if json:
        print_json(items)
    else:
        print_table(_COLUMNS, ([item[c] for c in _COLUMNS] for item in items))


def event(
    id: str,  # noqa: A002  # what the API calls it
    step: Step | None = None,
    /,
    *,
    actor: str = "",
    comment: str = "",
    assignee: str = "",
    url: Url = HERE,
    json: bool = False,
) -> None:
    """Show one event with every step taken; with a step, take it first.

        tidegate collector event ev-5ea320d7ffb5f156871b assign --assignee "section 4"

    Args:
        id: As `events` prints it.
        step: accept, assign, handle, feedback, verify or reopen.
        actor: Who takes the step; left out: the user name.
        comment: Why, or what was done.
        assignee: For assign: the person or section.
        json: Print JSON.
    """
    where = f"{_at(url)}/{quote(id, safe='')}"
    if step is None:
        found = _ask("GET", where)
    else:
        body = {"actor": actor or getpass.getuser(), "comment": comment, "assignee": assignee}
        found = _ask("POST", f"{where}/{step}", body)
    if json:
        print_json(found)
        return
    print_pairs({name: found[name] for name in (*_COLUMNS, "text", "allowed", "intact")})
    console.print()
    columns = ("version", "time", "action", "actor", "assignee", "comment")
    print_table(columns, ([each[c] for c in columns] for each in found["steps"]))


def _at(url: str) -> str:
    return f"{url.rstrip('/')}/api/v1/events"


def _ask(method: str, url: str, body: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(asyncio.run(ask(method, url, body=body)))
    return found
