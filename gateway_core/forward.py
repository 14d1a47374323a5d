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
    live = 0
    sent_live, sent_late = 0, 0
    while True:
        settled = spool.settled(sink.name)
        if lanes and settled >= live - 1 and spool.head - settled > lanes.behind:
            live, sent_live, sent_late = spool.head + 1, 0, 0
        batch: Batch | None = None
        if lanes and settled < live - 1:
            waiting = spool.head >= live
            owed = sent_late < lanes.share * (sent_live + sent_late)
            if waiting and not owed:
                batch = await spool.read_after(live - 1, limit)
            elif not waiting:
                sent_live, sent_late = 0, 0
        if batch is not None:
            live, sent_live = batch.last + 1, sent_live + len(batch.records)
        else:
            batch = await spool.read(sink.name, limit, linger_s=linger_s)
            sent_late += len(batch.records)
        receipt = await sink.send(batch)
        await spool.settle(sink.name, batch.first, batch.last, receipt)
