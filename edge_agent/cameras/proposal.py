"""What to make of a device that was found: is it known, and which row could be in the feeds file.

A row is a proposal for a person. Where the stream is asked for cannot be known without a login:
of some makers the usual path is put in, and the note says that it is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import msgspec

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.sightings import Sighting

COLUMNS = ("id", "name", "host", "onvif_port", "rtsp_url")
_USUAL_PATHS = {
    "hikvision": "/Streaming/Channels/101",
    "dahua": "/cam/realmonitor?channel=1&subtype=0",
    "axis": "/axis-media/media.amp",
    "uniview": "/media/video1",
}
"""From the makers' manuals; the main stream of the first channel."""
_FORMULA = "=+-@"


class Proposal(msgspec.Struct, frozen=True):
    """One device that was found.

    Attributes:
        host: The address that it answered from.
        port: Of its ONVIF service, as it says; None when it says none.
        name: From its scopes, as all that follows.
        interface: Where it was seen; empty when it was asked by its address.
        endpoint: Its name for itself.
        addresses: URLs that it gave.
        known: Feeds of the feeds file on this host.
        also: Other addresses that the same endpoint answered from.
        notes: What a person should know: ``address_elsewhere``, ``path_guessed``,
            ``path_unknown``, ``link_local``.
        row: For the feeds file, by column; None when it is known.
    """

    host: str
    port: int | None
    name: str
    hardware: str
    manufacturer: str
    location: str
    types: tuple[str, ...]
    profiles: str
    interface: str
    endpoint: str
    addresses: tuple[str, ...]
    known: tuple[str, ...]
    also: tuple[str, ...]
    notes: tuple[str, ...]
    row: dict[str, str] | None


def propose(
    sightings: Sequence[Sighting],
    feeds: Mapping[str, Feed],
    named: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> list[Proposal]:
    """Return what to make of each device, those that nobody knows first.

    Args:
        sightings: What was found.
        feeds: What the site knows.
        named: Addresses of hosts that the feeds file has by name.
    """
    at: dict[str, list[str]] = {}
    for feed in feeds.values():
        for host in (feed.host, *named.get(feed.host, ())):
            at.setdefault(host, []).append(feed.id)
    hosts: dict[str, list[str]] = {}
    for sighting in sightings:
        if sighting.match.endpoint:
            hosts.setdefault(sighting.match.endpoint, []).append(sighting.host)
    taken = set(feeds)
    found = []
    for sighting in sightings:
        also = [each for each in hosts.get(sighting.match.endpoint, ()) if each != sighting.host]
        proposal = _propose(sighting, at.get(sighting.host, ()), also, taken)
        if proposal.row is not None:
            taken.add(proposal.row["id"])
        found.append(proposal)
    return sorted(found, key=lambda each: bool(each.known))


def _propose(
    sighting: Sighting, known: Sequence[str], also: Sequence[str], taken: Collection[str]
) -> Proposal:
    host, match = sighting.host, sighting.match
    name, hardware = match.said("name"), match.said("hardware")
    maker = match.said("manufacturer", "mfr")
    port = match.port_on(host)
    path = _path(f"{maker} {name} {hardware}")
    notes = ["address_elsewhere"] if match.foreign(host) else []
    row = None
    if not known:
        notes.append("path_guessed" if path else "path_unknown")
        row = {
            "id": _id(host, taken),
            "name": name.lstrip(_FORMULA) or hardware.lstrip(_FORMULA),
            "host": host,
            "onvif_port": str(port or ""),
            "rtsp_url": f"rtsp://{bracketed(host)}{path}" if path else "",
        }
    if "%" in host:
        notes.append("link_local")
    return Proposal(
        host=host,
        port=port,
        name=name,
        hardware=hardware,
        manufacturer=maker,
        location=match.said("location"),
        types=match.types,
        profiles=match.said("profile"),
        interface=sighting.interface,
        endpoint=match.endpoint,
        addresses=match.addresses,
        known=tuple(known),
        also=tuple(also),
        notes=tuple(notes),
        row=row,
    )


def _path(about: str) -> str:
    words = about.lower()
    return next((path for maker, path in _USUAL_PATHS.items() if maker in words), "")


def _id(host: str, taken: Collection[str]) -> str:
    base = "cam-" + re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")
    number = 1
    while (name := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return name
