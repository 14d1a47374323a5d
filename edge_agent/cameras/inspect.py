"""A closer look at one camera, for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.wsdl_client import opened, refusals
from gateway_core.clock import NS, Clock, wall_ns


@dataclass(frozen=True, slots=True)
class InspectedProfile:
    """One media profile; sizes in pixels, None where the device does not tell."""

    token: str
    name: str
    codec: str
    size: tuple[int, int] | None
    stream_url: str
    snapshot_url: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a device says about itself.

    Attributes:
        skew_s: Its clock minus ours, in seconds; None when it does not tell.
        services: Namespace to address, as reported.
    """

    manufacturer: str
    model: str
    firmware: str
    serial: str
    skew_s: float | None
    services: dict[str, str]
    profiles: tuple[InspectedProfile, ...]


async def inspect_device(
    host: str,
    port: int,
    credential: Credential | None = None,
    *,
    deadline_s: float = 30.0,
    clock: Clock = wall_ns,
) -> Inspection:
    """Ask a device everything that helps to write its line of the feeds file.

    Args:
        host: Address or name, without brackets.
        port: Its ONVIF port.
        credential: None for a device without a login.
        deadline_s: For all of it, in seconds.
        clock: Wall clock.

    Raises:
        GatewayError: The ``camera`` extra is not installed.
        Unavailable: The device does not answer, refuses the login or makes no sense.
    """
    async with opened(host, port, credential, deadline_s) as camera:
        return await _inspect(camera, clock)


async def _inspect(camera: Any, clock: Clock) -> Inspection:
    management = await camera.create_devicemgmt_service()
    skew_s = _skew(await management.GetSystemDateAndTime(), clock())
    found = await management.GetDeviceInformation()
    media = await camera.create_media_service()
    profiles = [
        await _profile(camera, media, profile) for profile in await media.GetProfiles() or ()
    ]
    return Inspection(
        manufacturer=found.Manufacturer or "",
        model=found.Model or "",
        firmware=found.FirmwareVersion or "",
        serial=found.SerialNumber or "",
        skew_s=skew_s,
        services=dict(camera.xaddrs),
        profiles=tuple(profiles),
    )


async def _profile(camera: Any, media: Any, profile: Any) -> InspectedProfile:
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    answer = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})
    try:
        snapshot = await camera.get_snapshot_uri(profile.token)
    except refusals():  # optional: not every device has still pictures
        snapshot = ""
    encoder = profile.VideoEncoderConfiguration
    resolution = encoder.Resolution if encoder is not None else None
    return InspectedProfile(
        token=profile.token,
        name=profile.Name or "",
        codec=str(encoder.Encoding) if encoder is not None else "",
        size=(resolution.Width, resolution.Height) if resolution is not None else None,
        stream_url=(answer.Uri or "").strip(),
        snapshot_url=snapshot or "",
    )


def _skew(answer: Any, now: int) -> float | None:
    utc = answer.UTCDateTime
    if utc is None or utc.Date is None or utc.Time is None:
        return None
    try:
        at = datetime(
            utc.Date.Year,
            utc.Date.Month,
            utc.Date.Day,
            utc.Time.Hour,
            utc.Time.Minute,
            min(utc.Time.Second, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return at.timestamp() - now / NS
