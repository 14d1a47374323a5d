"""One instant by two clocks: the wall's, which people read, and one that never jumps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Now:
    """One instant.

    Attributes:
        wall: Nanoseconds since 1970.
        steady: Seconds of the monotonic clock.
    """

    wall: int
    steady: float
