"""What a verdict on a feed means for the city's figures, and how long it is believed. Pure.

A feed is in exactly one condition. ``intact``: online, picture and clock good (完好).
``picture``, ``clock``, ``both``: online with a bad picture, a wrong clock, or both. ``down``: no
video can be had. ``unknown``: nobody could tell; it is not down. ``maintenance``: people are at
work there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

Condition = Literal["intact", "picture", "clock", "both", "down", "unknown", "maintenance"]
CONDITIONS: tuple[Condition, ...] = get_args(Condition)

BELIEVED_MS = 2 * 3_600_000
"""How long a verdict holds without another: twice the hour after which every feed is told anew."""
DAY_MS = 86_400_000
KEPT_DAYS = 400
"""How many days back feeds' time is kept: a year and the month that it is compared with."""

_UP = {"online", "degraded"}
_SPOIL = {"no_media", "stream_blank", "stream_frozen", "packet_loss"}
"""Faults of the packets that show in the picture; one with few frames or key frames is good."""
_DOWN = {"offline", "auth_failed", "locked_out", "no_stream"}


def condition(state: str, faults: Sequence[str]) -> Condition:
    """Return the condition that a verdict puts a feed in."""
    if state in _UP:
        picture = any(each.startswith("picture_") or each in _SPOIL for each in faults)
        if "clock_skew" in faults:
            return "both" if picture else "clock"
        return "picture" if picture else "intact"
    if state in _DOWN:
        return "down"
    return "maintenance" if state == "maintenance" else "unknown"


def spans(start_ms: int, end_ms: int, held: str, shift_ms: int) -> Iterator[tuple[int, str, int]]:
    """Yield (day, condition, milliseconds) of the time from a verdict to what follows it.

    Args:
        start_ms: When the verdict was reached, milliseconds since 1970.
        end_ms: When the next one was; nothing is yielded unless it is later.
        held: The verdict's condition; believed for `BELIEVED_MS`, unknown from there on.
        shift_ms: How far the city's clocks are ahead of UTC; days are the city's.
    """
    believed, oldest = min(end_ms, start_ms + BELIEVED_MS), end_ms - KEPT_DAYS * DAY_MS
    for begin, end, each in ((start_ms, believed, held), (believed, end_ms, "unknown")):
        start = max(begin, oldest)
        while start < end:
            day = (start + shift_ms) // DAY_MS
            stop = min(end, (day + 1) * DAY_MS - shift_ms)
            yield day, each, stop - start
            start = stop
