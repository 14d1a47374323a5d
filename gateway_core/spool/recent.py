"""The segments that were appended or decoded last, so that nobody decodes them again.

Two shelves: a consumer that works off a backlog must not push out what everyone near the head is
about to read, nor the newest records the segment that it has half read.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict

from gateway_core.model import Record


class Recent:
    """Decoded segments by first sequence number, bounded by their records.

    Args:
        most: Records of the newest segments; half as many of those that were read again.
            Of each kind at least one segment.
    """

    def __init__(self, most: int) -> None:
        self._most, self._most_again = most, most // 2
        self._held = self._held_again = 0
        self._firsts: list[int] = []
        self._newest: OrderedDict[int, list[Record]] = OrderedDict()
        self._again: OrderedDict[int, list[Record]] = OrderedDict()

    def add(self, first: int, records: list[Record]) -> None:
        """Remember a segment that was appended; the oldest make room."""
        self.drop(first)
        insort(self._firsts, first)
        self._newest[first] = records
        self._held += len(records)
        while self._held > self._most and len(self._newest) > 1:
            self.drop(next(iter(self._newest)))

    def add_again(self, first: int, records: list[Record]) -> None:
        """Remember a segment that was read; the ones used longest ago make room."""
        if first in self._newest:
            return
        self.drop(first)
        insort(self._firsts, first)
        self._again[first] = records
        self._held_again += len(records)
        while self._held_again > self._most_again and len(self._again) > 1:
            self.drop(next(iter(self._again)))

    def drop(self, first: int) -> None:
        """Forget a segment."""
        gone = self._newest.pop(first, None)
        if gone is not None:
            self._held -= len(gone)
        else:
            gone = self._again.pop(first, None)
            if gone is None:
                return
            self._held_again -= len(gone)
        self._firsts.remove(first)

    def passed(self, seq: int) -> None:
        """Forget the newest segments up to ``seq``: nobody who is near wants them any more."""
        while self._newest:
            first, records = next(iter(self._newest.items()))
            if first + len(records) - 1 > seq or len(self._newest) == 1:
                break
            self.drop(first)

    def take(self, seq: int, limit: int) -> list[Record]:
        """Return up to ``limit`` consecutive records from ``seq``; none if it is not here."""
        found: list[Record] = []
        while len(found) < limit:
            at = bisect_right(self._firsts, seq) - 1
            first = self._firsts[at] if at >= 0 else 0
            records = self._newest.get(first)
            if records is None:
                records = self._again.get(first, [])
                if records:
                    self._again.move_to_end(first)
            if seq >= first + len(records):
                break
            found += records[seq - first : seq - first + limit - len(found)]
            seq = first + len(records)
        return found

    def until(self, seq: int) -> int | None:
        """Return the last number before the next segment that is here, None when there is none."""
        at = bisect_right(self._firsts, seq)
        return self._firsts[at] - 1 if at < len(self._firsts) else None
