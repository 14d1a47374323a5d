"""From decoded values to points: device, time, one point per record, fields and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs import Packet
from device_profiles.decoded import Decoded, Point
from device_profiles.identity import Identity
from device_profiles.measure import Measure, read_fields
from device_profiles.moments import Believed, ReadTime
from device_profiles.paths import Getter
from gateway_core.errors import PayloadError

MOST_POINTS = 10_000
"""Points that one message may give."""


@dataclass(frozen=True, slots=True)
class Each:
    """The list of stored records in a message.

    Attributes:
        get: Walks to the list.
        time: Walks from a record to its time, or None: they have the message's.
        read: Reads that time.
    """

    get: Getter
    time: Getter | None
    read: ReadTime


@dataclass(frozen=True, slots=True)
class Clock:
    """The message's time.

    Attributes:
        get: Walks to it, or None: it has none.
        source: The path as written; an envelope has ``time``.
        read: Reads it.
        believed: Decides whether it counts.
    """

    get: Getter | None
    source: str
    read: ReadTime
    believed: Believed


class _Points:
    """Collects the points of one message."""

    def __init__(self, tags: dict[str, str]) -> None:
        self._tags = tags
        self.points: list[Point] = []
        self.flags: list[str] = []

    def add(self, time: int, found: tuple[dict[str, Any], list[str]]) -> None:
        fields, flags = found
        if not fields:
            self.flags.extend(flags)
            return
        if len(self.points) >= MOST_POINTS:
            raise PayloadError("too_many_points", f"more than {MOST_POINTS} in one message")
        self.points.append(Point(time, fields, self._tags, tuple(flags)))

    def decoded(self, device: str) -> Decoded:
        points = self.points
        if len(points) > 1:
            points.sort(key=lambda point: point.time)
        return Decoded(device, points, None, tuple(self.flags))


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes points of decoded values; the same for every way that messages come.

    Attributes:
        identity: Makes the device id.
        clock: The message's time.
        each: The list of records in it, or None.
        measures: The measurements.
        tags: Captures that become tags.
    """

    identity: Identity
    clock: Clock
    each: Each | None
    measures: Sequence[Measure]
    tags: tuple[str, ...]

    def read(
        self, found: dict[str, Any] | list[Packet], captures: Mapping[str, str], received: int
    ) -> Decoded:
        """Return the points of one message.

        Args:
            found: What the codec gave.
            captures: From the topic or path, and from the envelope (``device``, ``time``).
            received: Receive time in nanoseconds; 0 means that it is not known.

        Raises:
            PayloadError: ``bad_device_id`` or ``too_many_points``.
        """
        if isinstance(found, list):
            return self._packets(found, captures, received)
        device = self.identity.make(captures, found)
        out = _Points(self.tagged(captures))
        time = self._time(found, captures, received)
        out.add(time, read_fields(self.measures, found))
        if self.each is not None:
            self._records(self.each, found, time, received, out)
        return out.decoded(device)

    def tagged(self, captures: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that these captures give."""
        return {name: captures[name] for name in self.tags if name in captures}

    def _time(self, found: Any, captures: Mapping[str, str], received: int) -> int:
        clock = self.clock
        if clock.get is None:
            return received
        raw = clock.get(found)
        if raw is None:
            raw = captures.get(clock.source)
        return clock.believed(None if raw is None else clock.read(raw), received)

    def _records(self, each: Each, found: Any, time: int, received: int, out: _Points) -> None:
        records = each.get(found)
        for record in records if isinstance(records, list) else ():
            if not isinstance(record, dict):
                continue
            moment: int | None = time
            if each.time is not None:
                raw = each.time(record)
                moment = None if raw is None else each.read(raw)
                moment = self.clock.believed.history(moment, received)
            if moment is None:  # stored at a wrong time it would overwrite something true
                out.flags.append("time:range")
                continue
            out.add(moment, read_fields(self.measures, record))

    def _packets(
        self, packets: list[Packet], captures: Mapping[str, str], received: int
    ) -> Decoded:
        name = packets[0].device if packets else None  # a pack is about one device
        known = captures if name is None else {**captures, "device": name}
        device = self.identity.make(known, {})
        out = _Points(self.tagged(known))
        for packet in packets:
            time = self.clock.believed(packet.time_ns, received)
            out.add(time, read_fields(self.measures, packet.values, packet.units))
        return out.decoded(device)
