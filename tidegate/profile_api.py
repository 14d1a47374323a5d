"""The centre's API of profiles, as the commands speak it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from gateway_core.errors import GatewayError
from tidegate.output import print_json, print_table
from tidegate.remote import exchange
from tidegate.usage import WrongUsage

By = Annotated[str, Parameter(help="Who does it, for the record; left out: the user name.")]
Json = Annotated[bool, Parameter(help="Print JSON.")]
Profile = Annotated[str, Parameter(help="vendor/model.")]
Versioned = Annotated[str, Parameter(help="vendor/model@version.")]


def split_version(text: str) -> tuple[str, str]:
    """Return profile and version of ``vendor/model@version``; raises `WrongUsage`."""
    profile, mark, version = text.partition("@")
    if not mark or profile.count("/") != 1:
        raise WrongUsage(f"{text!r}: expected vendor/model@version, as acme/thermo-1@1.1.0")
    return profile, version


def at(url: str, profile: str = "") -> str:
    """Return the address of the profiles, or of one; raises `WrongUsage`."""
    if profile and profile.count("/") != 1:
        raise WrongUsage(f"{profile!r}: expected vendor/model, as acme/thermo-1")
    return f"{url.rstrip('/')}/api/v1/profiles" + (f"/{profile}" if profile else "")


def call(method: str, url: str, body: Any = None) -> dict[str, Any]:
    """Return the answer.

    Raises:
        Unavailable: Nobody answers.
        GatewayError: The answer was an error; its own words say what to do.
    """
    found: dict[str, Any] = msgspec.json.decode(raw(method, url, body))
    return found


def raw(method: str, url: str, body: Any = None) -> bytes:
    """Return the answer; an error's own words if it is one."""
    headers = {"Accept": "application/json"}
    status, data = asyncio.run(exchange(method, url, body=body, headers=headers))
    if status >= 400:
        try:
            raise GatewayError(str(msgspec.json.decode(data)["detail"]))
        except (msgspec.MsgspecError, KeyError, TypeError) as exc:
            raise GatewayError(f"{url} answered {status}") from exc
    return data


def say(found: dict[str, Any], sentence: str, *, json: bool) -> None:
    """Print a sentence, or what was found as JSON."""
    if json:
        print_json(found)
    else:
        print(sentence)


def print_items(items: list[dict[str, Any]], columns: tuple[str, ...], *, json: bool) -> None:
    """Print rows, or all of them as JSON."""
    if json:
        print_json(items)
    else:
        print_table(columns, ([item.get(c) for c in columns] for item in items))
