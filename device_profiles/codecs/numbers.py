"""Numbers as messages have them."""

from __future__ import annotations

import math
from typing import TypeGuard

from gateway_core.clock import NS
from gateway_core.errors import PayloadError

_MOST_SECONDS = 1 << 33  # the year 2242; nanoseconds stay far inside 64 bits


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether `value` is a finite number within 64 bits or a double; a bool is not one."""
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value) is int and -(1 << 63) <= value < 1 << 64


def as_ns(seconds: float) -> int:
    """Return seconds as nanoseconds; from a float, to the microsecond that a double still holds.

    Raises:
        PayloadError: ``not_senml``; further from zero than any clock of ours goes.
    """
    if abs(seconds) >= _MOST_SECONDS:
        raise PayloadError("not_senml", "a time is beyond the year 2242")
    return seconds * NS if isinstance(seconds, int) else round(seconds * 1e6) * 1000
