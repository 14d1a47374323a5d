"""How fast edges may fill the queue before the time-series store.

The queue is first in, first out: what a long backlog fills it with, the newest readings wait
behind. So an upload waits outside while much is queued, and an edge, which sends alarms and live
data first, chooses what comes next. Only a store that takes records holds uploads up; while it
is away they are taken in at once, and kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway_core.clock import monotonic
from gateway_core.spool import Spool

QUEUED = 40_000
"""Records that may wait: about a second's work for InfluxDB on two cores (benchmarks/outage.py)."""
LONGEST_S = 5.0
"""An edge gives an upload up after 30 s (`gateway_core.link`)."""
STILL_S = 2.0
"""A store that settled nothing for so long is away."""
_LOOK_S = 0.05


class Pace:
    """Lets uploads in.

    Args:
        spool: Holds the queue.
        consumer: Whose queue; it is registered. A cursor that trails tells nothing of a store's
            pace: there is none for such a store.
        queued: Records that may wait.
        now: Seconds, never going back.
    """

    def __init__(
        self,
        spool: Spool,
        consumer: str,
        queued: int,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._spool, self._consumer, self._queued, self._now = spool, consumer, queued, now
        self._settled = spool.settled(consumer)
        self._moved = now()

    async def turn(self) -> bool:
        """Return once an upload may come in, and whether it waited for that."""
        until = self._now() + LONGEST_S
        waited = False
        while self._crowded() and self._now() < until:
            waited = True
            await asyncio.sleep(_LOOK_S)
        return waited

    def _crowded(self) -> bool:
        """Tell whether more is queued than should be, before a store that takes it."""
        queued, _ = self._spool.outstanding(self._consumer)
        settled, now = self._spool.settled(self._consumer), self._now()
        if settled != self._settled or queued <= self._queued:
            self._settled, self._moved = settled, now
        return queued > self._queued and now - self._moved < STILL_S
