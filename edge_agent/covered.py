"""What stays on site and has not been told yet, so that the collector's gap set can close.

A batch of which nothing leaves is not worth a message of its own. Its range waits here and goes
with the next batch that begins right after it, or alone after a while.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog

log = structlog.get_logger()

MOST_RANGES = 32


class Covered(msgspec.Struct, frozen=True, array_like=True):
    """A range of sequence numbers of which nothing leaves.

    Attributes:
        first: First sequence number.
        last: Last one, inclusive.
        withheld: Rule to count.
    """

    first: int
    last: int
    withheld: dict[str, int]


_decode = msgspec.msgpack.Decoder(list[Covered]).decode


class Untold:
    """The ranges that wait; neighbours merge.

    Args:
        stored: What `encode` returned in an earlier life; empty without one.
    """

    def __init__(self, stored: bytes = b"") -> None:
        self._ranges: list[Covered] = _decode(stored) if stored else []

    def __len__(self) -> int:
        """Return how many ranges wait."""
        return len(self._ranges)

    def add(self, first: int, last: int, withheld: dict[str, int]) -> None:
        """Let a range wait; the same range again changes nothing."""
        kept = [one for one in self._ranges if one.last < first or one.first > last]
        kept.append(Covered(first, last, withheld))
        merged: list[Covered] = []
        for one in sorted(kept, key=lambda each: each.first):
            if merged and merged[-1].last + 1 == one.first:
                before = merged.pop()
                total = added(before.withheld, one.withheld)
                merged.append(Covered(before.first, one.last, total))
            else:
                merged.append(one)
        self._ranges = merged

    def before(self, first: int) -> Covered | None:
        """Return the range that ends right before ``first``, or None."""
        return next((one for one in self._ranges if one.last + 1 == first), None)

    def drop(self, told: Iterable[Covered]) -> None:
        """Take out ranges that were told."""
        gone = {one.first for one in told}
        self._ranges = [one for one in self._ranges if one.first not in gone]

    def all(self) -> list[Covered]:
        """Return every range, ascending."""
        return list(self._ranges)

    def encode(self) -> bytes | None:
        """Return the ranges as they are stored; None when none waits."""
        return msgspec.msgpack.encode(self._ranges) if self._ranges else None


def recalled(state: bytes) -> Untold:
    """Take up the untold ranges; without those that a bad disk made unreadable."""
    try:
        return Untold(state)
    except msgspec.MsgspecError as exc:
        log.error("untold_ranges_unread", why=str(exc))  # noqa: TRY400 - not a bug
        return Untold()


def added(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Return two sets of counts as one."""
    total = dict(one)
    for name, count in other.items():
        total[name] = total.get(name, 0) + count
    return total
