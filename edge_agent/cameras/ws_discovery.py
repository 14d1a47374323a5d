"""WS-Discovery (April 2005) as ONVIF uses it: probes, and what answers them. Sans I/O.

What a device says is a claim: sizes are limited, text is cut and made printable, and where it is
reached is decided by the datagram's source, never by an address inside (`Match.port_on`).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

from edge_agent.cameras.address import normal_host
from edge_agent.cameras.parse import Element, read_document
from gateway_core.errors import PayloadError

PORT = 3702
GROUPS = {4: "239.255.255.250", 6: "ff02::c"}
"""Where probes go for everybody on a link, by version of IP."""
MAX_DATAGRAM = 32 * 1024
MAX_MATCHES = 16
"""Of one answer; a device answers for itself."""
MAX_SCOPES, MAX_ADDRESSES, MAX_TEXT = 64, 8, 128
_DISCOVERY = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_TYPES = (
    ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter"),
    ("http://www.onvif.org/ver10/device/wsdl", "Device"),
)
"""Old devices answer for the first alone, some new ones for the second alone; some for neither
when both are asked for at once."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCOPE = re.compile(r"onvif://(?:www\.)?onvif\.org/", re.IGNORECASE)

Kind = Literal["match", "hello", "bye"]
_KINDS: dict[str, tuple[Kind, str]] = {
    "ProbeMatches": ("match", "ProbeMatch"),
    "Hello": ("hello", ""),
    "Bye": ("bye", ""),
}


@dataclass(frozen=True, slots=True)
class Match:
    """What a device says of itself.

    Attributes:
        endpoint: Its name for itself, mostly a ``urn:uuid:``; may be empty.
        types: Local names.
        scopes: As sent.
        addresses: URLs as sent.
    """

    endpoint: str
    types: tuple[str, ...]
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]

    @property
    def is_onvif(self) -> bool:
        """Whether it is a camera, a recorder or the like, and not a printer or a PC."""
        return "NetworkVideoTransmitter" in self.types or any(map(_SCOPE.match, self.scopes))

    def said(self, *categories: str) -> str:
        """Return what its scopes say in the first of these categories that they have."""
        for category in categories:
            values = [value for name, value in map(_split, self.scopes) if name == category]
            if any(values):
                return " ".join(filter(None, values))[:MAX_TEXT]
        return ""

    def port_on(self, host: str) -> int | None:
        """Return the port of its service at the host that it answered from.

        A device behind address translation names an address that is not it: that host is never
        asked, and its port is the best guess at this one.
        """
        places = [place for place in map(_place, self.addresses) if place is not None]
        own = [port for name, port in places if name == host]
        return next(iter((*own, *(port for _, port in places))), None)

    def foreign(self, host: str) -> tuple[str, ...]:
        """Return the addresses that point elsewhere than to the host it answered from."""
        return tuple(
            url for url in self.addresses if (place := _place(url)) is None or place[0] != host
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """One message of a device.

    Attributes:
        kind: An answer to a probe, or what it says unasked.
        relates_to: The UUID of the probe that it answers, in small letters; empty for none.
        matches: What it says of itself.
    """

    kind: Kind
    relates_to: str
    matches: tuple[Match, ...]


def probes() -> dict[str, bytes]:
    """Return new probes by their UUID: one for each type that ONVIF devices go by."""
    made = {}
    for namespace, name in _TYPES:
        key = str(uuid.uuid4())
        # On one line, and the prefixes declared where they are used: some devices know no better.
        made[key] = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
            f' xmlns:a="{_ADDRESSING}"><s:Header>'
            f'<a:Action s:mustUnderstand="1">{_DISCOVERY}/Probe</a:Action>'
            f"<a:MessageID>urn:uuid:{key}</a:MessageID>"
            f"<a:ReplyTo><a:Address>{_ADDRESSING}/role/anonymous</a:Address></a:ReplyTo>"
            '<a:To s:mustUnderstand="1">urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>'
            f'</s:Header><s:Body><d:Probe xmlns:d="{_DISCOVERY}">'
            f'<d:Types xmlns:d="{_DISCOVERY}" xmlns:dp0="{namespace}">dp0:{name}</d:Types>'
            "</d:Probe></s:Body></s:Envelope>"
        ).encode()
    return made


def read_announcement(data: bytes, asked: Collection[str] = ()) -> Announcement:
    """Read one datagram.

    Args:
        data: As it came.
        asked: UUIDs of the probes that an answer may answer.

    Raises:
        PayloadError: ``too_large``, ``incomplete``, ``not_discovery``, ``unasked``, or those of
            `read_document`.
    """
    if len(data) > MAX_DATAGRAM:
        raise PayloadError("too_large", f"{len(data)} bytes; at most {MAX_DATAGRAM}")
    document = read_document(data)
    if not document.complete:
        raise PayloadError("incomplete", "the message was cut short or damaged")
    body = document.root.find("Body")
    first = next(body.children(), None) if body is not None else None
    if first is None or first.name not in _KINDS:
        raise PayloadError("not_discovery", "expected ProbeMatches, Hello or Bye")
    kind, inner = _KINDS[first.name]
    named = _UUID.search(document.root.value("Header", "RelatesTo"))
    relates_to = named[0].lower() if named is not None else ""
    if kind == "match" and relates_to not in asked:
        raise PayloadError("unasked", "it answers none of our probes")
    elements = [each for each in first.children() if each.name == inner] if inner else [first]
    if len(elements) > MAX_MATCHES:
        raise PayloadError("too_large", f"more than {MAX_MATCHES} devices in one answer")
    return Announcement(kind, relates_to, tuple(map(_match, elements)))


def _match(element: Element) -> Match:
    types = element.value("Types").split()[:MAX_ADDRESSES]
    return Match(
        endpoint=_plain(element.value("EndpointReference", "Address")),
        types=tuple(_plain(each.rpartition(":")[2]) for each in types),
        scopes=tuple(each[: 4 * MAX_TEXT] for each in element.value("Scopes").split()[:MAX_SCOPES]),
        addresses=tuple(
            _plain(each, 4 * MAX_TEXT) for each in element.value("XAddrs").split()[:MAX_ADDRESSES]
        ),
    )


def _split(scope: str) -> tuple[str, str]:
    """Return what an ONVIF scope is about, and what it says, percent signs decoded."""
    if not (begin := _SCOPE.match(scope)):
        return "", ""
    category, _, value = scope[begin.end() :].partition("/")
    raw = unquote_to_bytes(value)
    for encoding in ("utf-8", "gb18030"):
        try:
            return category.lower(), _plain(raw.decode(encoding))
        except UnicodeDecodeError:
            continue
    return category.lower(), _plain(raw.decode("utf-8", "replace"))


def _plain(text: str, most: int = MAX_TEXT) -> str:
    """Return text that can be shown: cut, on one line, nothing invisible."""
    shown = "".join(char if char.isprintable() else " " for char in text[:most])
    return " ".join(shown.split())


def _place(url: str) -> tuple[str, int] | None:
    """Return host and port of an address; None where it has none that a device could have."""
    try:
        parts = urlsplit(url)
        host, port = normal_host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return (host, port or usual) if usual is not None else None
