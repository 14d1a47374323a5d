"""A closer look at one camera, for people. onvif-zeep-async lives here.

The patrol does not use this: a full WSDL client costs several milliseconds a call, but it covers
operations that the patrol's own codec has no need of. It knows no HTTP Digest: a device that
wants it answers the patrol, but not this. Left to itself it follows a device to any host; here it
asks that device alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.only_device import OnlyDevice
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import GatewayError, Unavailable


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
    camera = _camera(host, port, credential)
    try:
        async with asyncio.timeout(deadline_s):
            return await _inspect(camera, clock)
    except TimeoutError as exc:
        raise Unavailable(f"{host}: no answer within {deadline_s:g} s") from exc
    except Unavailable:
        raise
    except Exception as exc:  # an answer that makes no sense fails anywhere in the client
        raise Unavailable(f"{host}: {str(exc)[:200] or type(exc).__name__}") from exc
    finally:
        await camera.close()


def _camera(host: str, port: int, credential: Credential | None) -> Any:
    """Return a client that asks nobody but this device, whatever it answers."""
    try:
        from onvif import ONVIFCamera
    except ImportError as exc:
        raise GatewayError("needs onvif-zeep-async: pip install 'tidegate[camera]'") from exc

    class Camera(ONVIFCamera):  # type: ignore[misc,unused-ignore]
        async def create_onvif_service(self, *args: Any, **options: Any) -> Any:
            service = await super().create_onvif_service(*args, **options)
            if not isinstance(service.transport.session, OnlyDevice):
                service.transport.session = OnlyDevice(service.transport.session, host, port)
            return service

    # Without a login it still writes a token; an empty one is looked at by nobody.
    username, password = (credential.username, credential.password) if credential else ("", "")
    named = bracketed(host)
    return Camera(named, port, username, password, adjust_time=True, nat_override=True)


async def _inspect(camera: Any, clock: Clock) -> Inspection:
    await camera.update_xaddrs()
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
    from onvif.exceptions import ONVIFError
    from zeep.exceptions import Error as ZeepError

    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    answer = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})
    try:
        snapshot = await camera.get_snapshot_uri(profile.token)
    except (ONVIFError, ZeepError):  # optional: not every device has still pictures
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
