"""What the writer can be asked to do: functions that change one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gateway_core.intervals import Intervals
from gateway_core.model import Loss, Receipt, Refusal
from gateway_core.spool import removal, rows, side
from gateway_core.spool.position import Position
from gateway_core.spool.segment import Chunk
from gateway_core.spool.shapes import Span
from gateway_core.spool.thinned import is_urgent
from gateway_core.spool.transaction import Transaction


def appending(
    chunks: Sequence[Chunk],
    refused: Sequence[Refusal],
    source: str,
    state: Mapping[str, bytes | None],
    replayed: Sequence[int],
    placed: Callable[[int], Mapping[str, bytes | None]] | None = None,
) -> Callable[[Transaction], Span | None]:
    """Append records, keep refused payloads, set state, delete what was replayed."""
    urgent = any(is_urgent(each.records) for each in chunks)

    def work(tx: Transaction) -> Span | None:
        if chunks or refused:
            tx.strict = True
            tx.urgent = tx.urgent and urgent
        if refused:
            tx.refuse(refused)
        tx.set_state(state)
        if placed is not None:
            tx.set_state(placed(tx.head + 1))
        if replayed:
            side.discard_refused(tx.db, replayed)
        return tx.add(chunks, source)

    return work


def settling(
    consumer: str, first: int, last: int, receipt: Receipt, chunks: Sequence[Chunk]
) -> Callable[[Transaction], None]:
    """Settle a range; append what was made from it under the consumer's name.

    May use the reserve: were it to wait for room, the room could wait for it.
    """

    def work(tx: Transaction) -> None:
        tx.settle(consumer, first, last, receipt)
        tx.set_state(receipt.state)
        tx.add(chunks, consumer)

    return work


def registering(consumer: str) -> Callable[[Transaction], None]:
    """Create a consumer before the oldest record held."""

    def work(tx: Transaction) -> None:
        if rows.load_position(tx.db, consumer) is not None:
            return
        oldest = rows.next_first(tx.db, 1)
        start = (oldest - 1) if oldest is not None else tx.begun  # before what this commit adds
        tx.db.execute(
            "INSERT INTO consumer VALUES (?, ?, ?, ?)",
            (consumer, start, start, Intervals().encode()),
        )
        tx.positions[consumer] = position = Position(start, Intervals())
        for first, last in list(rows.holes(tx.db)):
            tx.count("dropped", consumer, "damaged", position.settle(first, last))

    return work


def forgetting(consumer: str) -> Callable[[Transaction], None]:
    """Delete a consumer and its counters; its quarantine stays."""

    def work(tx: Transaction) -> None:
        tx.db.execute("DELETE FROM consumer WHERE name = ?", (consumer,))
        tx.db.execute(
            "DELETE FROM counter WHERE name = ? "
            " AND kind IN ('delivered', 'quarantined', 'dropped')",
            (consumer,),
        )
        tx.positions[consumer] = None

    return work


def discarding(ids: Sequence[int]) -> Callable[[Transaction], int]:
    """Delete refused payloads."""
    return lambda tx: side.discard_refused(tx.db, ids)


def condemning(broken: rows.Broken) -> Callable[[Transaction], list[Loss]]:
    """Take what cannot be served out of the log; return the losses, none if all is well."""

    def work(tx: Transaction) -> list[Loss]:
        before = len(tx.losses)
        removal.condemn(tx, broken)
        return tx.losses[before:]

    return work
