"""Move records from a spool to a sink: the only mover, and the whole plugin interface of sinks."""

from __future__ import annotations

from typing import NoReturn, Protocol

from gateway_core.lanes import Lanes, Turns
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
        lanes: Let alarms and live data go before a backlog.

    Raises:
        Unavailable: The sink or the spool's disk did not answer; the batch was not settled.
    """
    await spool.register(sink.name)
    turns = Turns(lanes, spool, sink.name, limit) if lanes else None
    while True:
        batch = await turns.next() if turns else None
        if batch is None:
            most = turns.most if turns else limit
            batch = await spool.read(sink.name, most, linger_s=linger_s)
        receipt = await sink.send(batch)
        await spool.settle(sink.name, batch.first, batch.last, receipt)
        if turns:
            turns.sent(batch)
