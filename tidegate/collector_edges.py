"""``tidegate collector edges``: the edges that were heard from, and invitations for new ones."""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from collector.certificates import load_authority
from collector.config import EDGE_ID, EnrolSection, load_collector_config
from collector.registry.database import open_database
from collector.registry.invitations import Invitations
from gateway_core.clock import NS, wall_ns
from gateway_core.errors import ConfigError, Fault
from gateway_core.instant import to_rfc3339
from gateway_core.invitation import SECRET_BYTES, Invitation, write_invitation
from gateway_core.units import parse_duration
from tidegate.listing import get
from tidegate.output import console, print_json, print_table
from tidegate.query import HERE, Url
from tidegate.remote import ask
from tidegate.usage import WrongUsage

app = App(name="edges")
_LONGEST_S = 7 * 86_400


@app.default
def show(*, url: Url = HERE, json: bool = False) -> None:
    """List the edges that were heard from.

        tidegate collector edges

    Args:
        json: Print JSON.
    """
    items = get(url, "edges")["items"]
    if json:
        print_json(items)
        return
    columns = ("id", "state", "lag_s", "backlog", "residual", "records", "last_contact")
    print_table(columns, ([item[c] for c in columns] for item in items))


@app.command
def trust(edge: str, /, *, url: Url = HERE) -> None:
    """Let an edge's next daily balance be signed by another key, because its key was replaced.

        tidegate collector edges trust bz-edge-01

    Do this after its data folder was lost or its identity.key was damaged, and for no other reason:
    the balances of the former key are kept apart, a new chain begins.
    """
    asyncio.run(ask("POST", f"{url.rstrip('/')}/api/v1/edges/{edge}/balances/trust"))
    console.print(f"the next balance of {edge} may be signed by another key")


@app.command
def invite(
    edge: str,
    /,
    *,
    ttl: str = "15m",
    config: Annotated[Path, Parameter(help="The centre's collector.yaml.")] = Path(
        "collector.yaml"
    ),
    json: bool = False,
) -> None:
    """Print an invitation with which one edge can enrol once; an earlier one ends.

        tidegate collector edges invite bz-edge-01 > invitation.txt

    Args:
        edge: The edge's id.
        ttl: How long it holds, up to 7d.
        json: Print JSON.
    """
    if not re.fullmatch(EDGE_ID, edge):
        raise WrongUsage(f"{edge[:80]!r} is no edge's id: a-z, 0-9, dot, dash, underscore")
    try:
        for_s = parse_duration(ttl)
    except ValueError as exc:
        raise WrongUsage(f"--ttl: {exc}") from exc
    if not 1 <= for_s <= _LONGEST_S:
        raise WrongUsage("--ttl: expected 1s to 7d")
    settings = load_collector_config(config)
    if settings.enrol is None:
        message = "is not there; docs/how-to/tls.md says what to write"
        raise ConfigError(Fault(config, 0, 0, "enrol", message))
    now = wall_ns()
    until = now + int(for_s * NS)
    text = asyncio.run(_invite(settings.registry_url, settings.enrol, edge, now, until))
    if json:
        print_json({"edge": edge, "invitation": text, "until": to_rfc3339(until)})
    else:
        print(text)


async def _invite(url: str, enrol: EnrolSection, edge: str, now: int, until: int) -> str:
    authority = load_authority(enrol.ca_cert_file, enrol.ca_key_file, now)
    secret = secrets.token_bytes(SECRET_BYTES)
    async with open_database(url) as database:
        await Invitations(database).invite(edge, secret, now, until)
    return write_invitation(Invitation(edge, enrol.url, authority.sha256, secret))
