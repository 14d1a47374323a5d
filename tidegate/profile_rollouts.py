"""``tidegate collector profiles``: roll out, pin, try and take back, and which version it was."""

from __future__ import annotations

import getpass
import sys
import time
from typing import Annotated, Any
from urllib.parse import urlencode

from cyclopts import Parameter
from rich.progress import Progress

from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.profile_api import (
    By,
    Json,
    Profile,
    Versioned,
    at,
    call,
    print_items,
    say,
    split_version,
)
from tidegate.query import HERE, Url

_POLL_S = 1.0
_NAMED = 3
_EDGES = ("edge", "active", "shadow", "said", "version", "asked", "detail")
_ROLLED = ("number", "version", "stage", "canary", "edges", "since", "actor", "reason")
_SAID = ("received", "edge", "kind", "version", "previous", "messages", "refused", "differing")
_USES = ("edge", "version", "previous", "origin", "time", "epoch", "seq")


def pin(
    version: Versioned,
    /,
    *,
    edge: str = "",
    by: By = "",
    off: bool = False,
    url: Url = HERE,
    json: Json = False,
) -> None:
    """Hold edges at a version whatever is rolled out.

        tidegate collector profiles pin acme/thermo-1@1.0.0 --edge bz-edge-01

    Args:
        edge: Only this one; left out: all without a pin of their own.
        off: Let go instead.
    """
    profile, number = split_version(version)
    body = {"actor": by or getpass.getuser(), "edge": edge, "version": None if off else number}
    found = call("POST", f"{at(url, profile)}/pin", body)
    held = "follows roll-outs again" if off else f"is held at {number}"
    say(found, f"{profile} {held} on {edge or 'all edges'}", json=json)


def rollout(
    version: Versioned,
    /,
    *,
    canary: str = "",
    shadow: str = "0s",
    hold: str = "10m",
    edges: str = "all",
    by: By = "",
    url: Url = HERE,
    json: Json = False,
) -> None:
    """Bring a version to edges: compare, then one edge, then the rest; it goes back by itself.

        tidegate collector profiles rollout acme/thermo-1@1.1.0 --canary bz-edge-01 --shadow 24h

    Args:
        canary: Edge that goes first; left out: the first one; none: all at once.
        shadow: How long the version only compares beside the one in use.
        hold: How long a stage is watched before the next.
        edges: all, or ids with commas between.
    """
    profile, number = split_version(version)
    chosen = [] if edges == "all" else edges.split(",")
    body: dict[str, Any] = {"actor": by or getpass.getuser(), "version": number}
    body |= {"canary": canary, "shadow": shadow, "hold": hold, "edges": chosen}
    found = call("POST", f"{at(url, profile)}/rollout", body)
    say(found, f"{profile} {number}: {found['stage']}", json=json)


def rollback(
    profile: Annotated[str, Parameter(help="vendor/model, or vendor/model@version.")],
    /,
    *,
    by: By = "",
    reason: str = "",
    url: Url = HERE,
    json: Json = False,
) -> None:
    """Take the newest roll-out back; edges return to what was before with their next poll.

        tidegate collector profiles rollback acme/thermo-1@1.1.0 --reason "wrong unit"

    With a version only if the newest roll-out is of that one.

    Args:
        reason: Why, for the record.
    """
    profile, _, version = profile.partition("@")
    body = {"actor": by or getpass.getuser(), "reason": reason, "version": version or None}
    found = call("POST", f"{at(url, profile)}/rollback", body)
    say(found, f"{profile} {found['version']}: {found['stage']}", json=json)


