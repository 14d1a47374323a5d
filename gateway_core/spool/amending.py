"""Put times right in records that are stored: under their numbers, a few segments at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway_core.model import Loss, Record
from gateway_core.spool import removal, rows
from gateway_core.spool.segment import Damaged, chunk, pack, unpack
from gateway_core.spool.transaction import Transaction

SEGMENTS = 32
"""So many in one transaction: what it costs, every append behind it waits for."""


Amending = Callable[[Transaction], int | None]
"""One step in a transaction; returns the number to go on at, None at the end."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is put right.

    Attributes:
        since: Earliest instant, by the clock that was wrong, of when it was.
        until: Latest one.
        by: How far that clock was behind, in nanoseconds.
    """

    since: int
    until: int
    by: int

    def covers(self, instant: int) -> bool:
        """Tell whether an instant was taken from the clock while it was wrong."""
        return self.since <= instant <= self.until


def amending(
    first: int,
    amendment: Amendment,
    change: Callable[[int, Record], Record],
    told: Callable[[int | None], Mapping[str, bytes | None]],
) -> Amending:
    """Change the records of the next segments.

    Args:
        first: Number to begin at.
        amendment: Which commits and refusals get another time.
        change: Given a number and its record, returns it as it is to be, or the same object.
        told: Returns the state to set, given where to go on; None at the end.
    """

    def work(tx: Transaction) -> int | None:
        heads = rows.heads(tx.db, first, tx.head, SEGMENTS)
        for head in heads:
            _amend(tx, head, amendment, change)
        following = heads[-1].last + 1 if len(heads) == SEGMENTS else None
        if following is None and amendment.by:
            tx.db.execute(
                "UPDATE refused SET received = received + ? WHERE received BETWEEN ? AND ?",
                (amendment.by, amendment.since, amendment.until),
            )
        tx.set_state(told(following))
        return following

    return work


def _amend(
    tx: Transaction, head: rows.Head, amendment: Amendment, change: Callable[[int, Record], Record]
) -> None:
    try:
        records = unpack(rows.load(tx.db, head), tx.owner, tx.epoch)
    except Damaged as exc:
        removal.condemn(tx, rows.Broken(head.first, head.last, str(exc)))
        return
    numbered = enumerate(records, head.first)
    if any(type(each) is Loss and _foreign(each, seq) for seq, each in numbered):
        return  # a newer program's records: this one cannot write them again
    changed = [change(seq, each) for seq, each in enumerate(records, head.first)]
    moved = amendment.by if amendment.covers(head.created) else 0
    if not moved and all(new is old for new, old in zip(changed, records, strict=True)):
        return
    removal.remove(tx, head.first)
    tx.write(pack(head.first, head.created + moved, (chunk(changed),)))


def _foreign(loss: Loss, seq: int) -> bool:
    """Tell whether a loss stands for a record that was read but not understood."""
    return loss.first == loss.last == seq
