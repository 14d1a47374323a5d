"""Keep the spool within its budget: retention, eviction, damage. Runs inside a transaction."""

from __future__ import annotations

import contextlib

import apsw
import structlog

from gateway_core.clock import NS
from gateway_core.errors import SpoolFull
from gateway_core.spool import rows, schema
from gateway_core.spool.segment import Damaged, unpack
from gateway_core.spool.transaction import Transaction

log = structlog.get_logger()

_STEP = 500  # segments removed in one transaction, so that appends never wait long
_MOST_DAMAGED = 1000
_WORTH_SHRINKING = 4096  # free pages


def make_room(tx: Transaction, need: int) -> None:
    """Bring the pages in use, plus ``need`` bytes, within the budget.

    First the oldest segments that every consumer settled go; then, with ``when_full="evict"``,
    the oldest of all, as a loss.

    Raises:
        SpoolFull: There is no more room, and something was added that must not use the reserve.
    """
    limit = tx.options.max_bytes
    if _over(tx, need, limit) <= 0:
        return
    floor = _floor(tx.db)
    while _over(tx, need, limit) > 0:
        oldest = rows.heads(tx.db, 1, floor, limit=1)
        if not oldest or oldest[0].last > floor:
            break
        _remove(tx, oldest[0].first)
    if _over(tx, need, limit) > 0 and tx.options.when_full == "evict":
        _evict(tx, need, limit - limit // 64)
    if tx.strict and (excess := _over(tx, need, limit)) > 0:
        raise SpoolFull(f"the spool's budget of {limit} bytes is used up ({excess} too many)")


def expire(tx: Transaction) -> int:
    """Remove what every consumer settled longer than ``keep_s`` ago; return how many segments."""
    floor = _floor(tx.db)
    before = tx.now - int(tx.options.keep_s * NS)
    gone = 0
    for head in rows.heads(tx.db, 1, floor, limit=_STEP):
        if head.last > floor or head.created > before:
            break
        _remove(tx, head.first)
        gone += 1
    free = schema.number(tx.db, "PRAGMA freelist_count")
    if free > _WORTH_SHRINKING and free * 2 > schema.number(tx.db, "PRAGMA page_count"):
        tx.db.execute(f"PRAGMA incremental_vacuum({_WORTH_SHRINKING})").fetchall()
    return gone


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


def _evict(tx: Transaction, need: int, limit: int) -> None:
    """Remove the oldest segments, whoever still wants them, and enter the losses."""
    lost: list[tuple[int, int]] = []
    while _over(tx, need, limit) > 0:
        oldest = rows.heads(tx.db, 1, 2**63 - 1, limit=1)
        if not oldest:
            break
        _remove(tx, oldest[0].first)
        if lost and lost[-1][1] + 1 == oldest[0].first:
            lost[-1] = (lost[-1][0], oldest[0].last)
        else:
            lost.append((oldest[0].first, oldest[0].last))
    for first, last in lost:
        tx.lose(first, last, "evicted", f"the spool's budget of {tx.options.max_bytes} bytes")
        log.error("records_evicted", first=first, last=last)
    tx.close_segments()


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
    _remove(tx, head.first)


def _remove(tx: Transaction, first: int) -> None:
    tx.removed.append(first)
    tx.db.execute("DELETE FROM segment WHERE first = ?", (first,))
    with contextlib.suppress(apsw.CorruptError):  # the page cannot be read: it stays, unused
        tx.db.execute("DELETE FROM payload WHERE first = ?", (first,))


def _floor(db: apsw.Connection) -> int:
    """Return what every consumer settled; 0 without consumers, for then nobody has seen it."""
    return schema.number(db, "SELECT min(settled) FROM consumer")


def _over(tx: Transaction, need: int, limit: int) -> int:
    return schema.used_bytes(tx.db) + need - limit
