"""What is left of readings that had to make room: one summary for each series and minute. Pure.

A summary is a `Reading` of its own (docs/reference/formats/spool.md): measurement
``<measurement>_thinned``, the time of the earliest reading that it stands for (so that two
summaries of one minute stay two points), and for each field ``<field>_count`` with ``_min``,
``_mean`` and ``_max`` of numbers or ``_last`` of texts and truths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway_core.clock import NS
from gateway_core.model import Alarm, Listed, Loss, ProfileUse, Reading, Record, Value

SUFFIX = "_thinned"
FUNCTIONS = ("min", "mean", "max", "last")
"""What a summary tells of a field, beside ``count``."""
MINUTE_NS = 60 * NS

_KEPT = (Alarm, Loss, Listed, ProfileUse)
_Key = tuple[str, str, str, str, tuple[tuple[str, str], ...], int]


def is_kept(record: Record) -> bool:
    """Tell whether a record is never given up: alarms, and what the books are made of."""
    return isinstance(record, _KEPT)


def is_urgent(records: Sequence[Record]) -> bool:
    """Tell whether one of these records may use the room that telemetry may not."""
    return Alarm in set(map(type, records))


@dataclass(slots=True)
class _Field:
    count: int = 0
    numbers: int = 0
    total: float = 0.0
    low: float | int = 0
    high: float | int = 0
    last: Value | None = None
    last_time: int = 0

    def add(self, value: Value, time: int) -> None:
        self.count += 1
        if isinstance(value, bool | str):
            if self.last is None or time >= self.last_time:
                self.last, self.last_time = value, time
            return
        self.total += value
        if not self.numbers or value < self.low:
            self.low = value
        if not self.numbers or value > self.high:
            self.high = value
        self.numbers += 1

    def tell(self, name: str) -> dict[str, Value]:
        told: dict[str, Value] = {}
        if self.numbers:
            mean = self.total / self.numbers
            told = {
                f"{name}_min": self.low,
                f"{name}_mean": min(max(mean, float(self.low)), float(self.high)),
                f"{name}_max": self.high,
            }
        if self.last is not None:
            told[f"{name}_last"] = self.last
        return told | {f"{name}_count": self.count}


@dataclass(slots=True)
class _Minute:
    time: int
    received: int
    fields: dict[str, _Field] = field(default_factory=dict)


class Summaries:
    """Takes readings in any order; tells what is left of them."""

    def __init__(self) -> None:
        self.readings = 0
        self._minutes: dict[_Key, _Minute] = {}

    def __len__(self) -> int:
        """Return how many summaries there will be."""
        return len(self._minutes)

    def add(self, reading: Reading) -> None:
        """Take in a reading that makes room."""
        self.readings += 1
        minute = reading.time // MINUTE_NS
        key = (
            reading.edge,
            reading.device,
            reading.profile,
            reading.measurement,
            tuple(sorted(reading.tags.items())),
            minute,
        )
        held = self._minutes.get(key)
        if held is None:
            held = self._minutes[key] = _Minute(reading.time, reading.received)
        held.time = min(held.time, reading.time)
        held.received = max(held.received, reading.received)
        for name, value in reading.fields.items():
            known = held.fields.get(name)
            if known is None:
                known = held.fields[name] = _Field()
            known.add(value, reading.time)

    def tell(self) -> list[Reading]:
        """Return the summaries in the order of their times."""
        found: list[Reading] = []
        for (edge, device, profile, measurement, tags, _), held in self._minutes.items():
            fields: dict[str, Value] = {}
            for name, each in held.fields.items():
                fields |= each.tell(name)
            found.append(
                Reading(
                    edge=edge,
                    device=device,
                    profile=profile,
                    measurement=measurement + SUFFIX,
                    time=held.time,
                    received=held.received,
                    fields=fields,
                    tags=dict(tags),
                    derived=True,
                )
            )
        return sorted(found, key=lambda each: each.time)
