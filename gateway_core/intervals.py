"""A set of whole numbers kept as disjoint, ascending, inclusive intervals. Pure.

Used for what a consumer settled beyond its cursor, and for what a collector received from an edge.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

import msgspec

_decode = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Intervals:
    """A set of whole numbers; neighbours merge, so its size is the number of gaps plus one."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in spans:
            self.add(first, last)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield (first, last) in ascending order, both inclusive."""
        return zip(self._firsts, self._lasts, strict=True)

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Intervals({list(self)})"

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    def __len__(self) -> int:
        """Return the number of intervals, not of numbers."""
        return len(self._firsts)

    def count(self) -> int:
        """Return how many numbers are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def add(self, first: int, last: int) -> int:
        """Add ``first`` to ``last``, both inclusive; return how many of them were new."""
        if last < first:
            return 0
        low = bisect_left(self._lasts, first - 1)  # the first interval that touches or follows
        high = bisect_right(self._firsts, last + 1)  # one past the last that touches
        known = sum(
            max(0, min(self._lasts[i], last) - max(self._firsts[i], first) + 1)
            for i in range(low, high)
        )
        if low < high:
            merged_first = min(first, self._firsts[low])
            merged_last = max(last, self._lasts[high - 1])
        else:
            merged_first, merged_last = first, last
        self._firsts[low:high] = [merged_first]
        self._lasts[low:high] = [merged_last]
        return last - first + 1 - known

    def overlap(self, first: int, last: int) -> int:
        """Return how many of ``first`` to ``last`` are in the set."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        return sum(
            min(self._lasts[i], last) - max(self._firsts[i], first) + 1 for i in range(low, high)
        )

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the parts of ``first`` to ``last`` that are not in the set, ascending."""
        gaps: list[tuple[int, int]] = []
        at = first
        for low, high in zip(
            self._firsts[bisect_left(self._lasts, first) :],
            self._lasts[bisect_left(self._lasts, first) :],
            strict=True,
        ):
            if low > last:
                break
            if low > at:
                gaps.append((at, low - 1))
            at = high + 1
        if at <= last:
            gaps.append((at, last))
        return gaps

    def drop_below(self, number: int) -> None:
        """Take out everything smaller than ``number``."""
        at = bisect_left(self._lasts, number)
        del self._firsts[:at], self._lasts[:at]
        if self._firsts and self._firsts[0] < number:
            self._firsts[0] = number

    def encode(self) -> bytes:
        """Return the set as JSON: ``[[first,last],…]``."""
        return msgspec.json.encode(list(self))

    @classmethod
    def decode(cls, data: bytes) -> Intervals:
        """Read what `encode` made."""
        return cls(_decode(data))
