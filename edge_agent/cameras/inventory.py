"""Which feeds exist, as they are in memory, and what a new listing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.cameras.address import RtspAddress, bracketed


@dataclass(frozen=True, slots=True)
class Credential:
    """A login; the password never shows in a repr, a log or a URL."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Feed:
    """One video feed.

    Attributes:
        id: Unique in the file.
        host: In the spelling of `address.normal_host`.
        rtsp: Its host equals ``host``.
        onvif_port: None when the device is not asked over ONVIF.
        credential: None when the feed needs no login.
        area: Code of the area tree; may be empty.
        lat: Degrees north, WGS-84.
        lon: Degrees east, WGS-84.
        group: What it shares a fate with (an NVR, a switch); may be empty.
        gb_code: Its 20-digit code of GB/T 28181; may be empty.
        login_trouble: Why its password cannot be used; there is no credential then.
    """

    id: str
    host: str
    rtsp: RtspAddress
    name: str = ""
    onvif_port: int | None = None
    credential: Credential | None = None
    area: str = ""
    lat: float | None = None
    lon: float | None = None
    group: str = ""
    gb_code: str = ""
    login_trouble: str = ""

    @property
    def place(self) -> str:
        """What counts as one device: host and RTSP port. Channels of an NVR share it."""
        return f"{bracketed(self.host)}:{self.rtsp.port}"


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reload did to the inventory; each feed is in one of the three."""

    added: tuple[Feed, ...]
    changed: tuple[Feed, ...]
    removed: tuple[Feed, ...]


def compare(old: Mapping[str, Feed], new: Mapping[str, Feed]) -> Changes:
    """Return what changes when ``new`` takes the place of ``old``; both are keyed by feed id."""
    return Changes(
        added=tuple(feed for key, feed in new.items() if key not in old),
        changed=tuple(feed for key, feed in new.items() if key in old and old[key] != feed),
        removed=tuple(feed for key, feed in old.items() if key not in new),
    )
