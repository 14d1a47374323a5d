"""Reading the spool's tables on one connection, inside a transaction of the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import apsw
import msgspec

from gateway_core.intervals import Intervals
from gateway_core.model import Record, Refusal
from gateway_core.spool.position import Position
from gateway_core.spool.schema import SpoolDamaged, number
from gateway_core.spool.segment import Damaged, Segment, unpack
from gateway_core.spool.shapes import Quarantined, Span

_convert = msgspec.convert
_decode_one = msgspec.msgpack.Decoder(Record).decode
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """A segment without its payload: one row of the table ``segment``."""

    first: int
    count: int
    created: int
    version: int
    crc: int

    @property
    def last(self) -> int:
        """Sequence number of the last record."""
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class Broken:
    """Sequence numbers that cannot be served, and why."""

    first: int
    last: int
    detail: str


@dataclass(slots=True)
class Fetched:
    """Consecutive segments, decoded; or, when there are none, what stands in the way.

    Attributes:
        segments: First sequence number and records of each.
        broken: Set only when ``segments`` is empty.
    """

    segments: list[tuple[int, list[Record]]]
    broken: Broken | None = None


def heads(db: apsw.Connection, first: int, last: int, limit: int = _MOST_ROWS) -> list[Head]:
    """Return up to ``limit`` segments that touch ``first`` to ``last``, ascending."""
    rows = db.execute(
        "SELECT first, count, created, version, crc FROM segment WHERE first <= ?2 AND first >="
        " coalesce((SELECT max(first) FROM segment WHERE first <= ?1), ?1)"
        " ORDER BY first LIMIT ?3",
        (first, last, limit),
    )
    found = [Head(*_convert(row, tuple[int, int, int, int, int])) for row in rows]
    return found[1:] if found and found[0].last < first else found


def each_head(db: apsw.Connection, first: int, last: int) -> Iterator[Head]:
    """Yield the segments that begin at or above ``first`` and touch what is up to ``last``."""
    for row in db.execute(
        "SELECT first, count, created, version, crc FROM segment WHERE first BETWEEN ? AND ?"
        " ORDER BY first",
        (first, last),
    ):
        yield Head(*_convert(row, tuple[int, int, int, int, int]))


def load(db: apsw.Connection, head: Head) -> Segment:
    """Return the whole segment.

    Raises:
        Damaged: Its payload is gone, or SQLite cannot read the page that it stands on.
    """
    try:
        row = db.execute("SELECT data FROM payload WHERE first = ?", (head.first,)).fetchone()
    except apsw.CorruptError as exc:
        raise Damaged(f"SQLite: {exc}") from exc
    data = row[0] if row else None
    if not isinstance(data, bytes):
        raise Damaged("the payload is gone")
    return Segment(head.first, head.count, head.created, head.version, head.crc, data)


def fetch(db: apsw.Connection, seq: int, last: int, limit: int, owner: str, epoch: str) -> Fetched:
    """Return decoded segments from the one that holds ``seq``, until ``limit`` records or ``last``.

    Stops before a hole or a damaged segment; one that stands at ``seq`` itself is reported.

    Raises:
        SpoolDamaged: What is not found may be there; the next `open_spool` looks page by page.
    """
    found = Fetched([])
    expected, held = seq, 0
    rows = heads(db, seq, last)
    for index, head in enumerate(rows):
        if held >= limit or (index and head.first != expected):
            break
        if head.first > expected:
            found.broken = _gone(db, expected, head.first - 1)
            break
        try:
            records = unpack(load(db, head), owner, epoch)
        except Damaged as exc:
            if not found.segments:
                after = rows[index + 1].first - 1 if index + 1 < len(rows) else last
                begin = max(head.first, min(_end_before(db, head.first) + 1, seq))
                until = max(begin, min(head.last, after))
                found.broken = Broken(begin, until, str(exc))
            break
        found.segments.append((head.first, records))
        held += head.last - max(head.first, seq) + 1
        expected = head.last + 1
    if not rows:
        found.broken = _gone(db, seq, last)
    return found


def _gone(db: apsw.Connection, first: int, last: int) -> Broken:
    """Report a hole.

    Raises:
        SpoolDamaged: Keys stand in a wrong order: one that was altered hides those beyond it.
    """
    told = db.execute("PRAGMA quick_check('segment')").fetchone()
    if told is None or told[0] != "ok":
        raise SpoolDamaged(f"segments {first} to {last} are not found: {told and told[0]}")
    return Broken(first, last, "the segment is gone")


def _end_before(db: apsw.Connection, first: int) -> int:
    """Return where the segment before one ends: a head that lies must not claim its records."""
    query = "SELECT first + count - 1 FROM segment WHERE first < ? ORDER BY first DESC LIMIT 1"
    return number(db, query, (first,))


def next_first(db: apsw.Connection, seq: int) -> int | None:
    """Return the first sequence number at or above ``seq`` that is held."""
    rows = heads(db, seq, 2**63 - 1, limit=2)
    return max(seq, rows[0].first) if rows else None


def committed(db: apsw.Connection, since: int, until: int) -> Span | None:
    """Return the numbers still held that were committed between two instants, or None."""
    row = db.execute(
        "SELECT min(first), max(first + count - 1) FROM segment WHERE created BETWEEN ? AND ?",
        (since, until),
    ).fetchone()
    first, last = _convert(row, tuple[int | None, int | None])
    return None if first is None or last is None else Span(first, last)


def holes(db: apsw.Connection) -> Iterator[tuple[int, int]]:
    """Yield the stretches between the oldest segment and the newest that are not held."""
    expected: int | None = None
    for first, count in db.execute("SELECT first, count FROM segment ORDER BY first"):
        low, many = _convert((first, count), tuple[int, int])
        if expected is not None and low > expected:
            yield expected, low - 1
        expected = low + many


def alarms(db: apsw.Connection, seq: int, limit: int) -> list[int]:
    """Return the numbers of up to ``limit`` alarms above ``seq``, ascending."""
    found = db.execute("SELECT seq FROM alarm WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
    return [_convert(row[0], int) for row in found]


def head_of(db: apsw.Connection) -> int:
    """Return the last sequence number ever given out."""
    return max(
        number(db, "SELECT sum(n) FROM counter WHERE kind = 'accepted'"),
        number(db, "SELECT first + count - 1 FROM segment ORDER BY first DESC LIMIT 1"),
        number(db, "SELECT max(last) FROM damaged"),
    )


def consumers(db: apsw.Connection) -> list[str]:
    """Return the registered consumers' names."""
    return [str(row[0]) for row in db.execute("SELECT name FROM consumer ORDER BY name")]


