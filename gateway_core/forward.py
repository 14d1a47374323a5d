"""Move records from a spool to a sink: the only mover, and the whole plugin interface of sinks."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.lanes import Lanes, Turns
from gateway_core.model import Batch, Receipt
from gateway_core.spool import Span, Spool

_MOST_TRAILING = 10_000


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
class Trail:
    """How far a cursor trails what was sent, for a store that says yes before it has written.

    Attributes:
        seconds: What was sent so long ago is on the store's disk.
        born: Says something that differs after the store was started anew; `Unavailable` while it
            does not answer.
    """

    seconds: float
    born: Callable[[], Awaitable[str]]


async def forward(
    spool: Spool,
    sink: Sink,
    *,
    limit: int = 5000,
    linger_s: float = 0.0,
    lanes: Lanes | None = None,
    trail: Trail | None = None,
    ready: Callable[[], Awaitable[None]] | None = None,
    at_once: int = 1,
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
        trail: Settle only what was sent some time ago to a store that still lives; with this,
            there are no lanes.
        ready: Is awaited before each batch is read.
        at_once: Batches that may be under way together, to a sink that takes them in the order in
            which it was given them; not with lanes, a trail or ``ready``.

    Raises:
        Unavailable: The sink or the spool's disk did not answer; the batch was not settled.
    """
    await spool.register(sink.name)
    if trail is not None:
        await _trailing(spool, sink, trail, limit, linger_s)
    if at_once > 1:
        await _overlapping(spool, sink, limit, linger_s, at_once)
    turns = Turns(lanes, spool, sink.name, limit) if lanes else None
    while True:
        if ready is not None:
            await ready()
        batch = await turns.next() if turns else None
        if batch is None:
            most = turns.most if turns else limit
            batch = await spool.read(sink.name, most, linger_s=linger_s)
        receipt = await sink.send(batch)
        await spool.settle(sink.name, batch.first, batch.last, receipt)
        if turns:
            turns.sent(batch)


async def _overlapping(
    spool: Spool, sink: Sink, limit: int, linger_s: float, at_once: int
) -> NoReturn:
    """Read and prepare batches while others are written and settled.

    Raises:
        Unavailable: The first error; what is not settled comes again, in its order.
    """
    room, last = asyncio.Semaphore(at_once), spool.settled(sink.name)
    before: asyncio.Task[None] | None = None

    async def deliver(batch: Batch, before: asyncio.Task[None] | None) -> None:
        receipt = await sink.send(batch)
        if before is not None:
            await before  # nothing is settled beyond what may have to come again
        await spool.settle(sink.name, batch.first, batch.last, receipt)
        room.release()

    try:
        async with asyncio.TaskGroup() as group:
            while True:
                await room.acquire()
                batch = await spool.read(sink.name, limit, linger_s=linger_s, above=last)
                last = batch.last
                before = group.create_task(deliver(batch, before))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _trailing(
    spool: Spool, sink: Sink, trail: Trail, limit: int, linger_s: float
) -> NoReturn:
    """Send on and on, and settle what was sent ``trail.seconds`` ago.

    Raises:
        Unavailable: Also when the store was started anew: what is not settled comes again.
    """
    sent: deque[tuple[float, Span, Receipt]] = deque()
    reached, life = spool.settled(sink.name), await trail.born()
    while True:
        head, left = spool.head, sent[0][0] - monotonic() if sent else None
        if left is not None and (left <= 0 or len(sent) >= _MOST_TRAILING):
            await asyncio.sleep(max(0.0, left))
            if await trail.born() != life:
                raise Unavailable(
                    f"{sink.name} was started anew; its last {trail.seconds:g} s again"
                )
            while sent and sent[0][0] <= monotonic():
                _, old, receipt = sent.popleft()
                await spool.settle(sink.name, old.first, old.last, receipt)
            continue
        batch = await spool.read_beyond(sink.name, reached, limit)
        if batch is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await spool.grown(head)
                    await asyncio.sleep(linger_s)
            continue
        receipt = await sink.send(batch)
        sent.append((monotonic() + trail.seconds, Span(batch.first, batch.last), receipt))
        reached = batch.last
