"""Save from a damaged spool file every segment that can still be read.

First through SQLite, which knows what is current; then, for the numbers that are missing, from the
pages themselves (`gateway_core.spool.pages`). A segment proves itself by its CRC32C; one whose
head is gone, by the checksum inside its zstd frame.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import apsw

from gateway_core.errors import Unavailable
from gateway_core.intervals import Intervals
from gateway_core.model import Record
from gateway_core.spool import rows, schema
from gateway_core.spool.pages import Pages, Place, Value
from gateway_core.spool.segment import Damaged, Segment, unpack, unpack_headless

T = TypeVar("T")

SOURCE = "salvaged"
"""Under which saved records are accepted into the new spool."""

_UP = "SELECT first, count, created, version, crc FROM segment WHERE first > ? ORDER BY first"
_DOWN = (
    "SELECT first, count, created, version, crc FROM segment WHERE first < ? ORDER BY first DESC"
)
_HEAD_COLUMNS, _PAYLOAD_COLUMNS = 5, 2
_LONGEST_SMALL_ROW = 1 << 16
_PLACE_BITS = 44  # page and offset of a row, so that a million of them are a million numbers


@dataclass(frozen=True, slots=True)
class Wreck:
    """A file that had to be set aside.

    Attributes:
        moved_to: Where it is now.
        epoch: Its epoch; empty when it could not be read.
        settled: What every consumer had settled; 0 when it could not be read.
        last: Its last sequence number; 0 when it could not be read.
        why: What was found.
        state: Its keys and values, those that could be read.
    """

    moved_to: Path
    epoch: str
    settled: int
    last: int
    why: str
    state: dict[str, bytes] = field(default_factory=dict)

    def lost(self, saved: Intervals) -> list[tuple[int, int]]:
        """Return the ranges that somebody still wanted and that were not saved."""
        known = [self.last, *(last for _, last in saved)]
        return saved.missing(self.settled + 1, max(known)) if any(known) else [(1, 1)]


def examine(path: Path, why: str) -> Wreck:
    """Read what can be read about a file that was set aside."""
    epoch, last, settled, state = "", 0, 0, dict[str, bytes]()
    if not path.is_file():
        return Wreck(path, epoch, settled, last, why, state)
    with _opened(path) as db:
        if db is not None:
            epoch = _tried(lambda: schema.about(db, "epoch"), "")
            last = _tried(lambda: _head_of(db), 0)
            settled = _tried(lambda: schema.number(db, "SELECT min(settled) FROM consumer"), 0)
            state = dict(_state(db))
    if not (epoch and last and state) or path.with_name(path.name + "-wal").exists():
        found = _Found(path)  # it also sees what the log holds behind a damage
        epoch, last = epoch or found.epoch, max(last, found.last)
        state = found.state | state
    return Wreck(path, epoch, min(settled, last), last, why, state)


def _head_of(db: apsw.Connection) -> int:
    """Return the last number given out, from counters and segments that are both readable."""
    last = rows.head_of(db)
    for _ in db.execute("SELECT first FROM segment"):  # a bad page would hide the end
        pass
    return last


def _state(db: apsw.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield what can be read; one broken key must not cost the memory of everything else."""
    with contextlib.suppress(apsw.Error):
        for key, value in db.execute("SELECT CAST(key AS BLOB), value FROM state"):
            if isinstance(key, bytes) and isinstance(value, bytes):
                with contextlib.suppress(UnicodeDecodeError):
                    yield key.decode(), value


class _Found:
    """What the small rows of a file's pages say, when SQLite says nothing."""

    def __init__(self, path: Path) -> None:
        self.epoch = ""
        self.state: dict[str, bytes] = {}
        self.last = 0
        accepted: dict[str, int] = {}
        with Pages(path) as pages:
            for place, rowid, size in pages.places():
                if rowid is not None:
                    if size < _LONGEST_SMALL_ROW:
                        self._head(rowid, pages.row(place))
                    continue
                match pages.row(place):
                    case ("epoch", str(epoch)) if len(epoch) == 16:
                        self.epoch = epoch
                    case (str(key), bytes(value)):
                        self.state[key] = value
                    case ("accepted", str(source), str(), int(n)):
                        accepted[source] = max(n, accepted.get(source, 0))
                    case _:
                        pass
        self.last = max(self.last, sum(accepted.values()))

    def _head(self, rowid: int, row: tuple[Value, ...] | None) -> None:
        if row is not None and _is_head(row) and isinstance(row[1], int) and 0 < row[1] < 1 << 32:
            self.last = max(self.last, rowid + row[1] - 1)


