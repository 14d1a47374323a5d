"""The bounded tables beside the log: what was refused, and what was quarantined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import apsw
import msgspec

from gateway_core.model import Record, Refusal
from gateway_core.spool.schema import number
from gateway_core.spool.shapes import SpoolOptions

_ROW = 64  # bytes that a row costs beside its texts
_OLDEST = {
    "refused": "SELECT id, size FROM refused ORDER BY id LIMIT ?",
    "quarantine": "SELECT id, size FROM quarantine ORDER BY id LIMIT ?",
}
_DELETE = {
    "refused": "DELETE FROM refused WHERE id = ? RETURNING size",
    "quarantine": "DELETE FROM quarantine WHERE id = ? RETURNING size",
}
_encode = msgspec.msgpack.Encoder().encode


def keep_refused(db: apsw.Connection, refused: Sequence[Refusal], options: SpoolOptions) -> int:
    """Store payloads that could not be read; return how many older ones made room."""
    rows = [
        (
            len(r.payload) + len(r.address) + len(r.detail) + _ROW,
            r.received,
            r.source,
            r.address,
            r.reason,
            r.detail,
            r.content_format,
            r.payload,
        )
        for r in refused
    ]
    db.executemany(
        "INSERT INTO refused (size, received, source, address, reason, detail, content_format,"
        " payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    _hold(db, "refused", len(rows), sum(row[0] for row in rows))
    return _trim(db, "refused", options)


def keep_quarantined(
    db: apsw.Connection,
    consumer: str,
    rejected: Sequence[tuple[int, str, str, Record | None]],
    now: int,
    options: SpoolOptions,
) -> int:
    """Store (seq, reason, detail, record) of rejects; return how many older ones made room."""
    rows: list[tuple[int, int, str, int, str, str, bytes | None]] = []
    for seq, reason, detail, record in rejected:
        body = None if record is None else _encode(record)
        size = len(body or b"") + len(detail) + _ROW
        rows.append((size, now, consumer, seq, reason, detail, body))
    db.executemany(
        "INSERT INTO quarantine (size, at, consumer, seq, reason, detail, record)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    _hold(db, "quarantine", len(rows), sum(row[0] for row in rows))
    return _trim(db, "quarantine", options)


def discard_refused(db: apsw.Connection, ids: Iterable[int]) -> int:
    """Delete refused payloads; return how many there were."""
    return _delete(db, "refused", ids)


def _delete(db: apsw.Connection, table: str, ids: Iterable[int]) -> int:
    sizes = [number(db, _DELETE[table], (each,)) for each in ids]
    gone = [size for size in sizes if size]
    if gone:
        _hold(db, table, -len(gone), -sum(gone))
    return len(gone)


def _trim(db: apsw.Connection, table: str, options: SpoolOptions) -> int:
    """Delete the oldest rows until the table is within its budget."""
    rows = held(db, table, "rows") - options.refused_rows
    size = held(db, table, "bytes") - options.refused_bytes
    ids: list[int] = []
    if rows > 0 or size > 0:
        for each, weight in db.execute(_OLDEST[table], (1 << 20,)):
            if rows <= 0 and size <= 0:
                break
            ids.append(msgspec.convert(each, int))
            rows, size = rows - 1, size - msgspec.convert(weight, int)
    return _delete(db, table, ids)


def held(db: apsw.Connection, table: str, unit: str) -> int:
    """Return the ``rows`` or ``bytes`` that a table holds."""
    return number(
        db, "SELECT n FROM counter WHERE kind = 'held' AND name = ? AND reason = ?", (table, unit)
    )


def _hold(db: apsw.Connection, table: str, rows: int, size: int) -> None:
    db.executemany(
        "INSERT INTO counter VALUES ('held', ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        [(table, "rows", rows), (table, "bytes", size)],
    )