def status(
    profile: Profile, /, *, kind: str | None = None, url: Url = HERE, json: Json = False
) -> None:
    """Show roll-outs, what each edge runs, and what edges said.

        tidegate collector profiles status acme/thermo-1 --kind shadow

    Args:
        kind: Only reports of this kind: applied, failed, running, shadow, backtest.
    """
    found = call("GET", f"{at(url, profile)}/rollouts")
    wanted = urlencode({"limit": 100} | ({"kind": kind} if kind else {}))
    said = call("GET", f"{at(url, profile)}/reports?{wanted}")["items"]
    if json:
        print_json(found | {"rollouts": found["items"], "reports": said})
        return
    print_table(_ROLLED, ([row[c] for c in _ROLLED] for row in found["items"]))
    console.print()
    print_table(_EDGES, ([row[c] for c in _EDGES] for row in found["edges"]))
    _print_reports(said)


def backtest(
    version: Versioned,
    /,
    *,
    since: str = "24h",
    limit: int = 100_000,
    edges: str = "all",
    wait: bool = False,
    by: By = "",
    url: Url = HERE,
    json: Json = False,
) -> int:
    """Try a version on the raw payloads that edges kept; only differences come back.

        tidegate collector profiles backtest acme/thermo-1@1.1.0 --since 7d --wait

    Args:
        since: How far back.
        limit: Most payloads of one edge.
        edges: all, or ids with commas between.
        wait: Until every edge has answered; exit status 1 if any message differs.
    """
    profile, number = split_version(version)
    chosen = [] if edges == "all" else edges.split(",")
    back = since if since.startswith("-") or not since[-1:].isalpha() else f"-{since}"
    body = {"actor": by or getpass.getuser(), "version": number, "since": back}
    asked = call("POST", f"{at(url, profile)}/backtest", body | {"limit": limit, "edges": chosen})
    if not wait:
        say(asked, f"task {asked['task']}: {', '.join(asked['edges'])}", json=json)
        return 0
    found = _wait(f"{at(url, profile)}/backtests/{asked['task']}", len(asked["edges"]))
    if json:
        print_json(found)
    else:
        _print_reports(found["reports"])
    return 1 if any(each["differing"] or each["detail"] for each in found["reports"]) else 0


def lineage(
    *,
    edge: str,
    profile: Profile,
    seq: int | None = None,
    epoch: str | None = None,
    received: str | None = None,
    url: Url = HERE,
    json: Json = False,
) -> None:
    """Say which version decoded a point; without --seq and --received list every change.

        tidegate collector profiles lineage --edge bz-edge-01 --profile acme/thermo-1 --seq 4711

    Args:
        edge: Whose.
        seq: The point's number in the edge's spool: exact.
        epoch: Of that spool; left out: the newest.
        received: When the edge received it: RFC 3339 or -1h.
    """
    if seq is None and received is None:
        items = call("GET", f"{at(url, profile)}/uses?{urlencode({'edge': edge})}")["items"]
        print_items(items, _USES, json=json)
        return
    wanted = {"edge": edge, "seq": seq, "epoch": epoch, "at": received}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    found = call("GET", f"{at(url, profile)}/lineage?{query}")
    if json:
        print_json(found)
    else:
        print_pairs(found)


def _wait(where: str, edges: int) -> dict[str, Any]:
    """Return what a backtest found once every edge has answered; show who has not."""
    on_terminal = sys.stderr.isatty()
    with Progress(console=console, transient=True, disable=not on_terminal) as bar:
        task = bar.add_task("", total=edges)
        while (found := call("GET", where))["waiting"]:
            waiting = ", ".join(found["waiting"][:_NAMED])
            bar.update(
                task,
                completed=edges - len(found["waiting"]),
                description=f"waiting for {waiting}",
            )
            time.sleep(_POLL_S)
    return found


def _print_reports(said: list[dict[str, Any]]) -> None:
    console.print()
    print_table(_SAID, ([row.get(c) for c in _SAID] for row in said))
    for row in said:
        for each in row["differences"]:
            change = f"{each['change']} {each['subject']}".strip()
            example = f": {each['before']} -> {each['after']}" if each["after"] else ""
            print(f"    {row['edge']} {row['version']} {change}: {each['count']}{example}")
        if row["detail"]:
            print(f"    {row['edge']} {row['version']} {row['kind']}: {row['detail']}")
