"""Add up the books from the counters and, independently of them, from the segments."""

from __future__ import annotations

from collections import defaultdict

import apsw
import msgspec

from gateway_core.spool import rows, schema, side
from gateway_core.spool.position import Position
from gateway_core.spool.shapes import Books, ConsumerBooks

_SHAPE = tuple[str, str, str, int]


def load_books(db: apsw.Connection, max_bytes: int) -> Books:
    """Return the books; run inside a reading transaction, so that they are of one instant."""
    counted = [msgspec.convert(row, _SHAPE) for row in db.execute("SELECT * FROM counter")]
    accepted = {name: n for kind, name, _, n in counted if kind == "accepted"}
    total = sum(accepted.values())
    delivered = {name: n for kind, name, _, n in counted if kind == "delivered"}
    reasons: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
    for kind, name, reason, n in counted:
        reasons[kind][name][reason] = n
    head = rows.head_of(db)
    positions = {name: rows.load_position(db, name) for name in rows.consumers(db)}
    consumers: dict[str, ConsumerBooks] = {}
    for name, position in positions.items():
        if position is None:
            continue
        quarantined = reasons["quarantined"][name]
        consumers[name] = ConsumerBooks(
            accepted=total - _started(db, name),
            delivered=delivered.get(name, 0),
            buffered=sum(held(db, *run) for run in position.runs(head)),
            quarantined=sum(quarantined.values()),
            dropped=reasons["dropped"][name],
            quarantine_reasons=quarantined,
            settled=position.settled,
        )
    first = rows.next_first(db, 1)
    return Books(
        epoch=schema.about(db, "epoch"),
        head=head,
        oldest=first if first is not None else head + 1,
        bytes=schema.used_bytes(db),
        max_bytes=max_bytes,
        accepted=accepted,
        consumers=consumers,
        refused=reasons["refused"][""],
        refused_held=side.held(db, "refused", "rows"),
        refused_evicted=reasons["evicted"]["refused"].get("", 0),
        oldest_ns=_waiting_since(db, list(positions.values()), head),
    )


def held(db: apsw.Connection, first: int, last: int) -> int:
    """Return how many of ``first`` to ``last`` stand in segments."""
    if last < first:
        return 0
    found = rows.heads(db, first, last, limit=1)
    low = found[0].first if found else last + 1
    return schema.number(
        db,
        "SELECT sum(min(first + count - 1, ?2) - max(first, ?1) + 1) FROM segment"
        " WHERE first BETWEEN ?3 AND ?2",
        (first, last, low),
    )


def _started(db: apsw.Connection, consumer: str) -> int:
    return schema.number(db, "SELECT started FROM consumer WHERE name = ?", (consumer,))


def _waiting_since(db: apsw.Connection, positions: list[Position | None], head: int) -> int | None:
    """Return when the oldest record that somebody still wants was committed."""
    firsts = [run[0] for each in positions if each for run in [each.next_run(head)] if run]
    found = rows.heads(db, min(firsts), head, limit=1) if firsts else []
    return found[0].created if found else None
