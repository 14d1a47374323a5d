"""What goes into a spool's options and what comes out of its books."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gateway_core.model import Record

MIB = 1 << 20


class Span(NamedTuple):
    """The sequence numbers that one append was given, both inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class SpoolOptions:
    """The limits of a spool, and what happens at each.

    Attributes:
        max_bytes: Budget for the pages in use, in bytes; at least 256 KiB.
        group_commit_s: Longest time that an append waits for others to share its commit.
        group_records: Records that make a group commit at once, and most records in a segment.
        when_full: ``wait``: appends raise `SpoolFull`, but for those that hold an alarm.
            ``evict``: telemetry is given up as ``evict`` says, each loss is recorded and counted.
        evict: How telemetry is given up, in this order. ``thin``: readings become a minimum, mean
            and maximum for each series and minute. ``oldest``: the oldest goes. Alarms never do.
        keep_s: Segments that every consumer settled stay this long, for re-sending and queries.
        pending_bytes: Bytes that may wait for a commit; beyond it `Spool.append` waits.
        refused_bytes: Budget for payloads kept in ``refused``; beyond it the oldest go.
        refused_rows: Likewise as a count.
        cache_records: Most records kept decoded until the consumers near the head have them, and
            half as many of those that were read again; half a kilobyte each.
    """

    max_bytes: int = 20 * 1024 * MIB
    group_commit_s: float = 0.02
    group_records: int = 5000
    when_full: Literal["wait", "evict"] = "wait"
    evict: tuple[Literal["thin", "oldest"], ...] = ("thin", "oldest")
    keep_s: float = 86_400.0
    pending_bytes: int = 16 * MIB
    refused_bytes: int = 64 * MIB
    refused_rows: int = 100_000
    cache_records: int = 50_000

    def __post_init__(self) -> None:
        if self.max_bytes < MIB // 4:
            raise ValueError("max_bytes must be at least 256 KiB")
        if self.group_records < 1 or self.group_commit_s < 0 or self.keep_s < 0:
            raise ValueError("group_records must be positive; times must not be negative")

    @property
    def reserve(self) -> int:
        """Bytes beyond the budget: one half for alarms, one for cursors and cleaning."""
        return max(MIB, self.max_bytes // 16)

    @property
    def ballast(self) -> int:
        """Bytes of disk held for when the disk is full: room for the write-ahead log, and more."""
        return min(max(MIB, self.max_bytes // 16), 8 * MIB)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that a consumer will never accept, and why.

    Attributes:
        id: Ascending; what paging goes by.
        consumer: Whose sink rejected it.
        seq: Its sequence number in this spool's epoch.
        reason: A stable code.
        detail: What was expected and found.
        record: The record itself; None when its segment was gone when it was rejected.
    """

    id: int
    consumer: str
    seq: int
    reason: str
    detail: str
    record: Record | None


@dataclass(frozen=True, slots=True)
class ConsumerBooks:
    """One consumer's side of the conservation law, in records.

    Attributes:
        accepted: Everything accepted since the consumer can see the spool.
        delivered: What its sink took.
        buffered: What is still to be settled, counted from the segments themselves.
        quarantined: What its sink will never accept.
        dropped: Reason to count of what was withheld or lost: ``policy``, ``evicted``, ``thinned``,
            ``damaged``.
        quarantine_reasons: Reason to count; sums to ``quarantined``.
        settled: Everything up to this sequence number is settled.
    """

    accepted: int
    delivered: int
    buffered: int
    quarantined: int
    dropped: dict[str, int]
    quarantine_reasons: dict[str, int]
    settled: int

    @property
    def residual(self) -> int:
        """What the books cannot explain; anything but 0 is an alert."""
        explained = self.delivered + self.buffered + self.quarantined + sum(self.dropped.values())
        return self.accepted - explained


@dataclass(frozen=True, slots=True)
class Books:
    """The conservation law of one spool at one instant.

    Attributes:
        epoch: Of the spool file.
        head: Last committed sequence number, 0 when nothing was ever appended.
        oldest: First sequence number still held, ``head + 1`` when nothing is.
        bytes: Pages in use, in bytes.
        max_bytes: The budget.
        accepted: Source to count of records accepted.
        consumers: By name.
        refused: Reason to count of payloads refused since the file was created.
        refused_held: Refused payloads kept now.
        refused_evicted: Refused payloads that made room for newer ones.
        oldest_ns: When the oldest segment that some consumer has not settled was committed.
    """

    epoch: str
    head: int
    oldest: int
    bytes: int
    max_bytes: int
    accepted: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, ConsumerBooks] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    refused_held: int = 0
    refused_evicted: int = 0
    oldest_ns: int | None = None

    @property
    def residual(self) -> int:
        """The sum of what the consumers' books cannot explain, without regard to sign."""
        return sum(abs(each.residual) for each in self.consumers.values())
