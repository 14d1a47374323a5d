"""Instants: the values of one message gathered by device and time, for codecs that name both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.codecs.contract import Packet
from gateway_core.errors import PayloadError

MAX_PACKETS = 10_000
"""Instants of devices that one message may hold."""

NO_NAMES: Mapping[str, str] = {}


class Instants:
    """Packets in the making.

    Args:
        many: Whether the message may tell of several devices.
    """

    def __init__(self, *, many: bool) -> None:
        self._many = many
        self._first: tuple[str | None, ...] | None = None
        self._packets: dict[tuple[object, ...], list[Packet]] = {}
        self._count = 0

    def add(
        self,
        device: str | None,
        time_ns: int | None,
        values: Mapping[str, Any],
        captures: Mapping[str, str] = NO_NAMES,
        units: Mapping[str, str] | None = None,
    ) -> None:
        """Enter values of one instant; a name that is there already opens another packet.

        Args:
            device: What the message calls the device, or None.
            time_ns: Nanoseconds since 1970, or None for now.
            values: Name to value.
            captures: Names that the message adds to those of topic or path.
            units: Name to unit as sent, for values whose names are no paths; else None.

        Raises:
            PayloadError: ``mixed_devices`` or ``too_many_points``.
        """
        if not self._many:
            if self._first is None:
                self._first = (device,)
            elif self._first != (device,):
                raise PayloadError("mixed_devices", "the message tells of more than one device")
        key = (device, time_ns, *captures.items())
        packets = self._packets.setdefault(key, [])
        for packet in packets:
            if _joined(packet.values, values):
                if packet.units is not None and units:
                    packet.units.update(units)
                return
        self._counted()
        said = None if units is None else dict(units)
        packets.append(Packet(device, time_ns, dict(values), said, captures))

    def refuse(self, code: str, detail: str) -> None:
        """Enter a part of the message that cannot be read, while others of it can.

        Raises:
            PayloadError: ``too_many_points``.
        """
        self._counted()
        bad = Packet(None, None, {}, None, NO_NAMES, PayloadError(code, detail))
        self._packets["refused", self._count] = [bad]

    def _counted(self) -> None:
        self._count += 1
        if self._count > MAX_PACKETS:
            raise PayloadError("too_many_points", f"more than {MAX_PACKETS} in one message")

    def packets(self) -> list[Packet]:
        """Return what was entered, in order."""
        return [packet for packets in self._packets.values() for packet in packets]


def _joined(have: dict[str, Any], more: Mapping[str, Any]) -> bool:
    """Put values beside others; False, and nothing done, where a name is in both.

    Groups of values under one name are joined likewise.
    """
    for name, value in more.items():
        if name not in have:
            continue
        known = have[name]
        if not (isinstance(known, dict) and isinstance(value, dict)):
            return False
        if not known.keys().isdisjoint(value):
            return False
    for name, value in more.items():
        if name in have:
            have[name] = {**have[name], **value}
        else:
            have[name] = value
    return True
