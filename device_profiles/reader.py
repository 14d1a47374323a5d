"""From decoded values to points: device, time, one point per record, fields and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs import Message, Packet
from device_profiles.decoded import Decoded, Point, Unread
from device_profiles.devices import Devices, gathered
from device_profiles.identity import Identity
from device_profiles.measure import Measure, read_fields
from device_profiles.moments import Believed, Instant, ReadTime
from device_profiles.paths import Getter
from device_profiles.position import Position
from device_profiles.sessions import read_message
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
        instant: Does both, with the receive time.
    """

    get: Getter | None
    source: str
    read: ReadTime
    believed: Believed
    instant: Instant


class _Points:
    """Collects the points of one message."""

    def __init__(self, tags: dict[str, str], room: int = MOST_POINTS) -> None:
        self.tags = tags
        self.points: list[Point] = []
        self.flags: list[str] = []
        self.untimed = 0
        self._room = room

    def add(self, time: int, found: tuple[dict[str, Any], list[str]]) -> None:
        fields, flags = found
        if not fields:
            self.flags.extend(flags)
            return
        if len(self.points) >= self._room:
            raise PayloadError("too_many_points", f"more than {MOST_POINTS} in one message")
        self.points.append(Point(time, fields, self.tags, tuple(flags)))

    def decoded(self, device: str, part: int = 0) -> Decoded:
        points = self.points
        if len(points) > 1:
            points.sort(key=lambda point: point.time)
        return Decoded(device, points, None, tuple(self.flags), (), part)


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes points of decoded values; the same for every way that messages come.

    Attributes:
        identity: Makes the device id.
        clock: The message's time.
        each: The list of records in it, or None.
        measures: The measurements.
        tags: Captures that become tags.
        devices: Where several devices stand in a message, or None.
        position: The fields that are a place, or None.
        required: Fields without which a message is refused.
    """

    identity: Identity
    clock: Clock
    each: Each | None
    measures: Sequence[Measure]
    tags: tuple[str, ...]
    devices: Devices | None = None
    position: Position | None = None
    required: tuple[str, ...] = ()

    def read(
        self,
        found: dict[str, Any] | list[Packet] | Message,
        captures: Mapping[str, str],
        received: int,
    ) -> Decoded:
        """Return the points of one message.

        Args:
            found: What the codec gave.
            captures: From the topic or path, and from the envelope (``device``, ``time``).
            received: Receive time in nanoseconds; 0 means that it is not known.

        Raises:
            PayloadError: ``bad_device_id``, ``too_many_points`` or ``missing_value``.
        """
        decoded = self._read(found, captures, received)
        if self.required:
            self._check_required(decoded)
        return decoded

    def _check_required(self, decoded: Decoded) -> None:
        """Refuse a message of which no device, instant or flag tells of a required field."""
        parts = [part for part in (decoded, *decoded.more) if isinstance(part, Decoded)]
        points = [point for part in parts for point in part.readings]
        seen = {name for point in points for name in point.fields}
        flags = [*(f for part in parts for f in part.flags), *(f for p in points for f in p.flags)]
        seen.update(flag.partition(":")[0] for flag in flags)
        for name in self.required:
            if name not in seen:
                raise PayloadError("missing_value", f"the profile requires {name!r}")

    def _fields(
        self, values: Any, units: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], list[str]]:
        """Return fields and flags of one instant."""
        fields, flags = read_fields(self.measures, values, units)
        if self.position is not None:
            flag = self.position.settle(fields)
            if flag:
                flags.append(flag)
        return fields, flags

    def _read(
        self,
        found: dict[str, Any] | list[Packet] | Message,
        captures: Mapping[str, str],
        received: int,
    ) -> Decoded:
        if isinstance(found, list):
            return self._packets(found, captures, received)
        if isinstance(found, Message):
            return read_message(found, captures, received, self.identity, self._packets)
        if self.devices is not None:
            return self._several(self.devices, found, captures, received)
        device = self.identity.make(captures, found)
        out = _Points(self.tagged(captures))
        self._values(found, captures, received, out)
        return out.decoded(device)

    def _values(
        self,
        found: Any,
        captures: Mapping[str, str],
        received: int,
        out: _Points,
        around: Any = None,
    ) -> None:
        """Add the points of one device's values; ``around`` is the message that holds them."""
        time = self._time(found, captures, received, around)
        out.add(time, self._fields(found))
        if self.each is not None:
            self._records(self.each, found, time, received, out)

    def _several(
        self, devices: Devices, found: Any, captures: Mapping[str, str], received: int
    ) -> Decoded:
        """Read a message about several devices: one that cannot be read leaves the others."""
        parts: list[Decoded | Unread] = []
        turns: dict[str, int] = {}
        room = MOST_POINTS
        for part, (keys, values) in enumerate(devices.split(found)):
            known = {**captures, **keys}
            try:
                device = self.identity.make(known, values, found)
            except PayloadError as exc:
                parts.append(Unread(part, exc.code, exc.detail))
                continue
            out = _Points(self.tagged(known), room)
            # A device that the message names twice would have two points at one receive time, of
            # which a store keeps one.
            turn = turns[device] = turns.get(device, -1) + 1
            self._values(values, known, received + turn if received else 0, out, found)
            room -= len(out.points)
            parts.append(out.decoded(device, part))
        return gathered(parts)

    def tagged(self, captures: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that these captures give."""
        return {name: captures[name] for name in self.tags if name in captures}

    def _time(
        self, found: Any, captures: Mapping[str, str], received: int, around: Any = None
    ) -> int:
        clock = self.clock
        if clock.get is None:
            return received
        raw = clock.get(found)
        if raw is None and around is not None:
            raw = clock.get(around)
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
            out.add(moment, self._fields(record))

    def _packets(
        self, packets: list[Packet], captures: Mapping[str, str], received: int
    ) -> Decoded:
        """Read what a codec found of one device, or of several."""
        parts: dict[tuple[str | None, ...], tuple[str, _Points] | Unread] = {}
        for packet in packets:
            if packet.refused is not None:
                why = packet.refused
                parts["", str(len(parts))] = Unread(len(parts), why.code, why.detail)
                continue
            # What the address says goes first: a broker's access rules protect it.
            known = {**packet.captures, **captures}
            if packet.device is not None:
                known["device"] = packet.device
            who = tuple(known.get(name) for name in self.identity.names)
            part = parts.get(who)
            if part is None:
                part = parts[who] = self._part(len(parts), known)
            if isinstance(part, Unread):
                continue
            out = part[1]
            out.tags = self.tagged(known)
            now = received
            if packet.time_ns is None:  # two at one receive time would be one point in a store
                now = received + out.untimed if received else 0
                out.untimed += 1
            time: int | None = self.clock.believed(packet.time_ns, now)
            if packet.history:
                time = self.clock.believed.history(packet.time_ns, received)
            if time is None:
                out.flags.append("time:range")
                continue
            out.add(time, self._fields(packet.values, packet.units))
        return gathered(
            [
                part if isinstance(part, Unread) else part[1].decoded(part[0], at)
                for at, part in enumerate(parts.values())
            ]
        )

    def _part(self, at: int, known: Mapping[str, str]) -> tuple[str, _Points] | Unread:
        try:
            return self.identity.make(known, {}), _Points({})
        except PayloadError as exc:
            return Unread(at, exc.code, exc.detail)
