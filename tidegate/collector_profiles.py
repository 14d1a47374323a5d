"""``tidegate collector profiles``: what the operator does with published versions."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cyclopts import App

from device_profiles.signing import load_public
from tidegate import profile_rollouts
from tidegate.output import console, print_json, print_pairs, print_table
from tidegate.profile_api import (
    By,
    Json,
    Profile,
    Versioned,
    at,
    call,
    print_items,
    raw,
    say,
    split_version,
)
from tidegate.query import HERE, Url

app = App(name="profiles", help="Profile versions: decide, roll out, try, take back.")
app.command(profile_rollouts.pin)
app.command(profile_rollouts.rollout)
app.command(profile_rollouts.rollback)
app.command(profile_rollouts.status)
app.command(profile_rollouts.backtest)
app.command(profile_rollouts.lineage)

_LISTED = ("id", "version", "state", "origin", "versions", "pending")


@app.command(name="list")
def list_(*, q: str = "", state: str | None = None, url: Url = HERE, json: Json = False) -> None:
    """List profiles that ship or were published.

        tidegate collector profiles list --state pending

    Args:
        q: Only with this text in the id.
        state: Only with a version in this state: pending, published, rejected, deprecated,
            withdrawn.
    """
    items: list[dict[str, Any]] = []
    wanted = {"q": q, "limit": "1000"} | ({"state": state} if state else {})
    while True:
        page = call("GET", f"{at(url)}?{urlencode(wanted)}")
        items += page["items"]
        if page["next"] is None:
            break
        wanted["cursor"] = page["next"]
    print_items(items, _LISTED, json=json)


@app.command
def show(profile: Profile, /, *, url: Url = HERE, json: Json = False) -> None:
    """Show every version with its gates, and who did what.

    tidegate collector profiles show acme/thermo-1
    """
    versions = call("GET", f"{at(url, profile)}/versions")["items"]
    done = call("GET", f"{at(url, profile)}/history")["items"]
    if json:
        print_json({"versions": versions, "history": done})
        return
    for each in versions:
        gates = [f"{r['gate']}: {r['detail']}" for r in each.get("results", ())]
        asked = [f"{q['question']} ({q['about']})" for q in each.get("questions", ())]
        about = {"version": each["version"], "state": each["state"], "sha256": each.get("sha256")}
        print_pairs(about | {"key": each.get("key"), "gates": gates, "to judge": asked})
        console.print()
    columns = ("time", "actor", "action", "version", "detail")
    print_table(columns, ([row[c] for c in columns] for row in done))


def _add_decision(name: str, doc: str) -> None:
    def decide(
        version: Versioned,
        /,
        *,
        by: By = "",
        reason: str = "",
        successor: str = "",
        url: Url = HERE,
        json: Json = False,
    ) -> None:
        profile, number = split_version(version)
        body = {"actor": by or getpass.getuser(), "reason": reason, "successor": successor}
        where = f"{at(url, profile)}/versions/{quote(number, safe='')}/{name}"
        found = call("POST", where, body)
        say(found, f"{profile} {number} is {found['state']}", json=json)

    decide.__doc__ = f"""{doc}

        tidegate collector profiles {name} acme/thermo-1@1.1.0 --by operations --reason "read it"

    Args:
        reason: Why, for the record.
        successor: For deprecate: what to use instead.
    """
    app.command(decide, name=name)


_add_decision("approve", "Publish a version that waits for a person.")
_add_decision("reject", "Refuse a version that waits for a person.")
_add_decision("deprecate", "Say that there is something better; edges keep using it.")
_add_decision("withdraw", "Take a version away from every edge: it is unsafe or wrong.")


@app.command
def trust(
    vendor: str,
    keyfile: Path,
    /,
    *,
    by: By = "",
    revoke: bool = False,
    url: Url = HERE,
    json: Json = False,
) -> None:
    """Let a key publish one vendor's profiles.

        tidegate collector profiles trust acme acme.key.pub --by operations

    Args:
        vendor: What its profiles' ids begin with.
        keyfile: The public key, FILE.pub.
        revoke: Let it publish nothing more.
    """
    key, actor = load_public(keyfile), by or getpass.getuser()
    where = f"{url.rstrip('/')}/api/v1/profile-keys"
    if revoke:
        found = call("POST", f"{where}/{vendor}/{key.id}/revoke", {"actor": actor})
    else:
        found = call("POST", where, {"vendor": vendor, "pem": key.pem, "actor": actor})
    what = "publishes nothing more of" if revoke else "may publish profiles of"
    say(found, f"key {found['key']} {what} {vendor}", json=json)


@app.command
def keys(*, registry: bool = False, url: Url = HERE, json: Json = False) -> None:
    """List the keys of vendors.

        tidegate collector profiles keys --registry > registry.pub

    Args:
        registry: Print this registry's own public key instead: catalogue.key_file of an edge.
    """
    where = f"{url.rstrip('/')}/api/v1/profile-keys"
    if registry:
        print(raw("GET", f"{where}/registry").decode(), end="")
        return
    print_items(
        call("GET", where)["items"], ("vendor", "key", "added", "added_by", "revoked"), json=json
    )
