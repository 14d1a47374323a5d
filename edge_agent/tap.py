"""The tap: watch records go by, as lines of JSON, without disturbing those who need them.

A tap reads the spool behind the writers, at its reader's pace. One that falls further behind than
``FAR_BEHIND`` records skips ahead and says how many it skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from gateway_core.clock import NS
from gateway_core.model import (
    Alarm,
    Batch,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Record,
    SystemHealth,
)

FAR_BEHIND = 50_000
STEP = 500
BEAT_S = 5.0
_KINDS = {
    Reading: "reading",
    FeedHealth: "feed_health",
    SystemHealth: "system_health",
    Alarm: "alarm",
    Loss: "loss",
    Listed: "listed",
    ProfileUse: "profile_use",
}


class Log(Protocol):
    """What a tap needs of a spool."""

    @property
    def head(self) -> int:
        """Sequence number of the last record."""

    async def read_after(self, seq: int, limit: int) -> Batch | None:
        """Return records after ``seq``, or None."""

    async def grown(self, seq: int) -> None:
        """Wait until the head is above ``seq``."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records a tap shows; what is empty does not filter.

    Attributes:
        topic: MQTT topic filter (or path with ``+`` and ``#``) over the address of the device.
        device: Id of the device, feed or system.
        field: Name that a reading must have among its fields.
    """

    topic: str = ""
    device: str = ""
    field: str = ""

    def passes(self, record: Record, address: Callable[[str], str]) -> bool:
        """Tell whether to show a record.

        Args:
            record: Any.
            address: From a device's id to the topic or path where it speaks.
        """
        name = subject(record)
        if self.device and name != self.device:
            return False
        if self.field and not (isinstance(record, Reading) and self.field in record.fields):
            return False
        return not self.topic or matches(self.topic, address(name))


def subject(record: Record) -> str:
    """Return the id of the device, feed or system that a record is about; empty for the rest."""
    match record:
        case Reading() | Alarm():
            return record.device
        case FeedHealth():
            return record.feed
        case SystemHealth():
            return record.system
        case Listed():
            return record.id
        case Loss() | ProfileUse():
            return ""


def matches(pattern: str, topic: str) -> bool:
    """Tell whether an MQTT topic filter covers a topic (MQTT 5.0 section 4.7)."""
    wanted, found = pattern.split("/"), topic.split("/")
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(found) or level not in {"+", found[place]}:
            return False
    return len(wanted) == len(found)


def spoken(time: int) -> str:
    """Return nanoseconds since 1970 as RFC 3339 text in UTC, exact to the nanosecond."""
    seconds, nanos = divmod(time, NS)
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
    except (OverflowError, ValueError, OSError):
        return str(time)


def as_line(seq: int, record: Record) -> bytes:
    """Return a record as one line of JSON with its kind, its number and times as text."""
    values: dict[str, Any] = {"seq": seq, "kind": _KINDS[type(record)]}
    held = msgspec.structs.asdict(record)
    if isinstance(record, Listed):
        values["of"] = held.pop("kind")
    values |= held
    for name in ("time", "received"):
        if name in values:
            values[name] = spoken(values[name])
    return msgspec.json.encode(values) + b"\n"


async def tap(
    spool: Log,
    wanted: Filter,
    address: Callable[[str], str],
    after: int | None = None,
    beat_s: float = BEAT_S,
) -> AsyncGenerator[bytes, None]:
    """Yield lines of JSON for the records that pass, for as long as the reader likes.

    Args:
        spool: Where the records go by.
        wanted: Which of them.
        address: From a device's id to the topic or path where it speaks.
        after: Begin behind this sequence number; None: with what comes from now on.
        beat_s: Seconds without a record after which an empty line is yielded.
    """
    seq = spool.head if after is None else after
    while True:
        if spool.head - seq > FAR_BEHIND:
            skipped = spool.head - seq
            seq = spool.head
            yield msgspec.json.encode({"kind": "skipped", "count": skipped}) + b"\n"
        batch = await spool.read_after(seq, STEP)
        if batch is None:
            try:
                async with asyncio.timeout(beat_s):
                    await spool.grown(seq)
            except TimeoutError:
                yield b"\n"  # finds out whether the reader is still there
            continue
        seq = batch.last
        lines = [
            as_line(number, record)
            for number, record in enumerate(batch.records, batch.first)
            if wanted.passes(record, address)
        ]
        if lines:
            yield b"".join(lines)
