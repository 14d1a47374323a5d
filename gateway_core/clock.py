"""The one place that reads the clock. Everything else takes a `Clock` as an argument."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

Clock = Callable[[], int]
"""Returns the wall clock as nanoseconds since 1970-01-01T00:00:00Z."""

NS = 1_000_000_000
"""Nanoseconds in a second."""


RELEASED_NS = 1_793_491_200 * NS
"""2026-11-01: a clock that stands before this program was written is wrong."""


def wall_ns() -> int:
    """Return the wall clock in nanoseconds since 1970 (UTC)."""
    return time.time_ns()


_sources: list[Callable[[], float]] = [time.monotonic]


def monotonic() -> float:
    """Return seconds on a clock that never jumps; only differences mean anything."""
    return _sources[-1]()


@contextlib.contextmanager
def monotonic_from(source: Callable[[], float]) -> Iterator[None]:
    """Let `monotonic` ask ``source`` in the whole process meanwhile: where time is simulated."""
    _sources.append(source)
    try:
        yield
    finally:
        _sources.pop()


def steady_ns() -> int:
    """Return nanoseconds since the machine was started, sleep included; it never jumps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
