"""How two versions of a profile differ on the same messages: counts, and a few examples.

Both read each message alone with a memory and alarms of their own. What comes of it stays on site
but for what `edge_agent.versions.reporting` lets out. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from device_profiles.decoded import Decoded, Point
from device_profiles.examples import Bench, Received
from device_profiles.plan import Change
from device_profiles.profile import Profile
from edge_agent.raw.block import RawMessage
from gateway_core.model import Value

MOST_KINDS = 500
"""Kinds of difference that are told apart; what would be more is counted as differing only."""
MOST_EXAMPLES = 3
SHOWN_PAYLOAD = 200
TOLERANCE = 1e-9
"""Relative difference of two floats that is none."""


class Example(msgspec.Struct, frozen=True):
    """One message that two versions read differently; never leaves the site as it is.

    Attributes:
        received: Receive time, nanoseconds since 1970.
        address: Topic or path.
        device: As the new version calls it, else the old one; empty where both refuse.
        before: What the old version made of it.
        after: What the new one makes of it.
        payload: Its beginning: text where it is, else hexadecimal digits after ``0x``.
    """

    received: int
    address: str
    device: str
    before: str
    after: str
    payload: str


class Seen(msgspec.Struct):
    """One kind of difference.

    Attributes:
        change: What differs.
        subject: The field, flag, alarm or rejection code; may be empty.
        count: Messages.
        examples: The first few.
    """

    change: Change
    subject: str
    count: int = 0
    examples: list[Example] = []


class Summary(msgspec.Struct):
    """What a comparison found.

    Attributes:
        messages: Messages that at least one of the versions has to do with.
        refused: Those that the new version refuses.
        refused_before: Those that the old one refuses.
        differing: Those that they read differently.
        differences: In which ways, the most frequent first.
        damaged: Places of the raw store that could not be read.
        since: Receive time of the first message; 0 before there was one.
        until: Of the last.
    """

    messages: int = 0
    refused: int = 0
    refused_before: int = 0
    differing: int = 0
    differences: list[Seen] = []
    damaged: int = 0
    since: int = 0
    until: int = 0


class _Difference(NamedTuple):
    change: Change
    subject: str = ""
    before: str = ""
    after: str = ""
    device: str = ""


class Comparison:
    """Compares two versions on messages, in the order in which they came.

    Args:
        old: The version in use; None: there is none, so everything that is read is news.
        new: The version that is tried.
    """

    def __init__(self, old: Profile | None, new: Profile) -> None:
        self._id = new.id
        self._old = Bench(old) if old is not None else None
        self._new = Bench(new)
        self._moved = old is not None and old.measurement != new.measurement
        self._summary = Summary()
        self._seen: dict[tuple[str, str], Seen] = {}

    def take(self, message: RawMessage) -> bool:
        """Compare on one message; False when neither version has to do with it."""
        if message.profile not in ("", self._id):
            return False
        old = _received(self._old, message)
        new = _received(self._new, message)
        if old.reject == new.reject == "no_match":
            return False
        found = self._summary
        found.messages += 1
        found.refused += new.reject is not None
        found.refused_before += old.reject is not None
        found.since = found.since or message.arrival.received
        found.until = message.arrival.received
        kinds = {(each.change, each.subject): each for each in self._differences(old, new)}
        found.differing += bool(kinds)
        for difference in kinds.values():
            self._enter(difference, message)
        return True

    def summary(self, damaged: int = 0) -> Summary:
        """Return what was found so far."""
        self._summary.damaged = damaged
        self._summary.differences = sorted(self._seen.values(), key=lambda each: -each.count)
        return self._summary

    def _differences(self, old: Received, new: Received) -> Iterator[_Difference]:
        if old.reject is not None or new.reject is not None:
            if old.reject is None and new.reject is not None:
                yield _Difference("refused", new.reject, "read", new.detail, _device(old))
            elif new.reject is None and old.reject is not None:
                yield _Difference("read", old.reject, old.detail, "read", _device(new))
            return
        before = {decoded.device: (decoded, alarms) for decoded, alarms in old.told}
        after = {decoded.device: (decoded, alarms) for decoded, alarms in new.told}
        if before.keys() != after.keys():
            gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
            yield _Difference("device", "", ", ".join(gone), ", ".join(come))
        for name in before.keys() & after.keys():
            for each in _compare(*before[name], *after[name]):
                yield each._replace(device=name)
            if self._moved and after[name][0].readings:
                yield _Difference("changed", "store.measurement", device=name)

    def _enter(self, difference: _Difference, message: RawMessage) -> None:
        key = (difference.change, difference.subject)
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= MOST_KINDS:
                return
            seen = self._seen[key] = Seen(*key, examples=[])
        seen.count += 1
        if len(seen.examples) < MOST_EXAMPLES:
            seen.examples.append(
                Example(
                    message.arrival.received,
                    message.arrival.address,
                    difference.device,
                    difference.before,
                    difference.after,
                    _shown(message.arrival.payload),
                )
            )


def _received(bench: Bench | None, message: RawMessage) -> Received:
    if bench is None:
        return Received(reject="no_match", detail="there is no version in use")
    arrival = message.arrival
    try:
        return bench.receive(
            arrival.address,
            arrival.payload,
            message.received,
            coap=arrival.via == "coap",
            content_format=arrival.content_format,
        )
    except Exception as exc:  # noqa: BLE001 - a decoder's bug is what a trial is there to find
        return Received(reject="decoder_error", detail=type(exc).__name__)


def _compare(
    old: Decoded, old_alarms: list[str], new: Decoded, new_alarms: list[str]
) -> Iterator[_Difference]:
    if old.online != new.online:
        yield _Difference("changed", "online", str(old.online), str(new.online))
    if len(old.readings) != len(new.readings):
        counts = (f"{len(old.readings)} readings", f"{len(new.readings)} readings")
        yield _Difference("time", "", *counts)
    for before, after in zip(old.readings, new.readings, strict=False):
        yield from _points(before, after)
    flags = set(old.flags).union(*(point.flags for point in old.readings))
    flagged = set(new.flags).union(*(point.flags for point in new.readings))
    for flag in flags ^ flagged:
        yield _Difference("flags", flag, *_which(flag in flags))
    for rule in set(old_alarms) ^ set(new_alarms):
        yield _Difference("alarms", rule, *_which(rule in old_alarms))


def _points(before: Point, after: Point) -> Iterator[_Difference]:
    if before.time != after.time:
        yield _Difference("time", "", str(before.time), str(after.time))
    yield from _fields(before.fields, after.fields)
    for name in before.tags.keys() | after.tags.keys():
        old, new = before.tags.get(name, ""), after.tags.get(name, "")
        if old != new:
            yield _Difference("changed", f"tag {name}", old, new)


def _fields(before: Mapping[str, Value], after: Mapping[str, Value]) -> Iterator[_Difference]:
    for name, old in before.items():
        if name not in after:
            yield _Difference("lost", name, repr(old), "")
        elif not _same(old, after[name]):
            yield _Difference("changed", name, repr(old), repr(after[name]))
    for name in after.keys() - before.keys():
        yield _Difference("added", name, "", repr(after[name]))


def _same(old: Value, new: Value) -> bool:
    if type(old) is not type(new):  # a store keeps one type for a field
        return False
    if type(old) is float and type(new) is float:
        return abs(old - new) <= TOLERANCE * max(abs(old), abs(new))
    return old == new


def _which(before: bool) -> tuple[str, str]:  # noqa: FBT001 - the datum
    return ("yes", "no") if before else ("no", "yes")


def _device(received: Received) -> str:
    return received.told[0][0].device if received.told else ""


def _shown(payload: bytes) -> str:
    part = payload[:SHOWN_PAYLOAD]
    try:
        text = part.decode()
    except UnicodeDecodeError:
        return f"0x{part.hex()}"
    return text if text.isprintable() else f"0x{part.hex()}"
