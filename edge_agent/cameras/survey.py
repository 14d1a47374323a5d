"""One ONVIF check of a feed: clock, identity, and where its still picture is."""

from __future__ import annotations

from urllib.parse import urlsplit

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
from edge_agent.cameras.onvif_client import Device, OnvifClient
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

MAX_STREAMS = 64
"""How many stream addresses are asked for when looking for a feed's own profile."""


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
    snapshot_url = detail = ""
    changed = False
    try:
        await _learn_clock(client, feed, device)
        changed = await _learn_identity(client, feed, device)
        if changed or not device.profiles:
            await _learn_profiles(client, feed, device)
        snapshot_url = await _find_snapshot(client, feed, device)
    except OnvifError as exc:
        faults, detail = [exc.fault], exc.detail
    except PayloadError as exc:
        faults, detail = ["onvif_malformed"], str(exc)
    skew_s = None if device.skew_ns is None else device.skew_ns / NS
    if skew_s is not None and abs(skew_s) > skew_limit_s:
        faults.append("clock_skew")
    return DeviceCheck(
        faults=tuple(faults),
        skew_s=skew_s,
        identity=device.identity,
        changed=changed,
        snapshot_url=snapshot_url,
        detail=detail,
    )


async def _learn_clock(client: OnvifClient, feed: Feed, device: Device) -> None:
    """Read the clock before anything that needs a login: a token made with ours may be refused."""
    device.skew_ns = None
    try:
        document = await client.call(feed, device, GET_TIME, anonymous=True)
        client.learn_skew(device, read_time(document))
    except OnvifError as exc:
        if exc.fault in {"onvif_unreachable", "onvif_timeout"}:
            raise


async def _learn_identity(client: OnvifClient, feed: Feed, device: Device) -> bool:
    """Return whether it is another device, or another firmware, than last time."""
    found = read_information(await client.call(feed, device, GET_INFORMATION))
    identity = " ".join(
        part for part in (found.manufacturer, found.model, found.firmware, found.serial) if part
    )
    changed = device.identity not in {"", identity}
    device.identity = identity
    return changed


async def _learn_profiles(client: OnvifClient, feed: Feed, device: Device) -> None:
    try:
        device.paths = read_services(await client.call(feed, device, GET_SERVICES))
    except OnvifError as exc:
        if exc.fault != "onvif_fault":
            raise
        device.paths = read_services(await client.call(feed, device, GET_CAPABILITIES))
    # Media 2 first where it exists: only there H.265 is told.
    services: tuple[Service, ...] = ("media2", "media") if "media2" in device.paths else ("media",)
    for service in services:
        try:
            document = await client.call(feed, device, get_profiles(service))
        except OnvifError as exc:
            if exc.fault != "onvif_fault" or service == services[-1]:
                raise
            continue
        device.media, device.profiles, device.streams = service, read_profiles(document), {}
        if device.profiles:
            return


async def _find_snapshot(client: OnvifClient, feed: Feed, device: Device) -> str:
    """Return the address of the feed's own still picture; empty when it cannot be told."""
    token = await _own_profile(client, feed, device)
    if not token:
        return ""
    try:
        # Media 2 answers with the same operation name and the same element.
        document = await client.call(feed, device, get_snapshot_uri(device.media, token))
    except OnvifError as exc:
        if exc.fault != "onvif_fault":
            raise
        return ""
    return repair_http(read_uri(document), feed.host, feed.onvif_port or 80)


async def _own_profile(client: OnvifClient, feed: Feed, device: Device) -> str:
    wanted = _path(feed.rtsp.url)
    for profile in device.profiles[:MAX_STREAMS]:
        if profile.token not in device.streams:
            operation = get_stream_uri(device.media, profile.token)
            try:
                uri = read_uri(await client.call(feed, device, operation))
            except OnvifError as exc:
                if exc.fault != "onvif_fault":
                    raise
                uri = ""
            device.streams[profile.token] = _path(uri)
        if device.streams[profile.token] == wanted:
            return profile.token
    # One profile can only be this feed's, whatever address it reports.
    return device.profiles[0].token if len(device.profiles) == 1 else ""


def _path(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = parts.path.rstrip("/")
    return f"{path}?{parts.query}" if parts.query else path
