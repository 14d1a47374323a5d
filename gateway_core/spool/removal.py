"""Take segments out of the log, and measure what that gains. Runs inside a transaction."""

from __future__ import annotations

import contextlib

import apsw
import structlog

from gateway_core.spool import rows, schema
from gateway_core.spool.segment import Damaged, unpack
from gateway_core.spool.transaction import Transaction

log = structlog.get_logger()

_MOST_DAMAGED = 1000
_PAGES_A_COMMIT = 4  # index, counters and cursors beside the payload


def excess(tx: Transaction) -> int:
    """Return by how many bytes the transaction would exceed the budget."""
    size = sum(len(segment.payload) for segment, _ in tx.segments)
    pages = _PAGES_A_COMMIT + 2 * len(tx.segments)
    return schema.used_bytes(tx.db) + size + pages * schema.PAGE - tx.limit


def remove(tx: Transaction, first: int) -> None:
    """Take a segment out of the log."""
    tx.removed.append(first)
    tx.db.execute("DELETE FROM segment WHERE first = ?", (first,))
    with contextlib.suppress(apsw.CorruptError):  # the page cannot be read: it stays, unused
        tx.db.execute("DELETE FROM payload WHERE first = ?", (first,))


def condemn(tx: Transaction, broken: rows.Broken) -> None:
    """Take numbers that cannot be served out of the log, with a `Loss`; keep the raw bytes.

    Checks again first: the range may have been removed or settled meanwhile.
    """
    head = next((h for h in rows.heads(tx.db, broken.first, broken.first)), None)
    if head is not None:
        data: bytes | None = None
        try:
            segment = rows.load(tx.db, head)
            data = segment.payload
            unpack(segment, tx.owner, tx.epoch)
        except Damaged:
            _set_aside(tx, broken, head, data)
        else:
            return
    elif not any(
        tx.position(name).unsettled(broken.first, broken.last) for name in rows.consumers(tx.db)
    ):
        return
    tx.lose(broken.first, broken.last, "damaged", broken.detail)
    log.error("segment_damaged", first=broken.first, last=broken.last, detail=broken.detail)


def _set_aside(tx: Transaction, broken: rows.Broken, head: rows.Head, data: bytes | None) -> None:
    values = (tx.now, broken.first, broken.last, broken.detail)
    kept = (head.count, head.created, head.version, head.crc, data)
    tx.db.execute(
        "INSERT INTO damaged (found, first, last, detail, count, created, version, crc, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, *kept),
    )
    tx.db.execute(
        "DELETE FROM damaged WHERE id <= (SELECT max(id) FROM damaged) - ?", (_MOST_DAMAGED,)
    )
    remove(tx, head.first)
