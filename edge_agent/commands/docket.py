"""The docket: which orders are open, and every step of each, on disk before anybody is told."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog
from msgspec.structs import replace

from edge_agent.commands.book import CommandBook
from edge_agent.commands.order import Order, State, Transition
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

MOST_OPEN = 1_000
LONGEST_DETAIL = 500


class TooMany(Unavailable):
    """So many orders are open that no more are taken."""


class Docket:
    """The open orders, and the book behind them.

    Args:
        book: Where orders are kept.
        clock: The edge's clock.
        meter: Counts ``tidegate_commands_total{state}``.
        most: Open orders at a time.

    Attributes:
        counts: How many of the orders kept are in each state.
    """

    def __init__(
        self, book: CommandBook, clock: Clock, meter: Meter, most: int = MOST_OPEN
    ) -> None:
        self.counts: Counter[str] = Counter(book.counts())
        self._book = book
        self._clock = clock
        self._meter = meter
        self._most = most
        self._open: dict[str, Order] = {}
        self._entering = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        """Return how many orders are open."""
        return len(self._open)

    async def reload(self) -> list[Order]:
        """Return what is open: what an earlier run left so, and what came since."""
        for order in await asyncio.to_thread(self._book.open_orders):
            self._open[order.id] = order
        return list(self._open.values())

    async def enter(self, order: Order) -> None:
        """Store a new order.

        Raises:
            TooMany: 1,000 orders are open.
            Unavailable: The disk did not take it.
        """
        if len(self._open) + self._entering >= self._most:
            raise TooMany(f"{self._most} commands are under way; wait until some have ended")
        self._entering += 1
        try:
            gone = await asyncio.to_thread(self._book.enter, order)
        finally:
            self._entering -= 1
        # only now: `reload` shall not begin what the disk may still refuse
        self._open.setdefault(order.id, order)
        if gone:
            self._meter.count("tidegate_commands_forgotten", gone)
            self.counts = Counter(await asyncio.to_thread(self._book.counts))
        else:
            self.counts[order.state] += 1
        self._tell(order)

    async def move(
        self,
        order: Order,
        state: State,
        reason: str = "",
        detail: str = "",
        *,
        sent: int | None = None,
        ended: bool = False,
    ) -> Order:
        """Store that an order came to a state, and return it as it is now.

        Raises:
            Unavailable: The disk did not take it: it is as it was.
        """
        moved = replace(
            order,
            state=state,
            reason=reason,
            detail=detail[:LONGEST_DETAIL],
            changed=self._clock(),
            sent=order.sent if sent is None else sent,
            ended=ended,
        )
        await asyncio.to_thread(self._book.change, moved)
        self.counts[order.state] -= 1
        self.counts[state] += 1
        if ended:
            self._open.pop(order.id, None)
        else:
            self._open[order.id] = moved
        if state != order.state:
            self._tell(moved)
        async with self._changed:
            self._changed.notify_all()
        return moved

    async def end(self, order: Order, state: State, reason: str = "", detail: str = "") -> Order:
        """As `move`, for good."""
        return await self.move(order, state, reason, detail, ended=True)

    async def find(self, order: str, wait_s: float = 0.0) -> tuple[Order, list[Transition]] | None:
        """Return an order and its audit, after ``wait_s`` seconds at the latest once it ended."""
        if wait_s and order in self._open:
            try:
                async with asyncio.timeout(wait_s), self._changed:
                    await self._changed.wait_for(lambda: order not in self._open)
            except TimeoutError:
                log.debug("command_still_open", command=order)
        found = await asyncio.to_thread(self._book.find, order)
        if found is None:
            return None
        return found, await asyncio.to_thread(self._book.transitions, order)

    async def latest(self, limit: int, device: str, state: State | None) -> list[Order]:
        """Return the newest orders, newest first."""
        return await asyncio.to_thread(self._book.latest, limit, device, state)

    def _tell(self, order: Order) -> None:
        self._meter.count("tidegate_commands", state=order.state)
        log.info(
            "command_moved",
            command=order.id,
            device=order.device,
            name=order.name,
            state=order.state,
            reason=order.reason,
            by=order.by,
        )
