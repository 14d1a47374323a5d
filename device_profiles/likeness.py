"""What counts as the same, in the vectors of profiles: numbers to 1e-6, times to a millisecond."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from device_profiles.decoded import Point
from gateway_core.clock import NS

_RELATIVE = 1e-6
_MILLISECOND = 1_000_000
_WHOLE = re.compile(r"(=-?\d+)\.0(?=[, ])")


def differing(expected: list[dict[str, Any]], found: list[Point]) -> list[str]:
    """Return what differs between points, for people, as a store holds them: in any order."""
    if len(expected) != len(found):
        all_fields = [dict(point.fields) for point in found]
        return [f"points: expected {len(expected)}, found {len(found)}: {all_fields}"]
    left = list(found)
    missing = []
    exact_first = sorted(enumerate(expected, start=1), key=lambda each: "time" not in each[1])
    for number, wanted in exact_first:
        match = next((point for point in left if not _differences(wanted, point)), None)
        if match is None:
            missing.append((number, wanted))
        else:
            left.remove(match)
    return [
        f"point {number}: {difference}"
        for (number, wanted), point in zip(missing, left, strict=True)
        for difference in _differences(wanted, point)
    ]


def _differences(wanted: Mapping[str, Any], point: Point) -> list[str]:
    fields = dict(wanted)
    time = fields.pop("time", None)
    failures = []
    if time is not None and not _at(time, point.time):
        failures.append(f"time: expected {time}, found {point.time / NS:.6f}")
    for name in sorted(fields.keys() | point.fields.keys()):
        if name not in fields or name not in point.fields:
            where = "not expected" if name not in fields else "missing"
            value = f" {point.fields[name]!r}" if name in point.fields else ""
            failures.append(f"{name}{value}: {where}")
        elif not same(fields[name], point.fields[name]):
            failures.append(f"{name}: expected {fields[name]!r}, found {point.fields[name]!r}")
    return failures


def _at(seconds: object, time_ns: int) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return False
    return abs(seconds * NS - time_ns) < _MILLISECOND


def same(expected: object, found: object) -> bool:
    """Return whether two values are equal: numbers to 1e-6 relative, a bool is never a number."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=_RELATIVE, abs_tol=1e-9)
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(same(expected[k], found[k]) for k in found)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    return expected == found


def plain(line: str) -> str:
    """Return line protocol with whole floats as ``20``, which is the same float as ``20.0``."""
    return _WHOLE.sub(r"\1", line)