def load_position(db: apsw.Connection, consumer: str) -> Position | None:
    """Return a consumer's cursor; None when it is not registered."""
    row = db.execute("SELECT settled, ahead FROM consumer WHERE name = ?", (consumer,)).fetchone()
    if row is None:
        return None
    try:
        settled, ahead = _convert(row, tuple[int, bytes])
        return Position(settled, Intervals.decode(ahead))
    except msgspec.MsgspecError as exc:
        raise SpoolDamaged(f"the cursor of {consumer} cannot be read: {exc}") from exc


def load_state(db: apsw.Connection, prefix: str) -> dict[str, bytes]:
    """Return the keys that start with ``prefix``."""
    rows = db.execute(
        "SELECT key, value FROM state WHERE key >= ?1 AND substr(key, 1, length(?1)) = ?1"
        " AND key < ?1 || char(1114111)",
        (prefix,),
    )
    return dict(_convert(row, tuple[str, bytes]) for row in rows)


def load_state_between(db: apsw.Connection, low: str, high: str) -> dict[str, bytes]:
    """Return the keys from the last one up to ``low`` to ``high``, ascending."""
    rows = db.execute(
        "SELECT key, value FROM state WHERE key <= ?2 AND key >="
        " coalesce((SELECT max(key) FROM state WHERE key <= ?1), ?1) ORDER BY key",
        (low, high),
    )
    return dict(_convert(row, tuple[str, bytes]) for row in rows)


_REFUSED = (
    "SELECT id, source, address, payload, reason, detail, received, content_format"
    " FROM refused WHERE id > ?1 AND (?3 IS NULL OR reason = ?3) ORDER BY id LIMIT ?2"
)
_QUARANTINED = (
    "SELECT id, consumer, seq, reason, detail, record FROM quarantine"
    " WHERE id > ?1 AND (?3 IS NULL OR consumer = ?3) ORDER BY id LIMIT ?2"
)


def _ordered(select: str, *, newest: bool) -> str:
    return select.replace("ORDER BY id", "ORDER BY id DESC") if newest else select


def load_refusals(
    db: apsw.Connection, limit: int, after_id: int, reason: str | None, *, newest: bool = False
) -> list[tuple[int, Refusal]]:
    """Return refused payloads with ids above ``after_id``, oldest first.

    Where there are more than ``limit``, the newest are left out, or with ``newest`` the oldest.
    """
    rows = db.execute(_ordered(_REFUSED, newest=newest), (after_id, limit, reason))
    shape = tuple[int, str, str, bytes, str, str, int, int | None]
    plain = sorted(_convert(row, shape) for row in rows)
    return [(row[0], Refusal(*row[1:])) for row in plain]


def load_quarantined(
    db: apsw.Connection, limit: int, after_id: int, consumer: str | None, *, newest: bool = False
) -> list[Quarantined]:
    """Return quarantined records, as `load_refusals` returns payloads."""
    rows = db.execute(_ordered(_QUARANTINED, newest=newest), (after_id, limit, consumer))
    found: list[Quarantined] = []
    for row in sorted(rows):
        *plain, body = _convert(row, tuple[int, str, int, str, str, bytes | None])
        record = _record(body)
        found.append(Quarantined(*_convert(plain, tuple[int, str, int, str, str]), record))
    return found


def _record(body: object) -> Record | None:
    try:
        return _decode_one(body) if isinstance(body, bytes) else None
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a newer program's kind
        return None
