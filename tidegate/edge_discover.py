"""``tidegate edge camera discover``: which devices are there that the feeds file does not name."""

from __future__ import annotations

import asyncio
import csv
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import structs
from rich.progress import Progress

from edge_agent.cameras.address import is_address
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.proposal import COLUMNS, Proposal, propose
from edge_agent.cameras.search import (
    Ask,
    Findings,
    addresses_of,
    hosts_of,
    multicast_interfaces,
    parse_networks,
    search,
)
from edge_agent.cameras.ws_discovery import PORT
from edge_agent.config import load_edge_config
from gateway_core.errors import GatewayError
from gateway_core.units import parse_duration
from tidegate.edge_history import CONFIG, Config
from tidegate.output import console, print_json, print_table
from tidegate.usage import WrongUsage

_NAMES_S = 5.0
_ADVICE = {
    "address_elsewhere": "gives an address that is not its own; it is not used",
    "path_guessed": "the stream's path is the maker's usual one, a guess",
    "path_unknown": "put the stream's path into rtsp_url",
    "link_local": "answers from a link-local address; give it a lasting one first",
}


def discover(
    *,
    interface: Annotated[list[str], Parameter(negative=())] = [],  # noqa: B006  # never changed
    probe: Annotated[list[str], Parameter(negative=())] = [],  # noqa: B006
    rate: float = 500.0,
    wait: str = "3s",
    port: int = PORT,
    out: Annotated[Path | None, Parameter(name="--csv")] = None,
    config: Config = CONFIG,
    json: bool = False,
) -> None:
    """Search for ONVIF devices, and propose rows for the feeds file; adds nothing by itself.

        tidegate edge camera discover --interface eth0

        tidegate edge camera discover --probe 10.1.2.0/24 --csv found.csv

    Where neither is given, every interface that is up is asked. No device is connected to, and
    none is sent a password.

    Args:
        interface: Ask everybody on this interface (IPv4 and IPv6 multicast); may be repeated.
        probe: Ask each address of this subnet; may be repeated; 65,536 addresses at most.
        rate: Addresses of subnets that are asked a second.
        wait: How long to listen after the last question.
        port: Where devices listen.
        out: Write rows for the devices that the feeds file does not name, for `edge camera import
            FILE --keep`.
        json: Print JSON.
    """
    ask = _ask(interface, probe, rate, wait, port)
    feeds = _feeds(config)
    found, named = asyncio.run(_search(ask, feeds))
    proposals = propose(found.sightings, feeds, named)
    if out is not None:
        _write(out, proposals)
    if json:
        print_json(
            {
                "devices": [structs.asdict(each) for each in proposals],
                "interfaces": ask.interfaces,
                "sent": found.sent,
                "unsent": found.unsent,
                "ignored": found.ignored,
            }
        )
        return
    _print(proposals)
    _say("not sent", found.unsent)
    _say("ignored", found.ignored)
    where = [*ask.interfaces, *map(str, ask.networks)]
    new = sum(each.row is not None for each in proposals)
    print(f"{len(proposals)} devices on {', '.join(where)}; {new} are not in the feeds file")
    if out is not None:
        print(f"wrote {out}: complete it, then: tidegate edge camera import {out} --keep")


def _ask(
    interfaces: Sequence[str], networks: Sequence[str], rate: float, wait: str, port: int
) -> Ask:
    there = [name for _, name in socket.if_nameindex()]
    if unknown := [name for name in interfaces if name not in there]:
        raise WrongUsage(f"--interface {unknown[0]!r} is not there; there are {', '.join(there)}")
    try:
        listed, wait_s = parse_networks(networks), parse_duration(wait)
    except ValueError as exc:
        raise WrongUsage(str(exc)) from exc
    if not 1 <= rate <= 10_000 or not 0 <= wait_s <= 60 or not 0 < port < 65536:
        raise WrongUsage("expected --rate from 1 to 10000, --wait up to 60s, --port up to 65535")
    chosen = interfaces or ([] if listed else multicast_interfaces())
    if not chosen and not listed:
        raise WrongUsage("no interface is up; name a subnet with --probe")
    return Ask(chosen, listed, rate, wait_s, port)


def _feeds(config: Path) -> Mapping[str, Feed]:
    """Return the feeds that the site knows; none where there is no site yet."""
    if config == CONFIG and not config.exists():
        print(f"there is no {config} here: no device counts as known", file=sys.stderr)
        return {}
    cameras = load_edge_config(config).cameras
    if cameras is None or not cameras.file.exists():
        return {}
    return load_feeds(cameras.file, cameras.key_file)


async def _search(ask: Ask, feeds: Mapping[str, Feed]) -> tuple[Findings, dict[str, set[str]]]:
    names = {feed.host for feed in feeds.values() if not is_address(feed.host)}
    named = await addresses_of(names, _NAMES_S)
    total = 2 * sum(1 for _ in hosts_of(ask.networks))
    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with shown as bar:
        task = bar.add_task("asking", total=total or None)
        try:
            found = await search(ask, lambda number: bar.update(task, completed=number))
        except OSError as exc:
            raise GatewayError(f"the search failed: {exc.strerror or exc}") from exc
    return found, named


def _print(proposals: Sequence[Proposal]) -> None:
    columns = ("host", "port", "name", "hardware", "location", "known as", "to note")
    rows = (
        (
            each.host,
            each.port,
            each.name,
            each.hardware,
            each.location,
            each.known,
            "; ".join(_ADVICE[note] for note in each.notes),
        )
        for each in proposals
    )
    print_table(columns, rows)


def _say(what: str, counts: Mapping[str, int]) -> None:
    if counts:
        told = ", ".join(f"{reason}: {count}" for reason, count in counts.items())
        print(f"{what}: {told}", file=sys.stderr)


def _write(out: Path, proposals: Sequence[Proposal]) -> None:
    rows = [each.row for each in proposals if each.row is not None]
    try:
        with out.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as exc:
        raise GatewayError(f"{out} cannot be written: {exc.strerror}") from exc
