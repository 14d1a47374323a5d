"""Write a batch of lines to a server that may refuse some of them, and find out which.

A server that speaks InfluxDB's protocol answers for a whole request. When it refuses one, the
lines are halved until each one that is to blame stands alone and can be named with the server's
own reason; all others are written. Writing a line twice leaves one point.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from collector.timeseries.line import Lines
from gateway_core.model import Receipt, Rejection

REQUEST_BYTES = 8 << 20
"""Most bytes of one request before compression; InfluxDB takes 25 MB."""

Post = Callable[[str], Awaitable[str | None]]
"""Writes lines, with a newline between them; returns None, or why the server refuses at least one
of them for good."""

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
    if not _fits(lines.text):
        each = lines.lines
        for first, last in _requests(each):
            await _blame(_Part(each, lines.seqs, first, last), post, rejected)
    elif lines.text:
        why = await post(lines.text)
        if why is not None:
            each = lines.lines
            await _halve(_Part(each, lines.seqs, 0, len(each)), why, post, rejected)
    rejected.sort(key=lambda each: each.seq)
    dropped = {"not_a_series": lines.not_series} if lines.not_series else {}
    return Receipt(rejected=tuple(rejected), dropped=dropped)


class _Part(NamedTuple):
    """Lines ``first`` to before ``last`` of a batch."""

    lines: Sequence[str]
    seqs: Sequence[int]
    first: int
    last: int


async def _blame(part: _Part, post: Post, rejected: list[Rejection]) -> int:
    """Write lines, entering the refused ones; return how many those are."""
    why = await post("\n".join(part.lines[part.first : part.last]))
    return 0 if why is None else await _halve(part, why, post, rejected)


async def _halve(part: _Part, why: str, post: Post, rejected: list[Rejection]) -> int:
    """Find the lines for which a request was refused; return how many they are."""
    _, _, first, last = part
    if last - first == 1:
        rejected.append(Rejection(part.seqs[first], _reason(why), why[:300]))
        return 1
    middle = (first + last) // 2
    found = await _blame(part._replace(last=middle), post, rejected)
    told = _DROPPED.search(why)
    if told and 0 < int(told[1]) == found:  # the rest was written by the first request already
        return found
    return found + await _blame(part._replace(first=middle), post, rejected)


def _fits(text: str) -> bool:
    """Return whether a text is surely no longer than a request may be."""
    return len(text) <= REQUEST_BYTES // (1 if text.isascii() else 4)


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
