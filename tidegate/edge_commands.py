"""``tidegate edge command|commands``: ask a device to do something, and see what became of it."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter

from gateway_core.errors import GatewayError
from gateway_core.instant import to_rfc3339
from gateway_core.units import parse_duration
from tidegate.edge_history import CONFIG, Config, Url, admin_url
from tidegate.output import print_json, print_pairs, print_table
from tidegate.remote import ask
from tidegate.usage import WrongUsage

State = Literal[
    "accepted",
    "sent",
    "acknowledged",
    "confirmed",
    "refused",
    "failed",
    "expired",
    "unconfirmed",
]
_GOOD = {"accepted", "sent", "acknowledged", "confirmed"}
_WAIT_S = 30


def command(
    device: str,
    name: str,
    /,
    *,
    arg: list[str] = [],  # noqa: B006  # never changed
    ttl: str = "60s",
    by: str | None = None,
    wait: bool = False,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> int:
    """Send a command of its profile to a device; never after its time-to-live.

        tidegate edge command shellyplusplugs-a8032abe54dc switch --arg on=false --wait

    Args:
        device: The device's id.
        name: The command, as `tidegate profiles list` shows it.
        arg: name=value; may be repeated.
        ttl: How long it may wait for the device's broker before it expires; 1s to 7d.
        by: Who asks, for the audit; left out: the user of this shell.
        wait: Return once it has ended; exit status 1 unless the device did it, as far as can be
            known.
        json: Print JSON.
    """
    try:
        ttl_s = parse_duration(ttl)
    except ValueError as exc:
        raise WrongUsage(f"--ttl: {exc}") from exc
    words = dict(map(_pair, arg))
    body = {"device": device, "name": name, "words": words, "ttl_s": ttl_s, "by": by or _user()}
    admin = admin_url(config, url)
    found = asyncio.run(_order(admin, body, wait=wait))
    if json:
        print_json(found)
    else:
        print_pairs(_pairs(found))
        _print_steps(found)
    return 0 if found["state"] in _GOOD else 1


def commands(
    id: str | None = None,  # noqa: A002  # the name of what it is
    /,
    *,
    device: str = "",
    state: Annotated[State | None, Parameter(help="Only commands in this state.")] = None,
    limit: int = 100,
    config: Config = CONFIG,
    url: Url = None,
    json: bool = False,
) -> None:
    """List commands to devices, newest first, or show one with every step that it took.

        tidegate edge commands --state unconfirmed

    Args:
        id: Show this one.
        device: Only commands to this device.
        limit: Most rows, up to 1,000.
        json: Print JSON.
    """
    admin = admin_url(config, url)
    if id is not None:
        one = msgspec.json.decode(asyncio.run(ask("GET", f"{admin}/commands/{quote(id, safe='')}")))
        if json:
            print_json(one)
        else:
            print_pairs(_pairs(one))
            _print_steps(one)
        return
    wanted = urlencode(
        {k: v for k, v in (("device", device), ("state", state), ("limit", limit)) if v}
    )
    found = msgspec.json.decode(asyncio.run(ask("GET", f"{admin}/commands?{wanted}")))
    if json:
        print_json(found)
        return
    columns = ("id", "time", "device", "command", "args", "state", "reason", "by")
    print_table(
        columns,
        (
            (
                c["id"],
                to_rfc3339(c["accepted"]),
                c["device"],
                c["name"],
                _args(c),
                c["state"],
                c["reason"],
                c["by"],
            )
            for c in found["commands"]
        ),
    )


async def _order(admin: str, body: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    found = msgspec.json.decode(await ask("POST", f"{admin}/command", body=body))
    while wait:
        url = f"{admin}/commands/{found['id']}?wait={_WAIT_S}"
        found = msgspec.json.decode(await ask("GET", url))
        if found["ended"]:
            break
    if not isinstance(found, dict):
        raise GatewayError(f"{admin} gave no command back")
    return found


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise WrongUsage(f"--arg {text!r}: expected name=value")
    return name, value


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _pairs(found: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "device", "name", "args", "role", "by", "via", "address", "state", "reason")
    pairs = {name: found[name] for name in names} | {"args": _args(found)}
    return {**pairs, "detail": found["detail"], "expires": to_rfc3339(found["expires"])}


def _args(found: dict[str, Any]) -> str:
    return msgspec.json.encode(found["args"]).decode()


def _print_steps(found: dict[str, Any]) -> None:
    steps = found.get("transitions", ())
    if steps:
        columns = ("time", "state", "reason", "detail")
        rows = ((to_rfc3339(s["time"]), s["state"], s["reason"], s["detail"]) for s in steps)
        print_table(columns, rows)
