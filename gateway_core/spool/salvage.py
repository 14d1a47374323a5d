"""Save from a damaged spool file every segment that can still be read."""

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
from gateway_core.spool.segment import Damaged, unpack

T = TypeVar("T")

SOURCE = "salvaged"
"""Under which saved records are accepted into the new spool."""

_UP = "SELECT first, count, created, version, crc FROM segment WHERE first > ? ORDER BY first"
_DOWN = (
    "SELECT first, count, created, version, crc FROM segment WHERE first < ? ORDER BY first DESC"
)


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
    with _opened(path) as db:
        if db is None:
            return Wreck(path, "", 0, 0, why)
        epoch = _tried(lambda: schema.about(db, "epoch"), "")
        last = _tried(lambda: rows.head_of(db), 0)
        settled = _tried(lambda: schema.number(db, "SELECT min(settled) FROM consumer"), 0)
        return Wreck(path, epoch, min(settled, last), last, why, dict(_state(db)))


def _state(db: apsw.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield what can be read; one broken key must not cost the memory of everything else."""
    with contextlib.suppress(apsw.Error):
        for key, value in db.execute("SELECT CAST(key AS BLOB), value FROM state"):
            if isinstance(key, bytes) and isinstance(value, bytes):
                with contextlib.suppress(UnicodeDecodeError):
                    yield key.decode(), value


def saved(wreck: Wreck, owner: str) -> Iterator[tuple[int, list[Record]]]:
    """Yield first sequence number and records of every readable segment that somebody wants.

    Reads upwards until SQLite meets a page that it cannot read, then downwards from the end.
    """
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
