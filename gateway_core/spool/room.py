"""Keep the spool within its budget: retention, and in which order room is made.

Runs inside a transaction.
"""

from __future__ import annotations

import apsw

from gateway_core.clock import NS
from gateway_core.errors import SpoolFull
from gateway_core.spool import eviction, removal, rows, schema
from gateway_core.spool.transaction import Transaction

_STEP = 500  # segments removed in one transaction, so that appends never wait long
_WORTH_SHRINKING = 4096  # free pages


def make_room(tx: Transaction) -> None:
    """Bring the pages in use, plus what the transaction adds, within the budget.

    First the oldest segments that every consumer settled go; then, with ``when_full="evict"``,
    what `gateway_core.spool.eviction` may give up. An append that holds an alarm may use a half
    of the reserve; the other half is for cursors and cleaning.

    Raises:
        SpoolFull: There is no more room, and something was added that must not use the reserve.
    """
    if removal.excess(tx) <= 0:
        return
    floor = _floor(tx.db)
    while removal.excess(tx) > 0:
        oldest = rows.heads(tx.db, 1, floor, limit=1)
        if not oldest or oldest[0].last > floor:
            break
        removal.remove(tx, oldest[0].first)
    if removal.excess(tx) > 0 and tx.options.when_full == "evict":
        eviction.evict(tx)
    over = removal.excess(tx)
    if tx.urgent:
        over -= tx.options.reserve // 2
    if tx.strict and over > 0:
        by = ""
        if tx.options.when_full == "evict" and "oldest" in tx.options.evict:
            by = " by alarms, which are never given up"
        raise SpoolFull(f"the spool's budget of {tx.limit} bytes is used up{by} ({over} too many)")


def expire(tx: Transaction) -> int:
    """Remove what every consumer settled longer than ``keep_s`` ago; return how many segments."""
    floor = _floor(tx.db)
    tx.db.execute("DELETE FROM alarm WHERE seq <= ?", (floor,))
    before = tx.now - int(tx.options.keep_s * NS)
    gone = 0
    for head in rows.heads(tx.db, 1, floor, limit=_STEP):
        if head.last > floor or head.created > before:
            break
        removal.remove(tx, head.first)
        gone += 1
    free = schema.number(tx.db, "PRAGMA freelist_count")
    if free > _WORTH_SHRINKING and free * 2 > schema.number(tx.db, "PRAGMA page_count"):
        tx.db.execute(f"PRAGMA incremental_vacuum({_WORTH_SHRINKING})").fetchall()
    return gone


def _floor(db: apsw.Connection) -> int:
    """Return what every consumer settled; 0 without consumers, for then nobody has seen it."""
    return schema.number(db, "SELECT min(settled) FROM consumer")
