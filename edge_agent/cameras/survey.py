"""One ONVIF check of a feed: clock, identity, and where its still picture is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from edge_agent.cameras.evidence import DeviceCheck, DeviceFault
from edge_agent.cameras.exchange import OnvifError
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.onvif import (
    GET_CAPABILITIES,
    GET_INFORMATION,
    GET_SERVICES,
    GET_TIME,
    Service,
    get_profiles,
    get_snapshot_uri,
    get_stream_uri,
    read_information,
    read_profiles,
    read_services,
    read_time,
    read_uri,
    repair_http,
)
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.parse import Document
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

log = structlog.get_logger()

MAX_STREAMS = 64
"""How many stream addresses are asked for when looking for a feed's own profile."""


DEADLINE_S = 30.0
"""For all questions together; what was learned until then is not asked again."""
_GONE = frozenset({"onvif_unreachable", "onvif_timeout"})
_SHUT = _GONE | {"onvif_auth_failed", "onvif_limit"}
"""Faults after which another question to the same device is of no use."""


@dataclass(slots=True)
class _Found:
    """What one survey has brought so far; it stands when the rest goes wrong."""

    changed: bool = False
    profile: str = ""
    snapshot_url: str = ""
    lost: list[str] = field(default_factory=list)

    def whole(self, name: str, document: Document) -> Document:
        """Note when an answer has lost something."""
        if not document.complete:
            self.lost.append(name)
        return document


async def survey(
    client: OnvifClient, feed: Feed, device: Device, skew_limit_s: float
) -> DeviceCheck:
    """Ask a device about itself; every way it can go wrong is a fault, none is raised.

    Args:
        client: To ask with.
        feed: Its ``onvif_port`` must be set.
        device: What is known; brought up to date.
        skew_limit_s: A clock further off than this is a fault.
    """
    faults: list[DeviceFault] = []
    details: list[str] = []
    found = _Found()
    try:
        async with asyncio.timeout(DEADLINE_S):
            await client.find(feed, device)
            await _learn_clock(client, feed, device)
            await _learn_identity(client, feed, device, found)
            if found.changed or not device.profiles:
                await _learn_profiles(client, feed, device, found)
            await _find_snapshot(client, feed, device, found)
    except TimeoutError:
        faults, details = ["onvif_timeout"], [f"not through within {DEADLINE_S:g} s"]
    except OnvifError as exc:
        faults, details = [exc.fault], [exc.detail]
    except PayloadError as exc:
        faults, details = ["onvif_malformed"], [str(exc)]
    except Exception as exc:  # one device must not end the visits to all
        log.exception("survey_broke", feed=feed.id)
        details = [f"a fault of this program: {type(exc).__name__}"]
    if found.lost:
        details.append(f"cut short or damaged: {', '.join(found.lost)}")
    skew_s = None if device.offset_ns is None else device.offset_ns / NS
    if skew_s is not None and abs(skew_s) > skew_limit_s:
        faults.append("clock_skew")
    return DeviceCheck(
        faults=tuple(faults),
        skew_s=skew_s,
        identity=device.identity,
        changed=found.changed,
        snapshot_url=found.snapshot_url,
        detail="; ".join(details),
        profile=found.profile,
    )


async def _learn_clock(client: OnvifClient, feed: Feed, device: Device) -> None:
    """Read the clock before anything that needs a login: a token made with ours may be refused."""
    device.skew_ns = device.http_skew_ns = None
    try:
        document = await client.call(feed, device, GET_TIME, anonymous=True)
        client.learn_skew(device, read_time(document))
    except OnvifError as exc:
        if exc.fault in _GONE:
            raise


async def _learn_identity(client: OnvifClient, feed: Feed, device: Device, found: _Found) -> None:
    """Notice another device, or another firmware, than last time."""
    document = await client.call(feed, device, GET_INFORMATION)
    told = read_information(found.whole("GetDeviceInformation", document))
    identity = " ".join(
        part for part in (told.manufacturer, told.model, told.firmware, told.serial) if part
    )
    found.changed = device.identity not in {"", identity}
    device.identity = identity


async def _learn_profiles(client: OnvifClient, feed: Feed, device: Device, found: _Found) -> None:
    device.paths = await _learn_paths(client, feed, device)
    failed: OnvifError | PayloadError | None = None
    for service in _media_services(device):
        try:
            document = await client.call(feed, device, get_profiles(service))
            profiles = read_profiles(found.whole("GetProfiles", document))
        except (OnvifError, PayloadError) as exc:
            if _shut(exc):
                raise
            failed = failed or exc
            continue
        device.media, device.profiles, device.streams = service, profiles, {}
        if profiles:
            return
    if failed is not None:
        raise failed


async def _learn_paths(client: OnvifClient, feed: Feed, device: Device) -> dict[Service, str]:
    """Return what the device tells of its services, in the newer way or in the older one.

    A device that tells nothing is asked at the usual paths.
    """
    for operation in (GET_SERVICES, GET_CAPABILITIES):
        try:
            paths = read_services(await client.call(feed, device, operation))
        except OnvifError as exc:
            if _shut(exc):
                raise
            continue
        if paths:
            return paths
    return {}


def _media_services(device: Device) -> tuple[Service, ...]:
    """Return what to ask for profiles: Media 2 first where it exists, only there H.265 is told.

    A device that tells of neither may still have one: GetCapabilities has no word for Media 2.
    """
    if "media2" not in device.paths:
        return ("media", "media2")
    return ("media2", "media") if "media" in device.paths else ("media2",)


async def _find_snapshot(client: OnvifClient, feed: Feed, device: Device, found: _Found) -> None:
    """Find the feed's own profile and its still picture, as far as they can be told."""
    lost = "GetProfiles" in found.lost
    found.profile = token = await _own_profile(client, feed, device, some_lost=lost)
    if lost:
        device.profiles = ()  # ask again next time
    if not token:
        return
    try:
        # Media 2 answers with the same operation name and the same element.
        document = await client.call(feed, device, get_snapshot_uri(device.media, token))
        uri = read_uri(document)
    except (OnvifError, PayloadError) as exc:
        if _shut(exc):
            raise
        return  # many have no still picture, and tell it in many ways
    found.snapshot_url = repair_http(uri, feed.host, feed.onvif_port or 80)


async def _own_profile(client: OnvifClient, feed: Feed, device: Device, *, some_lost: bool) -> str:
    wanted = _path(feed.rtsp.url)
    for profile in device.profiles[:MAX_STREAMS]:
        if profile.token not in device.streams:
            operation = get_stream_uri(device.media, profile.token)
            try:
                uri = read_uri(await client.call(feed, device, operation))
            except (OnvifError, PayloadError) as exc:
                if _shut(exc):
                    raise
                uri = ""
            device.streams[profile.token] = _path(uri)
        if device.streams[profile.token] == wanted:
            return profile.token
    # One profile can only be this feed's, whatever address it reports.
    only = len(device.profiles) == 1 and not some_lost
    return device.profiles[0].token if only else ""


def _shut(error: OnvifError | PayloadError) -> bool:
    return isinstance(error, OnvifError) and error.fault in _SHUT


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = parts.path.rstrip("/")
    return f"{path}?{parts.query}" if parts.query else path
