"""One transaction in the making: jobs add to it, `finish` writes what they share.

Everything is read from and written to the database inside the transaction, so that a rollback
leaves nothing behind in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import apsw

from gateway_core.errors import Unavailable
from gateway_core.model import Alarm, Loss, Receipt, Record, Refusal
from gateway_core.spool import rows, side
from gateway_core.spool.position import Position
from gateway_core.spool.segment import Chunk, Damaged, Segment, chunk, pack, unpack
from gateway_core.spool.shapes import Span, SpoolOptions

OWN_SOURCE = "spool"
"""Under which the spool counts the `Loss` records that it appends itself."""


@dataclass(slots=True)
class Transaction:
    """What one commit does.

    Attributes:
        db: The writer's connection, inside a transaction.
        options: Of the spool.
        owner: Of the spool.
        epoch: Of the spool.
        now: Nanoseconds; when the commit's segments were made.
        head: Last sequence number given out.
        limit: Budget in bytes: the options' own, or less while the disk is full.
        strict: True once something was added that must not use the reserve.
        urgent: False once something of that was added that holds no alarm.
        positions: Consumers read so far; None for one that was forgotten.
        segments: Made by `close_segments`, written by `finish`.
        losses: What the spool itself lost in this transaction.
        removed: First sequence numbers of the segments that went.
        alarms: How many alarms `finish` entered.
        begun: What `head` was when the transaction began.
    """

    db: apsw.Connection
    options: SpoolOptions
    owner: str
    epoch: str
    now: int
    head: int
    limit: int
    strict: bool = False
    urgent: bool = True
    positions: dict[str, Position | None] = field(default_factory=dict)
    segments: list[tuple[Segment, list[Record]]] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    alarms: int = 0
    begun: int = 0
    _counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    _open: list[Chunk] = field(default_factory=list)
    _written: int = 0
    _unpacked: tuple[int, list[Record]] = (0, [])

    def __post_init__(self) -> None:
        self._written = self.begun = self.head

    def count(self, kind: str, name: str, reason: str, n: int) -> None:
        """Add to a counter when the transaction finishes."""
        if n:
            self._counts[kind, name, reason] += n

    def add(self, chunks: Sequence[Chunk], source: str) -> Span | None:
        """Give the chunks' records their numbers; `finish` writes them."""
        added = sum(len(each.records) for each in chunks)
        if not added:
            return None
        self._open += chunks
        self.count("accepted", source, "", added)
        self.head += added
        return Span(self.head - added + 1, self.head)

    def lose(
        self,
        first: int,
        last: int,
        reason: Literal["damaged", "evicted", "thinned"],
        detail: str,
        span: tuple[int, int] = (0, 0),
    ) -> None:
        """Append a `Loss` and count it for each consumer that had not settled the range.

        Args:
            first: First number lost.
            last: Last one, inclusive.
            reason: Why.
            detail: For people.
            span: Earliest and latest receive time of what was lost; 0 for unknown.
        """
        at = self.now + len(self.losses)  # at one instant they would be one point of a series
        loss = Loss(self.owner, at, self.epoch, first, last, reason, detail, *span)
        self.losses.append(loss)
        for name in rows.consumers(self.db):
            self.count("dropped", name, reason, self.position(name).settle(first, last))
        self.add((chunk([loss]),), OWN_SOURCE)

    def settle(self, consumer: str, first: int, last: int, receipt: Receipt) -> None:
        """Enter a sink's receipt; see `gateway_core.spool.Spool.settle`."""
        position = self.position(consumer)
        rejected = [r for r in receipt.rejected if position.unsettled(r.seq, r.seq)]
        left = position.settle(first, last) - len(rejected)
        if rejected:
            kept = [(r.seq, r.reason, r.detail, self._record(r.seq)) for r in rejected]
            gone = side.keep_quarantined(self.db, consumer, kept, self.now, self.options)
            self.count("evicted", "quarantine", "", gone)
        for each in rejected:
            self.count("quarantined", consumer, each.reason, 1)
        for reason, n in receipt.dropped.items():
            taken = min(n, left)  # less when the spool itself had dropped a part meanwhile
            self.count("dropped", consumer, reason, taken)
            left -= taken
        self.count("delivered", consumer, "", left)

    def position(self, consumer: str) -> Position:
        """Return a consumer's cursor as this transaction sees it; `finish` writes it.

        Raises:
            Unavailable: It is not registered.
        """
        if consumer not in self.positions:
            self.positions[consumer] = rows.load_position(self.db, consumer)
        found = self.positions[consumer]
        if found is None:
            raise Unavailable(f"no consumer {consumer} is registered")
        return found

    def refuse(self, refused: Sequence[Refusal]) -> None:
        """Keep payloads that could not be read, within their budget."""
        gone = side.keep_refused(self.db, refused, self.options)
        self.count("evicted", "refused", "", gone)
        for each in refused:
            self.count("refused", "", each.reason, 1)

    def set_state(self, state: Mapping[str, bytes | None]) -> None:
        """Set keys, or delete those whose value is None."""
        for key, value in state.items():
            if value is None:
                self.db.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                self.db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def close_segments(self) -> None:
        """Make segments of at most ``group_records`` out of what was added."""
        group: list[Chunk] = []
        held = 0
        for each in self._open:
            if group and held + len(each.records) > self.options.group_records:
                self._close(group)
                group, held = [], 0
            group.append(each)
            held += len(each.records)
        if group:
            self._close(group)
        self._open.clear()

    def finish(self) -> None:
        """Write segments, cursors and counters; the caller commits."""
        for segment, records in self.segments:
            self.write(segment)
            if Alarm not in set(map(type, records)):
                continue
            alarms = [seq for seq, each in enumerate(records, segment.first) if type(each) is Alarm]
            self.db.executemany("INSERT OR IGNORE INTO alarm VALUES (?)", [(a,) for a in alarms])
            self.alarms += len(alarms)
        for name, position in self.positions.items():
            if position is not None:
                self.db.execute(
                    "UPDATE consumer SET settled = ?, ahead = ? WHERE name = ?",
                    (position.settled, position.ahead.encode(), name),
                )
        self.db.executemany(
            "INSERT INTO counter VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            [(*key, n) for key, n in self._counts.items()],
        )

    def write(self, segment: Segment) -> None:
        """Put a segment into the log; one that `add` made is written by `finish`."""
        head = (segment.first, segment.count, segment.created, segment.version, segment.crc)
        self.db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?)", head)
        self.db.execute("INSERT INTO payload VALUES (?, ?)", (segment.first, segment.payload))

    def _close(self, group: Sequence[Chunk]) -> None:
        made = pack(self._written + 1, self.now, group)
        self._written += made.count
        self.segments.append((made, [record for each in group for record in each.records]))

    def _record(self, seq: int) -> Record | None:
        """Return one record as it stands in the file; None when its segment cannot be read."""
        first, records = self._unpacked
        if not first <= seq < first + len(records):
            found = rows.heads(self.db, seq, seq)
            try:
                if not found:
                    return None
                records = unpack(rows.load(self.db, found[0]), self.owner, self.epoch)
            except Damaged:
                return None
            first = found[0].first
            self._unpacked = (first, records)
        return records[seq - first]
