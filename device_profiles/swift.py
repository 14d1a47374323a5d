"""The good case of a number first: one look at type and range, and everything else as before.

`quality` knows what each value means; what is put before it here only answers where its answer is
known: a number of the declared type, converted by one division or none, within its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.units import Linear

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""What a stored integer can hold."""

_EXACT = 2**53


def swift_float(
    spec: Mapping[str, Any], line: Linear, finish: Callable[[Any], float]
) -> Callable[[Any], float]:
    """Return ``finish`` with the good case of a float before it, where the range allows it.

    Args:
        spec: The measurement as written.
        line: What is done to the number.
        finish: Knows all cases.
    """
    low, high = spec.get("range", (-math.inf, math.inf))
    widest = max(abs(low), abs(high))
    if line.add or line.num != 1 or not widest * line.den < INT_MAX or line.den >= _EXACT:
        return finish
    if line.den == 1:

        def unscaled(value: Any) -> float:
            kind = type(value)
            if (kind is float or kind is int) and low <= value <= high:
                return float(value)
            return finish(value)

        return unscaled
    den = line.den

    def divided(value: Any) -> float:
        kind = type(value)
        if kind is int or kind is float:
            try:
                number: float = value / den
            except OverflowError:  # an integer of more than a thousand bits
                return finish(value)
            if low <= number <= high:
                return number
        return finish(value)

    return divided


def swift_int(spec: Mapping[str, Any], finish: Callable[[Any], int]) -> Callable[[Any], int]:
    """Return ``finish`` with the good case of an integer before it; nothing may convert it."""
    low, high = spec.get("range", (INT_MIN, INT_MAX))
    low, high = max(math.ceil(low), INT_MIN), min(math.floor(high), INT_MAX)

    def whole(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        return finish(value)

    return whole
