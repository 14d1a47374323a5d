"""The few ONVIF operations that the patrol needs: requests and answers. Sans I/O.

ONVIF Core, Media (version 1.0) and Media 2 (version 2.0) service specifications.
"""

from __future__ import annotations

import calendar
import re
import sys
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit, urlunsplit
from xml.sax.saxutils import escape

from edge_agent.cameras.address import bracketed, normal_host
from edge_agent.cameras.parse import Document, Element
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

Service = Literal["device", "media", "media2", "events"]

_NAMESPACES: dict[Service, str] = {
    "device": "http://www.onvif.org/ver10/device/wsdl",
    "media": "http://www.onvif.org/ver10/media/wsdl",
    "media2": "http://www.onvif.org/ver20/media/wsdl",
    "events": "http://www.onvif.org/ver10/events/wsdl",
}
_SCHEMA = "http://www.onvif.org/ver10/schema"
DEFAULT_PATHS: dict[Service, str] = {
    "device": "/onvif/device_service",
    "media": "/onvif/media_service",
    "media2": "/onvif/media2_service",
    "events": "/onvif/event_service",
}
MAX_PROFILES = 512
"""A 128-channel NVR with three profiles each fits."""
_SHARED = 8
"""Profiles of a device that are looked for among those of others."""
MAX_TOKEN = 256
"""Characters; the specification allows 64."""
MAX_PATH = 1024


@dataclass(frozen=True, slots=True)
class Operation:
    """One request.

    Attributes:
        service: Which address it goes to.
        name: For example ``GetProfiles``.
        arguments: XML inside the request element.
        path: Where to ask instead of at the service's path; empty for there.
        header: XML for the SOAP header.
        waits_s: How long the device may keep us waiting beyond the ordinary.
        namespace: Of the request element, where it is not the service's.
        named_action: The SOAP action, where it is not namespace and name.
    """

    service: Service
    name: str
    arguments: str = ""
    path: str = ""
    header: str = ""
    waits_s: float = 0.0
    namespace: str = ""
    named_action: str = ""

    @property
    def body(self) -> str:
        """The SOAP body's element."""
        namespace = self.namespace or _NAMESPACES[self.service]
        return f'<{self.name} xmlns="{namespace}">{self.arguments}</{self.name}>'

    @property
    def action(self) -> str:
        """The SOAP action."""
        return self.named_action or f"{_NAMESPACES[self.service]}/{self.name}"


@dataclass(frozen=True, slots=True)
class DeviceInformation:
    """Who made the device; any of it may be empty."""

    manufacturer: str
    model: str
    firmware: str
    serial: str


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile.

    Attributes:
        token: Its key on the device.
        name: For people.
        codec: In upper case as the device says it, for example ``H264``; empty when unknown.
        size: (width, height) in pixels, or None.
        framerate: Frames a second, or None.
        sources: What the device calls its video source in other places: the source's token and
            that of the source's configuration, as far as they are told.
    """

    token: str
    name: str
    codec: str = ""
    size: tuple[int, int] | None = None
    framerate: float | None = None
    sources: frozenset[str] = frozenset()


GET_TIME = Operation("device", "GetSystemDateAndTime")
GET_INFORMATION = Operation("device", "GetDeviceInformation")
GET_CAPABILITIES = Operation("device", "GetCapabilities", "<Category>All</Category>")
GET_SERVICES = Operation("device", "GetServices", "<IncludeCapability>false</IncludeCapability>")


def get_profiles(service: Service) -> Operation:
    """Ask for all profiles; Media 2 gives their configuration only when asked for it."""
    return Operation(service, "GetProfiles", "<Type>All</Type>" if service == "media2" else "")


def get_stream_uri(service: Service, token: str) -> Operation:
    """Ask where a profile's stream is."""
    profile = f"<ProfileToken>{escape(token)}</ProfileToken>"
    if service == "media2":
        return Operation(service, "GetStreamUri", f"<Protocol>RTSP</Protocol>{profile}")
    setup = (
        f'<StreamSetup><Stream xmlns="{_SCHEMA}">RTP-Unicast</Stream>'
        f'<Transport xmlns="{_SCHEMA}"><Protocol>RTSP</Protocol></Transport></StreamSetup>'
    )
    return Operation(service, "GetStreamUri", setup + profile)


def get_snapshot_uri(service: Service, token: str) -> Operation:
    """Ask where a profile's still picture is."""
    return Operation(service, "GetSnapshotUri", f"<ProfileToken>{escape(token)}</ProfileToken>")


def read_time(document: Document) -> int | None:
    """Return the device's UTC clock in nanoseconds since 1970; None when it is not in there.

    Minutes and hours beyond their range, which devices do send, carry over.
    """
    utc = document.root.find("UTCDateTime")
    if utc is None:
        return None
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    numbers = [_integer(utc.value(name)) for name in names]
    if None in numbers:
        return None
    year, month, day, *rest = (number or 0 for number in numbers)
    if not (1970 <= year <= 2400 and 1 <= month <= 12 and 0 < day <= 31 and max(rest) < 100):
        return None
    return calendar.timegm((year, month, day, *rest)) * NS


