"""Compile ``devices`` of a profile: how one message tells of several; enter every mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.build_measures import path_getter
from device_profiles.codecs import NAMING_STEPS
from device_profiles.devices import Devices
from device_profiles.faults import Faults, Place
from device_profiles.online import Presence

MANY = "many"


def build_devices(data: Mapping[str, Any], faults: Faults) -> Devices | None:
    """Compile ``devices``; None where a message is about one, or its codec tells them apart."""
    spec = data.get("devices")
    if spec is None:
        return None
    names_them = next(iter(data["decode"][-1])) in NAMING_STEPS
    if spec == MANY:
        if not names_them:
            known = ", ".join(NAMING_STEPS)
            faults.add(
                ("devices",),
                f"'many' is for messages that name their devices ({known}); write "
                "{from: PATH} to say where the devices stand",
            )
        return None
    if names_them:
        faults.add(("devices",), "this codec tells devices apart itself: write 'many'")
        return None
    source = spec.get("from", "")
    get = path_getter(source, ("devices", "from"), faults) if source else None
    if source and get is None:
        return None
    return Devices(get, source or "the message", spec.get("key", "device"))


def tells_of_many(data: Mapping[str, Any]) -> bool:
    """Return whether the codec may give values of several devices."""
    return bool(data.get("devices") == MANY)


def build_presence(
    spec: Mapping[str, Any], devices: Devices | None, place: Place, faults: Faults
) -> Presence | None:
    """Compile how the availability messages of one element of ``match`` are read.

    Returns:
        None where the element is about other messages, or after entering a mistake.
    """
    online = spec.get("online")
    if spec.get("role") != "availability":
        if online is not None:
            faults.add((*place, "online"), "only for 'role: availability'")
        return None
    if not isinstance(online, str):
        return Presence(online, None, devices)
    get = path_getter(online, (*place, "online"), faults)
    return None if get is None else Presence(None, get, devices)
