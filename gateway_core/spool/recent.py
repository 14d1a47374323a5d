"""The few segments that were appended or decoded last, so that nobody decodes them again."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import OrderedDict

from gateway_core.model import Record


class Recent:
    """Decoded segments by first sequence number, bounded by their records."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._firsts: list[int] = []
        self._segments: OrderedDict[int, list[Record]] = OrderedDict()

    def add(self, first: int, records: list[Record]) -> None:
        """Remember a segment; the ones used longest ago make room (it may be alone too large)."""
        self.drop(first)
        insort(self._firsts, first)
        self._segments[first] = records
        self._held += len(records)
        while self._held > self._most and len(self._segments) > 1:
            self.drop(next(iter(self._segments)))

    def drop(self, first: int) -> None:
        """Forget a segment."""
        gone = self._segments.pop(first, None)
        if gone is not None:
            self._firsts.remove(first)
            self._held -= len(gone)

    def take(self, seq: int, limit: int) -> list[Record]:
        """Return up to ``limit`` consecutive records from ``seq``; none if it is not here."""
        found: list[Record] = []
        while len(found) < limit:
            at = bisect_right(self._firsts, seq) - 1
            first = self._firsts[at] if at >= 0 else 0
            records = self._segments.get(first, [])
            if seq >= first + len(records):
                break
            self._segments.move_to_end(first)
            part = records[seq - first : seq - first + limit - len(found)]
            found = found + part if found else part
            seq += len(part)
        return found
