"""Turn one camera, for people: ONVIF PTZ, which always ends in a stop."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.wsdl_client import opened, refusals
from gateway_core.errors import PayloadError, Unavailable

LONGEST_S = 30.0
"""Longest time that a camera is moved by one command."""
_ANSWER_S = 30.0
_STOP_S = 10.0
_MORE_S = 2
"""Seconds beyond the time of a move after which a camera is to stop by itself: whoever moves it may
be killed before it says so."""


@dataclass(frozen=True, slots=True)
class Move:
    """Speeds from -1 to 1: to the right, up, and into the picture.

    Raises:
        PayloadError: ``bad_move``: out of range, or none at all.
    """

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        """Judge the speeds."""
        speeds = {"pan": self.pan, "tilt": self.tilt, "zoom": self.zoom}
        for name, speed in speeds.items():
            if not -1.0 <= speed <= 1.0:
                raise PayloadError("bad_move", f"{name} is {speed:g}, expected -1 to 1")
        if not any(speeds.values()):
            raise PayloadError("bad_move", "give pan, tilt or zoom a speed other than 0")


@dataclass(frozen=True, slots=True)
class Preset:
    """A position that a camera remembers."""

    token: str
    name: str


async def move(feed: Feed, speeds: Move, seconds: float) -> None:
    """Move a camera for some seconds, and stop it, whatever happens meanwhile.

    Args:
        feed: Which; its ``onvif_port`` must be set.
        speeds: How fast.
        seconds: How long, at most `LONGEST_S`.

    Raises:
        PayloadError: ``bad_move``: too long.
        Unavailable: The device does not answer, refuses, or cannot be turned; or it did not take
            the stop, and may still be turning.
    """
    if not 0.0 < seconds <= LONGEST_S:
        detail = f"for {seconds:g} s, expected more than 0 and at most {LONGEST_S:g} s"
        raise PayloadError("bad_move", detail)
    async with opened(feed.host, feed.onvif_port or 80, feed.credential, _ANSWER_S + seconds) as to:
        ptz, profile = await _ptz(to)
        velocity = {"PanTilt": {"x": speeds.pan, "y": speeds.tilt}, "Zoom": {"x": speeds.zoom}}
        try:
            await _begin(ptz, {"ProfileToken": profile, "Velocity": velocity}, seconds)
            await asyncio.sleep(seconds)
        finally:
            await _stop(ptz, profile)  # also when the wait was interrupted


async def presets(feed: Feed) -> list[Preset]:
    """Return the positions that a camera remembers.

    Raises:
        Unavailable: As `move`.
    """
    async with opened(feed.host, feed.onvif_port or 80, feed.credential, _ANSWER_S) as to:
        ptz, profile = await _ptz(to)
        return await _known(ptz, profile)


async def go_to(feed: Feed, wanted: str) -> Preset:
    """Send a camera to a position that it remembers, by its token or its name.

    Raises:
        PayloadError: ``unknown_preset``: it remembers none of that name.
        Unavailable: As `move`.
    """
    async with opened(feed.host, feed.onvif_port or 80, feed.credential, _ANSWER_S) as to:
        ptz, profile = await _ptz(to)
        known = await _known(ptz, profile)
        for preset in known:
            if wanted in (preset.token, preset.name):
                request = {"ProfileToken": profile, "PresetToken": preset.token}
                await ptz.GotoPreset(request)
                return preset
    names = ", ".join(f"{each.token} ({each.name})" for each in known) or "none at all"
    raise PayloadError("unknown_preset", f"{wanted!r}: the camera remembers {names}")


async def _known(ptz: Any, profile: str) -> list[Preset]:
    found = await ptz.GetPresets({"ProfileToken": profile})
    return [Preset(each.token or "", each.Name or "") for each in found or ()]


async def _begin(ptz: Any, request: dict[str, Any], seconds: float) -> None:
    """Let a camera move, and end by itself a little later than it is stopped.

    One that takes no such time (``ter:TimeoutNotSupported``) has one of its own.
    """
    timeout = timedelta(seconds=math.ceil(seconds) + _MORE_S)
    try:
        await ptz.ContinuousMove({**request, "Timeout": timeout})
    except refusals():
        await ptz.ContinuousMove(request)


async def _stop(ptz: Any, profile: str) -> None:
    """Stop, or say that the camera may go on: who turned it must know."""
    try:
        async with asyncio.timeout(_STOP_S):
            await ptz.Stop({"ProfileToken": profile, "PanTilt": True, "Zoom": True})
    except Exception as exc:  # whatever the client failed at, it was not stopped
        why = str(exc)[:120] or type(exc).__name__
        raise Unavailable(
            f"the camera did not take the stop ({why}) and may still be turning: look at it, and"
            " move it again for a moment, which stops it anew"
        ) from exc


async def _ptz(camera: Any) -> tuple[Any, str]:
    """Return the service that turns a camera, and a profile of it that can be turned."""
    try:
        ptz = await camera.create_ptz_service()
        media = await camera.create_media_service()
        profiles = await media.GetProfiles() or ()
    except refusals() as exc:
        raise Unavailable(f"the camera cannot be turned over ONVIF: {str(exc)[:200]}") from exc
    able = [each for each in profiles if each.PTZConfiguration is not None] or list(profiles)
    if not able:
        raise Unavailable("the camera names no media profile, so there is nothing to turn")
    return ptz, str(able[0].token)
