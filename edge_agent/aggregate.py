"""The aggregate sink: windows of the fields that leave a site only as aggregates.

Invariants (tests/edge_agent/egress/test_egress_aggregate.py):

* what a window holds is stored in the transaction that settles its readings, so that after a
  crash at any step no reading is missing and none is counted twice;
* a window is told once it has ended and its grace is over, by the edge's clock; a reading that
  comes later makes it be told again, to the same series and time;
* a window that was forgotten is never told again: what comes for it is dropped as ``late``.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn

from edge_agent.policy import Policy
from edge_agent.windows import STATE, AggregateOptions, Windows
from gateway_core.clock import Clock, wall_ns
from gateway_core.model import Batch, Receipt
from gateway_core.spool import Spool


class Aggregate:
    """Sink ``aggregate``; run `run` beside ``forward(spool, aggregate)``.

    Args:
        policy: The rules of now; `adopt` puts others in their place.
        spool: Where windows and aggregates are kept.
        clock: The edge's clock.
        options: When windows are told and forgotten.
    """

    name = "aggregate"

    def __init__(
        self,
        policy: Policy,
        spool: Spool,
        clock: Clock = wall_ns,
        options: AggregateOptions = AggregateOptions(),  # noqa: B008  # frozen
    ) -> None:
        self._policy = policy
        self._spool = spool
        self._clock = clock
        self._options = options
        self._lock = asyncio.Lock()
        self._windows = Windows(options)
        self._next = 0  # the sequence number that must come next; 0: read the state first

    def adopt(self, policy: Policy) -> None:
        """Use other rules from the next batch on; open windows are told under them."""
        self._policy = policy

    async def send(self, batch: Batch) -> Receipt:
        """Add a batch to its windows and tell those that are due."""
        async with self._lock:
            if batch.first != self._next:  # after a start, or when the last receipt was not settled
                await self._reload()
            self._next = 0
            receipt = await asyncio.to_thread(
                self._windows.take, batch, self._policy, self._clock()
            )
            self._next = batch.last + 1
            return receipt

    async def run(self) -> NoReturn:
        """Tell windows that fall due while no readings come; run under `supervise`.

        Raises:
            Unavailable: The spool's disk did not answer; nothing was lost.
        """
        await self._spool.register(self.name)
        while True:
            await asyncio.sleep(self._options.tick_s)
            await self.tell_due()

    async def tell_due(self) -> None:
        """Append the aggregates that are due, unless a receipt is still to be settled.

        Raises:
            Unavailable: The spool did not take them; they come again.
        """
        async with self._lock:
            if not self._next:
                await self._reload()
            if self._spool.settled(self.name) < self._next - 1:
                return
            expected, self._next = self._next, 0
            receipt = self._windows.tidy(self._policy, self._clock())
            if receipt.append or receipt.state:
                await self._spool.append(receipt.append, source=self.name, state=receipt.state)
            self._next = expected

    async def _reload(self) -> None:
        """Begin again from what is settled."""
        self._windows = Windows(self._options)
        self._windows.load(await self._spool.state(STATE))
        self._next = self._spool.settled(self.name) + 1
