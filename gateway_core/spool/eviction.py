"""Give up what the site's policy says can be given up, when the budget is used up.

Runs inside a transaction. Telemetry is thinned first (`gateway_core.spool.thinned`), the oldest
that has not been; then the oldest of it goes. Alarms, and the records that the books are made of,
stay where they are, under their numbers. Each range that somebody still wanted is a `Loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway_core.clock import NS
from gateway_core.intervals import Intervals
from gateway_core.model import Reading, Record
from gateway_core.spool import removal, rows, schema
from gateway_core.spool.segment import Damaged, chunk, pack, unpack
from gateway_core.spool.shapes import MIB
from gateway_core.spool.thinned import Summaries, is_kept
from gateway_core.spool.transaction import OWN_SOURCE, Transaction

_MOST_READ = 100_000  # records in one pass: what a pass costs, every append behind it waits for
_LEAST_READ = 5_000
_SPAN_NS = 600 * NS
_MOST_SEGMENTS = 20_000
_WORTH = 3  # readings for each summary, or thinning gains nothing
_RUN_COSTS = 8  # readings that a segment of its own for what is kept costs about as much as
_LOSS_BYTES = 64
_NEWEST = 8  # one part in so many of what is held is too new to be thinned

Reason = Literal["evicted", "thinned"]


@dataclass(slots=True)
class Given:
    """What one pass gives up.

    Attributes:
        wanted: Numbers given up that some consumer had not settled.
        since: Earliest receive time among them; 0 for none.
        until: Latest one.
    """

    wanted: Intervals = field(default_factory=Intervals)
    since: int = 0
    until: int = 0

    def add(self, seq: int, record: Record) -> None:
        """Note a record that somebody wanted."""
        time = record.received if isinstance(record, Reading) else record.time
        self.since = min(self.since or time, time)
        self.until = max(self.until, time)
        self.wanted.add(seq, seq)


def evict(tx: Transaction) -> None:
    """Make room by the policy, as far as it can be made."""
    if "thin" in tx.options.evict:
        while removal.excess(tx) > 0 and _thin(tx):
            pass
    if "oldest" in tx.options.evict:
        while removal.excess(tx) > 0 and _give_up_oldest(tx):
            pass


def _thin(tx: Transaction) -> bool:
    """Thin the oldest readings that never were; False when there are none left."""
    heads = _next_heads(tx)
    if not heads:
        return False
    summaries, given = Summaries(), Given()
    kept: list[tuple[rows.Head, list[tuple[int, list[Record]]]]] = []
    wants = _wants(tx, heads[0].first, heads[-1].last)
    for head in heads:
        records = _records(tx, head)
        if records is None:
            continue
        for seq, record in enumerate(records, head.first):
            if _thinnable(record) and seq in wants:
                summaries.add(record)  # type: ignore[arg-type]  # a reading
                given.add(seq, record)
        kept.append((head, _runs(head.first, records, lambda record: not _thinnable(record))))
    schema.remember(tx.db, "thinned", heads[-1].last)
    runs = sum(len(each) for _, each in kept)
    if _WORTH * len(summaries) + _RUN_COSTS * runs > summaries.readings:
        return True
    for head, each in kept:
        _replace(tx, head, each)
    told = summaries.tell()
    _lose(tx, given, "thinned", f"became {len(told)} summaries, one a minute and series")
    tx.add((chunk(told),), OWN_SOURCE)
    tx.close_segments()
    return True


def _give_up_oldest(tx: Transaction) -> bool:
    """Remove the oldest telemetry, whoever still wants it, and enter the losses; False for none."""
    given, slack = Given(), min(tx.limit // 64, MIB)
    at = start = schema.remembered(tx.db, "evicted") + 1
    while removal.excess(tx) + slack + _LOSS_BYTES * len(given.wanted) > 0:
        head = next(rows.each_head(tx.db, at, 2**63 - 1), None)
        if head is None:
            break
        at = head.last + 1
        records = _records(tx, head)
        if records is None:
            continue
        wants = _wants(tx, head.first, head.last)
        for seq, record in enumerate(records, head.first):
            if seq in wants and not is_kept(record):
                given.add(seq, record)
        _replace(tx, head, _runs(head.first, records, is_kept))
    schema.remember(tx.db, "evicted", at - 1)
    if given.wanted:
        _lose(tx, given, "evicted", f"the spool's budget of {tx.limit} bytes")
        tx.close_segments()
    return at > start


def _lose(tx: Transaction, given: Given, reason: Reason, detail: str) -> None:
    for first, last in given.wanted:
        tx.lose(first, last, reason, detail, (given.since, given.until))


def _next_heads(tx: Transaction) -> list[rows.Head]:
    """Return the segments that the next pass of thinning reads: some minutes' worth."""
    start = schema.remembered(tx.db, "thinned") + 1
    oldest = rows.next_first(tx.db, 1)
    if oldest is None:
        return []
    newest = rows.head_of(tx.db)
    until = newest - (newest - oldest + 1) // _NEWEST
    found: list[rows.Head] = []
    held = 0
    for head in rows.each_head(tx.db, start, until):
        full = held >= _LEAST_READ and head.created - found[0].created > _SPAN_NS
        if full or held >= _MOST_READ or len(found) >= _MOST_SEGMENTS or head.last > until:
            break
        found.append(head)
        held += head.count
    return found


def _records(tx: Transaction, head: rows.Head) -> list[Record] | None:
    """Return a segment's records; None when it is damaged, which is entered."""
    try:
        return unpack(rows.load(tx.db, head), tx.owner, tx.epoch)
    except Damaged as exc:
        removal.condemn(tx, rows.Broken(head.first, head.last, str(exc)))
        return None


def _wants(tx: Transaction, first: int, last: int) -> Intervals:
    """Return the numbers that some consumer has not settled; all of them without consumers."""
    names = rows.consumers(tx.db)
    if not names:
        return Intervals([(first, last)])
    wanted = Intervals()
    for name in names:
        position = tx.position(name)
        for run in position.ahead.missing(max(first, position.settled + 1), last):
            wanted.add(*run)
    return wanted


def _thinnable(record: Record) -> bool:
    return type(record) is Reading and not record.derived


def _runs(
    first: int, records: Iterable[Record], keep: Callable[[Record], bool]
) -> list[tuple[int, list[Record]]]:
    """Return the stretches of records that stay, each with its first number."""
    runs: list[tuple[int, list[Record]]] = []
    for seq, record in enumerate(records, first):
        if keep(record):
            if runs and runs[-1][0] + len(runs[-1][1]) == seq:
                runs[-1][1].append(record)
            else:
                runs.append((seq, [record]))
    return runs


def _replace(tx: Transaction, head: rows.Head, runs: list[tuple[int, list[Record]]]) -> None:
    """Put the stretches in the place of their segment."""
    if len(runs) == 1 and len(runs[0][1]) == head.count:
        return  # all of it stays
    removal.remove(tx, head.first)
    for first, records in runs:
        tx.write(pack(first, head.created, (chunk(records),)))
