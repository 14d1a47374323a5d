"""Write a batch of lines to a server that may refuse some of them, and find out which.

A server that speaks InfluxDB's protocol answers for a whole request. When it refuses one, the
lines are halved until each one that is to blame stands alone and can be named with the server's
own reason; all others are written. Writing a line twice leaves one point.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from collector.timeseries.line import Lines
from gateway_core.model import Receipt, Rejection

REQUEST_BYTES = 8 << 20
"""Most bytes of one request before compression; InfluxDB takes 25 MB."""

Post = Callable[[Sequence[str]], Awaitable[str | None]]
"""Writes lines; returns None, or why the server refuses at least one of them for good."""

_DROPPED = re.compile(r"dropped=(\d+)")
_REASONS = (
    ("field type conflict", "field_type"),
    ("retention policy", "beyond_retention"),
    ("max-values-per-tag", "too_many_series"),
    ("max-series-per-database", "too_many_series"),
)


async def deliver(lines: Lines, post: Post) -> Receipt:
    """Write all lines and name those that the server will never accept.

    Raises:
        Unavailable: From `post`; nothing is known to have been written.
    """
    rejected = list(lines.rejected)
    for first, last in _requests(lines.lines):
        await _blame(lines, first, last, post, rejected)
    rejected.sort(key=lambda each: each.seq)
    dropped = {"not_a_series": lines.not_series} if lines.not_series else {}
    return Receipt(rejected=tuple(rejected), dropped=dropped)


async def _blame(lines: Lines, first: int, last: int, post: Post, rejected: list[Rejection]) -> int:
    """Write ``lines[first:last]``, entering the refused ones; return how many those are."""
    why = await post(lines.lines[first:last])
    if why is None:
        return 0
    if last - first == 1:
        rejected.append(Rejection(lines.seqs[first], _reason(why), why[:300]))
        return 1
    middle = (first + last) // 2
    found = await _blame(lines, first, middle, post, rejected)
    told = _DROPPED.search(why)
    if told and 0 < int(told[1]) == found:  # the rest was written by the first request already
        return found
    return found + await _blame(lines, middle, last, post, rejected)


def _requests(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Cut into ranges of at most `REQUEST_BYTES`."""
    cuts, first, held = [], 0, 0
    for at, line in enumerate(lines):
        held += 4 * len(line) if not line.isascii() else len(line)
        if held > REQUEST_BYTES and at > first:
            cuts.append((first, at))
            first, held = at, len(line)
    if first < len(lines):
        cuts.append((first, len(lines)))
    return cuts


def _reason(why: str) -> str:
    return next((code for text, code in _REASONS if text in why), "store_refused")
