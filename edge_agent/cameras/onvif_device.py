"""What is known of one ONVIF device between two checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from edge_agent.cameras.onvif import Profile, Service
from edge_agent.cameras.soap import SoapVersion

Way = Literal["none", "token", "digest", "both"]


@dataclass(slots=True)
class Device:
    """What has been learned about one ONVIF device; kept between checks.

    Attributes:
        way: How it wants to be logged in to.
        soap: Which SOAP it answers.
        addresses: Where it is, those that did not answer left out; empty until looked up.
        skew_ns: Its clock minus ours, as it tells it; None until it is known.
        http_skew_ns: The same by the ``Date`` of its answers, for a device that does not tell.
        paths: Path of each service.
        identity: Manufacturer, model, firmware and serial number; empty until known.
        media: Which media service its profiles come from.
        profiles: As last read whole.
        streams: Profile token to the path and query of its stream.
    """

    way: Way = "none"
    soap: SoapVersion = "1.2"
    addresses: list[str] = field(default_factory=list)
    skew_ns: int | None = None
    http_skew_ns: int | None = None
    paths: dict[Service, str] = field(default_factory=dict)
    identity: str = ""
    media: Service = "media"
    profiles: tuple[Profile, ...] = ()
    streams: dict[str, str] = field(default_factory=dict)

    @property
    def offset_ns(self) -> int | None:
        """Its clock minus ours by the best that is known; None when nothing is."""
        return self.http_skew_ns if self.skew_ns is None else self.skew_ns
