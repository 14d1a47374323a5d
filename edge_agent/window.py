"""A window: what is known of one series between two instants, as small as its functions allow.

Pure. A window takes values in any order of time and can be taken up again after it was told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

from edge_agent.grant import FUNCTIONS, Function, Grant, every_label
from gateway_core.model import Reading, Value

MAX_SAMPLES = 1000
"""Values kept of a window for ``p95``; of more, every second, fourth, eighth … is kept."""

_INT64 = range(-(2**63), 2**63)

Taken = Literal["kept", "newest", "mismatched"]
"""What became of a value; ``newest``: it is the last one of its window by device time."""


class Tally(msgspec.Struct, array_like=True, gc=False):
    """What is known of one field in a window.

    Attributes:
        count: Values seen.
        total: Their sum.
        carry: What floating point left out of ``total``.
        low: The smallest.
        high: The largest.
        first_time: Device time of ``first`` in nanoseconds.
        first: The earliest value.
        last_time: Device time of ``last`` in nanoseconds.
        last: The latest value.
        base_time: Device time of ``base``; -1 without one.
        base: The latest value before the window, from which ``delta`` counts.
        stride: One of so many values is in ``samples``.
        samples: Values for ``p95``, in order of arrival.
    """

    count: int
    total: float | int
    carry: float
    low: float | int
    high: float | int
    first_time: int
    first: Value
    last_time: int
    last: Value
    base_time: int = -1
    base: float | int = 0
    stride: int = 1
    samples: list[float | int] = []

    def add(self, value: Value, time: int, *, sample: bool) -> Taken:
        """Take in one more value."""
        if (type(value) is str) != (type(self.last) is str):
            return "mismatched"
        if type(value) is not str:
            number = int(value) if type(value) is bool else value
            assert not isinstance(number, str)
            self._sum(number)
            if number < self.low:
                self.low = number
            elif number > self.high:
                self.high = number
            if sample and self.count % self.stride == 0:
                self._sample(number)
        self.count += 1
        if time < self.first_time:
            self.first_time, self.first = time, value
        if time < self.last_time:
            return "kept"
        self.last_time, self.last = time, value
        return "newest"

    def rebase(self, value: Value, time: int) -> bool:
        """Let ``delta`` count from a value before the window; False if a later one is known."""
        if isinstance(value, str) or time < self.base_time:
            return False
        self.base_time, self.base = time, int(value) if isinstance(value, bool) else value
        return True

    def tell(self, name: Function) -> Value | None:
        """Return one function of the values; None where it means nothing for them."""
        text = isinstance(self.last, str)
        match name:
            case "count":
                return self.count
            case "first":
                return self.first
            case "last":
                return self.last
            case "min":
                return None if text else self.low
            case "max":
                return None if text else self.high
            case "sum":
                return None if text else self._whole_sum()
            case "mean":
                return None if text else float(self.total + self.carry) / self.count
            case "p95":
                return _percentile(self.samples, 0.95)
            case "delta":
                return self._delta()

    def _sum(self, number: float) -> None:
        total = self.total
        whole = total + number
        if type(whole) is int:
            self.total = whole if whole in _INT64 else float(whole)
            return
        if math.isfinite(whole):  # Neumaier: keep what the addition rounds away
            if abs(total) >= abs(number):
                self.carry += (total - whole) + number
            else:
                self.carry += (number - whole) + total
        self.total = whole

    def _sample(self, number: float) -> None:
        if len(self.samples) >= MAX_SAMPLES:
            del self.samples[1::2]
            self.stride *= 2
            if self.count % self.stride:
                return
        self.samples.append(number)

    def _whole_sum(self) -> Value | None:
        if isinstance(self.total, int):
            return self.total
        return None if isinstance(self.last, int) else self.total + self.carry

    def _delta(self) -> Value | None:
        last, first = self.last, self.base if self.base_time >= 0 else self.first
        if isinstance(last, str) or isinstance(first, str):
            return None
        delta = last - first
        return delta if isinstance(delta, float) or delta in _INT64 else None


def first_tally(value: Value, time: int, *, sample: bool) -> Tally:
    """Return the tally of a single value."""
    number = 0 if isinstance(value, str) else int(value) if isinstance(value, bool) else value
    samples = [number] if sample and not isinstance(value, str) else []
    return Tally(1, number, 0.0, number, number, time, value, time, value, samples=samples)


class Window(msgspec.Struct, array_like=True):
    """One series between ``start`` and ``start + every_ns``.

    Attributes:
        edge: Whose readings.
        device: Of which device.
        profile: Of which profile.
        measurement: Of the readings, without the window's length.
        tags: Tags that leave.
        every_ns: Its length in nanoseconds.
        start: When it begins, in nanoseconds; a multiple of its length.
        due: When it will be told; 0 when nothing is left to tell.
        forget: When it will be forgotten; 0 while something is left to tell.
        tallies: Field to what is known of it.
        crc: Of the rest, where it is stored; else 0.
    """

    edge: str
    device: str
    profile: str
    measurement: str
    tags: dict[str, str]
    every_ns: int
    start: int
    due: int
    forget: int = 0
    tallies: dict[str, Tally] = {}
    crc: int = 0

    @property
    def end(self) -> int:
        """When it ends, in nanoseconds; not part of it."""
        return self.start + self.every_ns

    def tell(self, grants: Mapping[str, Grant], now: int) -> Reading | None:
        """Return the aggregate that may leave under ``grants``; None when nothing may."""
        fields: dict[str, Value] = {}
        label = every_label(self.every_ns)
        flags: list[str] = []
        for field, tally in self.tallies.items():
            grant = grants.get(field)
            if grant is None or grant.every_ns != self.every_ns:
                continue
            label = grant.label
            for name in FUNCTIONS:
                if name not in grant.fns:
                    continue
                value = tally.tell(name)
                if value is None:
                    flags.append(f"{field}_{name}:undefined")
                else:
                    told = value if name == "count" else grant.coarsen(value)
                    fields[f"{field}_{name}"] = told
        if not fields:
            return None
        return Reading(
            edge=self.edge,
            device=self.device,
            profile=self.profile,
            measurement=f"{self.measurement}_{label}",
            time=self.start,
            received=now,
            fields=fields,
            tags=self.tags,
            flags=tuple(flags),
            derived=True,
        )


def _percentile(samples: list[float | int], part: float) -> float | None:
    """Return the value below which ``part`` of the samples lie, between two of them linearly."""
    if not samples:
        return None
    ranked = sorted(samples)
    place = part * (len(ranked) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ranked) - 1)
    return float(ranked[low] + (ranked[high] - ranked[low]) * (place - low))
