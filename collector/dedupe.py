"""What has been received from one epoch of one edge, to the number. Pure.

An upload accounts for every sequence number from ``first`` to ``last``: those with a record, and
those that the site's policy withheld. The books of an epoch hold::

    received numbers = stored + withheld + unexplained

with ``unexplained`` 0 as long as the edge's own books balance.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from gateway_core.intervals import Intervals

MAX_SPAN = 1_000_000_000
"""Most sequence numbers that one upload may account for; a site may withhold nearly everything."""
MAX_INTERVALS = 4096
"""Most pieces that what was received may be in."""


class _Stored(msgspec.Struct, forbid_unknown_fields=False):
    received: list[tuple[int, int]]
    lost: list[tuple[int, int]] = []
    stored: int = 0
    duplicates: int = 0
    unexplained: int = 0
    withheld: dict[str, int] = {}
    began: int = 0
    contact: int = 0
    crc: int = -1  # of the page with 0 here; pages of before there was one have none

    def sealed(self) -> bytes:
        """Return the page as JSON, with its checksum."""
        plain = msgspec.json.encode(msgspec.structs.replace(self, crc=0))
        return msgspec.json.encode(msgspec.structs.replace(self, crc=zlib.crc32(plain)))


_read = msgspec.json.Decoder(_Stored).decode


@dataclass(frozen=True, slots=True)
class EpochBook:
    """The books of one epoch of one edge; `enter` returns the next page, this one stays as it is.

    Attributes:
        received: Sequence numbers that uploads accounted for.
        lost: Sequence numbers that the edge says it lost; they may still come.
        stored: Records stored here.
        duplicates: Records that came again.
        unexplained: Numbers accounted for that are neither stored nor withheld.
        withheld: Reason to count of what stayed on site.
        began: When the first upload came, nanoseconds since 1970.
        contact: When the newest was committed.
    """

    received: Intervals = field(default_factory=Intervals)
    lost: Intervals = field(default_factory=Intervals)
    stored: int = 0
    duplicates: int = 0
    unexplained: int = 0
    withheld: dict[str, int] = field(default_factory=dict)
    began: int = 0
    contact: int = 0

    def fresh(self, first: int, last: int, seqs: Sequence[int]) -> Sequence[int]:
        """Return the places in `seqs` of what has not been received; a range if that is all."""
        overlap = self.received.overlap(first, last)
        if not overlap:
            return range(len(seqs))
        if overlap == last - first + 1:
            return []
        return [at for at, seq in enumerate(seqs) if seq not in self.received]

    def enter(
        self, first: int, last: int, seqs: Sequence[int], withheld: dict[str, int], now: int
    ) -> EpochBook:
        """Return the books after an upload that accounts for `first` to `last` is stored.

        Args:
            first: First number.
            last: Last number, inclusive.
            seqs: Numbers that came with a record.
            withheld: Reason to count of the others, as the edge said.
            now: Nanoseconds since 1970.
        """
        new = len(self.fresh(first, last, seqs))
        received = Intervals(self.received)
        added = received.add(first, last)
        whole = added == last - first + 1
        reasons, unexplained = _explain(withheld, added - new, whole=whole)
        return replace(
            self,
            received=received,
            stored=self.stored + new,
            duplicates=self.duplicates + len(seqs) - new,
            unexplained=self.unexplained + unexplained,
            withheld=dict(Counter(self.withheld) + Counter(reasons)),
            began=self.began or now,
            contact=now,
        )

    def greet(self, now: int) -> EpochBook:
        """Return the books after an upload that accounts for nothing: the edge is there."""
        return replace(self, began=self.began or now, contact=now)

    def lose(self, spans: Iterable[tuple[int, int]]) -> EpochBook:
        """Return the books after the edge said that it lost `spans`."""
        lost = Intervals([*self.lost, *spans])
        if len(lost) > MAX_INTERVALS // 2:
            lost = _joined(lost, self.received)
        return replace(self, lost=lost)

    @property
    def high_water(self) -> int:
        """Highest number received; 0 when none was."""
        return max((last for _, last in self.received), default=0)

    @property
    def residual(self) -> int:
        """Received minus stored, withheld and unexplained; anything but 0 is a bug of ours."""
        explained = self.stored + sum(self.withheld.values()) + self.unexplained
        return self.received.count() - explained

    def missing(self) -> list[tuple[int, int]]:
        """Return the gaps below the high-water mark that are not known to be lost."""
        return self.lacks(self.high_water)

    def lacks(self, upto: int) -> list[tuple[int, int]]:
        """Return what has not arrived of the numbers up to one and is not known to be lost."""
        return [part for gap in self.received.missing(1, upto) for part in self.lost.missing(*gap)]

    def encode(self) -> bytes:
        """Return the books as JSON."""
        return _Stored(
            list(self.received),
            list(self.lost),
            self.stored,
            self.duplicates,
            self.unexplained,
            self.withheld,
            self.began,
            self.contact,
        ).sealed()

    @classmethod
    def decode(cls, data: bytes) -> EpochBook:
        """Read what `encode` made.

        Raises:
            ValueError: It is not: a number that was altered would take new records for repeats.
        """
        held = _read(data)
        if held.crc >= 0 and _read(held.sealed()).crc != held.crc:
            raise ValueError("the checksum does not match")
        return cls(
            Intervals(held.received),
            Intervals(held.lost),
            held.stored,
            held.duplicates,
            held.unexplained,
            held.withheld,
            held.began,
            held.contact,
        )


def _joined(lost: Intervals, received: Intervals) -> Intervals:
    """Return the losses in fewer pieces: over what was received it is idle to say what was lost."""
    joined: list[tuple[int, int]] = []
    for first, last in lost:
        between = first - joined[-1][1] - 1 if joined else 0
        if joined and received.overlap(joined[-1][1] + 1, first - 1) == between:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return Intervals(joined)


def _explain(withheld: dict[str, int], silent: int, *, whole: bool) -> tuple[dict[str, int], int]:
    """Match what the edge says it withheld with the numbers that came without a record.

    Returns:
        Reason to count, and how many numbers (or, below 0, reasons too many) nothing explains.
    """
    told = sum(withheld.values())
    if whole:
        reasons = {reason: count for reason, count in withheld.items() if count > 0}
        return reasons, silent - told
    if silent == 0:
        return {}, 0
    reason = next(iter(withheld)) if len(withheld) == 1 else "mixed"  # part of it came before
    return {reason: silent}, 0
