"""Tables: from a wire value to the stored one, by interpolation or by ranges of numbers."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from device_profiles.units import Linear, linear

_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)?\.\.(-?\d+(?:\.\d+)?)?")


class LookupFault(Exception):
    """A table contradicts itself.

    Attributes:
        path: Where, below the measurement.
    """

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Lookup:
    """Straight lines between the points of a curve (thermistor, tank).

    Attributes:
        edges: The wire values of the points, ascending.
        lines: The exact line from each point to the next.
        clamp: Whether a value beyond the ends counts as the nearest end; else it has no result.
    """

    edges: tuple[float, ...]
    lines: tuple[Linear, ...]
    clamp: bool

    def find(self, value: float) -> tuple[float, Linear] | None:
        """Return the value to convert and the line to convert it with; None where it is outside."""
        edges = self.edges
        low, high = edges[0], edges[-1]
        if not low <= value <= high:
            if not self.clamp:
                return None
            value = low if value < low else high
        at = min(bisect_right(edges, value) - 1, len(self.lines) - 1)
        return value, self.lines[at]


def compile_lookup(spec: Mapping[str, Any], factor: Fraction, offset: Fraction) -> Lookup:
    """Compile ``lookup: {points, outside}``; its results go on through ``factor`` and ``offset``.

    Raises:
        LookupFault: The wire values do not all rise, or all fall.
    """
    points = [(Fraction(str(raw)), Fraction(str(value))) for raw, value in spec["points"]]
    rising = points[0][0] < points[-1][0]
    ordered = points if rising else points[::-1]
    for index in range(1, len(ordered)):
        if ordered[index][0] <= ordered[index - 1][0]:
            where = index if rising else len(points) - index
            raise LookupFault(
                ("lookup", "points", where), "the wire values of the points must all rise, or fall"
            )
    lines = []
    for (x, y), (x1, y1) in pairwise(ordered):
        slope = (y1 - y) / (x1 - x)
        lines.append(linear(slope * factor, (y - slope * x) * factor + offset))
    return Lookup(
        tuple(float(x) for x, _ in ordered), tuple(lines), spec.get("outside", "drop") == "clamp"
    )


def ranges_of(table: Mapping[str, Any]) -> list[tuple[float, float, Any]]:
    """Return ``(least, greatest, value)`` of the keys of a ``map`` that are ranges, ascending.

    ``"0..9"`` holds both its ends, ``"10.."`` and ``"..-1"`` are open to one side.

    Raises:
        LookupFault: A range is empty or meets another.
    """
    found: list[tuple[float, float, Any, str]] = []
    for key, value in table.items():
        match = _RANGE.fullmatch(key)
        if match is None or match[0] == "..":
            continue
        low = float(match[1]) if match[1] else float("-inf")
        high = float(match[2]) if match[2] else float("inf")
        if low > high:
            raise LookupFault(("map", key), f"{key!r} holds no number: its ends are swapped")
        found.append((low, high, value, key))
    found.sort(key=lambda one: one[0])
    for before, after in pairwise(found):
        if after[0] <= before[1]:
            raise LookupFault(("map", after[3]), f"{after[3]!r} meets {before[3]!r}")
    return [(low, high, value) for low, high, value, _ in found]


def in_ranges(ranges: Sequence[tuple[float, float, Any]], value: float) -> Any:
    """Return what the range that holds a number stands for; None where none does."""
    for low, high, found in ranges:
        if low <= value <= high:
            return found
    return None
