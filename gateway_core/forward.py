"""Move records from a spool to a sink: the only mover, and the whole plugin interface of sinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

from gateway_core.model import Batch, Receipt
from gateway_core.spool import Spool


class Sink(Protocol):
    """Somewhere records can be delivered."""

    @property
    def name(self) -> str:
        """The consumer's name, under which the spool keeps this sink's cursor."""

    async def send(self, batch: Batch) -> Receipt:
        """Deliver the batch.

        Must be idempotent by sequence number: the same records may come again.

        Raises:
            Unavailable: Nothing is known to have been delivered; the batch comes again.
        """


@dataclass(frozen=True, slots=True)
class Lanes:
    """How live data overtakes a backlog.

    Attributes:
        behind: A backlog of more records than this goes into a lane of its own.
        share: Part of the records sent that the backlog gets while live data is waiting; when
            none is waiting the backlog gets everything.
    """

    behind: int = 50_000
    share: float = 0.3


async def forward(
    spool: Spool,
    sink: Sink,
    *,
    limit: int = 5000,
    linger_s: float = 0.0,
    lanes: Lanes | None = None,
) -> NoReturn:
    """Deliver every record of ``spool`` to ``sink`` for ever, settling each batch.

    Run it under `supervise`: what was settled is not sent again. Without ``lanes`` records go
    oldest first.

    Args:
        spool: From where; the sink's consumer is registered here.
        sink: To where.
        limit: Most records in a batch.
        linger_s: Longest wait for ``limit`` records once there is one.
        lanes: Let live data go before a backlog.

    Raises:
        Unavailable: The sink or the spool's disk did not answer; the batch was not settled.
    """
    await spool.register(sink.name)
    turns = _Turns(lanes) if lanes else None
    while True:
        after = turns.live_after(spool.head, spool.settled(sink.name)) if turns else None
        batch = await spool.read_after(after, limit) if after is not None else None
        live = batch is not None
        if batch is None:
            batch = await spool.read(sink.name, limit, linger_s=linger_s)
        receipt = await sink.send(batch)
        await spool.settle(sink.name, batch.first, batch.last, receipt)
        if turns:
            turns.sent(batch, live=live)


class _Turns:
    """Whose turn it is while there is a backlog.

    Everything that was appended after the backlog was noticed is live. The live lane settles
    beyond the cursor; when the backlog has caught up, the cursor jumps over what was settled.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._live_to = 0  # everything from the start of the live lane to here is settled
        self._live = self._late = 0  # records sent while both waited

    def live_after(self, head: int, settled: int) -> int | None:
        """Return after which record to read live data; None: it is the backlog's turn."""
        if settled >= self._live_to:  # one lane
            if head - settled <= self._lanes.behind:
                return None
            self._live_to = head
        if head == self._live_to:  # no live data waits: all the capacity is the backlog's
            self._live = self._late = 0
            return None
        owed = self._lanes.share * (self._live + self._late)
        return None if self._late < owed else self._live_to

    def sent(self, batch: Batch, *, live: bool) -> None:
        """Enter a batch that was settled."""
        if live:
            self._live_to = batch.last
            self._live += len(batch.records)
        else:
            self._late += len(batch.records)