@lru_cache(256)  # those of one sweep are nearly all the same
def read_http_date(value: str | None) -> int | None:
    """Return an HTTP ``Date`` header in nanoseconds since 1970, or None."""
    try:
        return int(parsedate_to_datetime(value or "").timestamp()) * NS
    except (ValueError, TypeError, OverflowError):
        return None


def read_information(document: Document) -> DeviceInformation:
    """Read the answer to `GET_INFORMATION`.

    Raises:
        PayloadError: ``missing_element``.
    """
    found = _required(document, "GetDeviceInformationResponse")
    return DeviceInformation(
        manufacturer=found.value("Manufacturer")[:128],
        model=found.value("Model")[:128],
        firmware=found.value("FirmwareVersion")[:128],
        serial=found.value("SerialNumber")[:128],
    )


def read_services(document: Document) -> dict[Service, str]:
    """Return the path of each known service, from `GET_SERVICES` or `GET_CAPABILITIES`."""
    paths: dict[Service, str] = {}
    for element in document.root.every("Service"):
        for service, namespace in _NAMESPACES.items():
            if element.value("Namespace").rstrip("/") == namespace:
                paths.setdefault(service, path_of(element.value("XAddr")))
    capabilities = document.root.find("Capabilities")
    if capabilities is not None and not paths:
        named: tuple[tuple[Service, str], ...] = (
            ("device", "Device"),
            ("media", "Media"),
            ("media2", "Media2"),
            ("events", "Events"),
        )
        for service, name in named:
            paths[service] = path_of(capabilities.value(name, "XAddr"))
    return {service: path for service, path in paths.items() if path}


def read_profiles(document: Document) -> tuple[Profile, ...]:
    """Read the answer to `get_profiles`, of either media service; at most `MAX_PROFILES`.

    Raises:
        PayloadError: ``missing_element``.
    """
    response = _required(document, "GetProfilesResponse")
    profiles: list[Profile] = []
    for element in response.every("Profiles"):
        token = element.attribute("token")
        if 0 < len(token) <= MAX_TOKEN and len(profiles) < MAX_PROFILES:
            profiles.append(_profile(element, token))
    found = tuple(profiles)
    return found if len(found) > _SHARED else _shared(found)


@lru_cache(256)
def _shared(profiles: tuple[Profile, ...]) -> tuple[Profile, ...]:
    """Return what cameras of one kind say alike as one object: it is 600 bytes a profile."""
    return profiles


def read_uri(document: Document) -> str:
    """Return the address in the answer to a Get...Uri request, unchecked.

    Raises:
        PayloadError: ``missing_element``.
    """
    uri = document.root.value("Body", "Uri")
    if not uri:
        raise PayloadError("missing_element", "expected Uri in the answer")
    return uri[:2048]


def repair_http(url: str, host: str, port: int) -> str:
    """Point an address that a device reports at the registered host; empty if it cannot be used.

    Behind address translation a device reports an address of its own network, and some name a
    cloud server of their maker: whatever it says, only the registered host is ever asked.

    Args:
        url: As reported.
        host: The registered host.
        port: The registered ONVIF port; taken where the device names another host.
    """
    try:
        parts = urlsplit(url.strip())
        own = normal_host(parts.hostname or "") == host
        given = parts.port or 80
    except ValueError:
        return ""
    if parts.scheme != "http":
        return ""
    netloc = f"{bracketed(host)}:{given if own else port}"
    path, _, query = path_of(url).partition("?")
    return urlunsplit(("http", netloc, path or "/", query, ""))


def _profile(element: Element, token: str) -> Profile:
    encoder = element.find("VideoEncoderConfiguration") or element.find(
        "Configurations", "VideoEncoder"
    )
    source = element.find("VideoSourceConfiguration") or element.find(
        "Configurations", "VideoSource"
    )
    names = (source.attribute("token"), source.value("SourceToken")) if source is not None else ()
    sources = frozenset(name for name in names if 0 < len(name) <= MAX_TOKEN)
    if encoder is None:
        return Profile(token, element.value("Name")[:128], sources=sources)
    width = _integer(encoder.value("Resolution", "Width"))
    height = _integer(encoder.value("Resolution", "Height"))
    rate = re.match(r"[0-9]{1,4}(?:\.[0-9]+)?", encoder.value("RateControl", "FrameRateLimit"))
    return Profile(
        token=token,
        name=element.value("Name")[:128],
        codec=encoder.value("Encoding").upper()[:32],
        size=(width, height) if width and height else None,
        framerate=float(rate[0]) if rate and float(rate[0]) > 0 else None,
        sources=sources,
    )


def _required(document: Document, name: str) -> Element:
    found = document.root.find(name)
    if found is None:
        raise PayloadError("missing_element", f"expected {name} in the answer")
    return found


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def path_of(url: str) -> str:
    """Return path and query of a service's address; its host and port are not believed."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if not parts.path.startswith("/"):
        return ""  # behind host and port it could make another host of them: x:@evil/
    path = re.sub(r"[^!-~]", "", parts.path)[:MAX_PATH]
    query = re.sub(r"[^!-~]", "", parts.query)[:MAX_PATH]
    return sys.intern(f"{path}?{query}" if path and query else path)  # cameras share it