def saved(wreck: Wreck, owner: str) -> Iterator[tuple[int, list[Record]]]:
    """Yield first sequence number and records of every readable segment that somebody wants."""
    kept = Intervals()
    if not wreck.moved_to.is_file():
        return
    for first, records in _by_sqlite(wreck, owner):
        kept.add(first, first + len(records) - 1)
        yield first, records
    if wreck.lost(kept):
        for first, records in _by_page(wreck, owner, kept):
            if not kept.overlap(first, first + len(records) - 1):
                kept.add(first, first + len(records) - 1)
                yield first, records


def _by_sqlite(wreck: Wreck, owner: str) -> Iterator[tuple[int, list[Record]]]:
    """Read upwards until SQLite meets a page that it cannot read, then downwards from the end."""
    with _opened(wreck.moved_to) as db:
        if db is None:
            return
        reached = wreck.settled
        for head in _heads(db, _UP, wreck.settled - 1):
            reached = head.first
            if head.last > wreck.settled:
                yield from _read(db, head, owner, wreck.epoch)
        for head in _heads(db, _DOWN, 2**63 - 1):
            if head.first <= reached:
                return
            yield from _read(db, head, owner, wreck.epoch)


def _heads(db: apsw.Connection, sql: str, start: int) -> Iterator[rows.Head]:
    with contextlib.suppress(apsw.Error):
        for row in db.execute(sql, (start,)):
            numbers = [each for each in row if isinstance(each, int)]
            if len(numbers) == 5:
                yield rows.Head(*numbers)


def _read(
    db: apsw.Connection, head: rows.Head, owner: str, epoch: str
) -> Iterator[tuple[int, list[Record]]]:
    with contextlib.suppress(Damaged, apsw.Error):
        yield head.first, unpack(rows.load(db, head), owner, epoch)


def _by_page(wreck: Wreck, owner: str, kept: Intervals) -> Iterator[tuple[int, list[Record]]]:
    """Read the segments that SQLite did not give, from whatever pages they stand on."""
    with Pages(wreck.moved_to) as pages:
        payloads: list[int] = []
        heads: dict[int, list[int]] = {}
        for place, rowid, size in pages.places():
            if rowid is None or rowid <= 0 or rowid in kept:
                continue
            at = place.page << 12 | place.offset
            if size <= 64 and isinstance(row := pages.row(place), tuple) and _is_head(row):
                heads.setdefault(rowid, []).append(at)
            else:
                payloads.append(rowid << _PLACE_BITS | at)
        for each in sorted(payloads):
            first, at = each >> _PLACE_BITS, each & ((1 << _PLACE_BITS) - 1)
            row = pages.row(Place(at >> 12, at & 4095))
            if row is None or len(row) != _PAYLOAD_COLUMNS or not isinstance(row[1], bytes):
                continue
            known = [pages.row(Place(n >> 12, n & 4095)) for n in heads.get(first, ())]
            records = _proven(first, row[1], known, owner, wreck.epoch)
            if records and first + len(records) - 1 > wreck.settled:
                yield first, records


def _is_head(row: tuple[Value, ...]) -> bool:
    return len(row) == _HEAD_COLUMNS and all(isinstance(each, int) for each in row[1:])


def _proven(
    first: int,
    payload: bytes,
    heads: list[tuple[Value, ...] | None],
    owner: str,
    epoch: str,
) -> list[Record]:
    """Return the records, if a head or the frame itself proves them."""
    for head in heads:
        numbers = [each for each in head or () if isinstance(each, int)]
        if len(numbers) == _HEAD_COLUMNS - 1:
            count, created, version, crc = numbers
            with contextlib.suppress(Damaged):
                return unpack(Segment(first, count, created, version, crc, payload), owner, epoch)
    with contextlib.suppress(Damaged):
        return unpack_headless(first, payload, owner, epoch)
    return []


def _tried(question: Callable[[], T], otherwise: T) -> T:
    try:
        with schema.translated("the damaged spool"):
            return question()
    except (schema.SpoolDamaged, Unavailable):
        return otherwise


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[apsw.Connection | None]:
    db: apsw.Connection | None = None
    with contextlib.suppress(schema.SpoolDamaged, Unavailable):
        db = schema.open_reader(path)
    try:
        yield db
    finally:
        if db is not None:
            db.close()
