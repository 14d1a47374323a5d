"""Whose turn it is at a consumer with a backlog: alarms, then live data and backlog by share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from gateway_core.model import Batch
from gateway_core.spool import Spool

Lane = Literal["alarms", "live", "backlog"]

_LOOKED_AT = 1000
"""Alarms that are looked at together."""
_NEAR = 256
"""Alarms no farther apart than this go together, with what lies between them."""
MOST_PIECES = 2000
"""Pieces that what was settled may be in before alarms wait for the backlog to close gaps."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """How a consumer is served that has more waiting than one batch.

    Attributes:
        behind: A backlog of more records than this goes into a lane of its own.
        share: Part of the records sent that the backlog gets while live data is waiting; when
            none is waiting the backlog gets everything.
        most: Gives the most records of the next batch, never more than `forward` was told.
    """

    behind: int = 50_000
    share: float = 0.3
    most: Callable[[], int] | None = None


class Turns:
    """Chooses the next batch.

    Alarms go first, wherever they stand. Everything that was appended after a backlog was noticed
    is live. Both settle beyond the cursor; when the backlog has caught up, the cursor jumps over
    what was settled.
    """

    def __init__(self, lanes: Lanes, spool: Spool, consumer: str, limit: int) -> None:
        self._lanes, self._spool, self._consumer = lanes, spool, consumer
        self._limit = limit
        self._alarms_to = 0  # every alarm up to here was sent, or is not this consumer's any more
        self._live_to = 0  # everything from the start of the live lane to here is settled
        self._live = self._late = 0  # records sent while both waited
        self._lane: Lane = "backlog"

    @property
    def most(self) -> int:
        """Most records of the next batch."""
        most = self._lanes.most
        return self._limit if most is None else max(1, min(self._limit, most()))

    async def next(self) -> Batch | None:
        """Return what overtakes the backlog now; None: it is the backlog's turn."""
        batch = await self._alarms()
        if batch is not None:
            self._lane = "alarms"
            return batch
        self._lane = "backlog"
        after = self._live_after(self._spool.head, self._spool.settled(self._consumer))
        if after is None:
            return None
        batch = await self._spool.read_beyond(self._consumer, after, self.most)
        if batch is not None:
            self._lane = "live"
        return batch

    def sent(self, batch: Batch) -> None:
        """Enter a batch that was settled."""
        if self._lane == "live":
            self._live_to = batch.last
            self._live += len(batch.records)
        elif self._lane == "backlog":
            self._late += len(batch.records)

    async def _alarms(self) -> Batch | None:
        """Return the oldest alarms that are not settled, unless they come with the next batch."""
        spool, consumer = self._spool, self._consumer
        waiting, pieces = spool.outstanding(consumer)
        whole = waiting <= self.most and pieces == 1  # a batch ends before what is settled
        if whole or pieces > MOST_PIECES:
            return None
        self._alarms_to = max(self._alarms_to, spool.settled(consumer))
        while self._alarms_to < spool.head:
            seqs = await spool.alarms(self._alarms_to, _LOOKED_AT)
            for at, seq in enumerate(seqs):
                if spool.is_settled(consumer, seq):
                    self._alarms_to = seq
                    continue
                last = self._reach(seqs[at:])
                batch = await spool.read_beyond(consumer, seq - 1, last - seq + 1)
                self._alarms_to = batch.last if batch is not None else seq
                return batch
            if len(seqs) < _LOOKED_AT:
                return None
        return None

    def _reach(self, seqs: list[int]) -> int:
        """Return the last number of a batch that begins with the first of these alarms."""
        last = seqs[0]
        for seq in seqs[1:]:
            if seq - last > _NEAR or seq - seqs[0] >= self.most:
                break
            last = seq
        return last

    def _live_after(self, head: int, settled: int) -> int | None:
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
