"""A sink that counts: what was sent again only for the time series passes it by.

Which records those are stands in the spool's state, in the transaction that stored them: the key
``again/<first>`` holds the last of a run of them.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway_core.forward import Sink
from gateway_core.model import Batch, Receipt, Rejection
from gateway_core.spool import Spool

STATE = "again/"


def again_key(first: int) -> str:
    """Return the key of a run of records that begins with this number."""
    return f"{STATE}{first:020d}"


class Once:
    """Gives a sink everything but what was sent again.

    Args:
        sink: The sink.
        spool: Whose records come.
        repeats: Returns whether anybody ever asked for something again; else nothing is looked up.

    Attributes:
        name: The sink's own.
    """

    def __init__(self, sink: Sink, spool: Spool, repeats: Callable[[], bool]) -> None:
        self.name = sink.name
        self._sink = sink
        self._spool = spool
        self._repeats = repeats

    async def send(self, batch: Batch) -> Receipt:
        """Deliver what is new of a batch.

        Raises:
            Unavailable: As the sink does.
        """
        if not self._repeats():
            return await self._sink.send(batch)
        runs = await self._again(batch)
        if not runs:
            return await self._sink.send(batch)
        rejected: list[Rejection] = []
        dropped: dict[str, int] = {}
        at = batch.first
        for first, last in [*runs, (batch.last + 1, batch.last)]:
            if first > at:
                part = batch.records[at - batch.first : first - batch.first]
                receipt = await self._sink.send(Batch(at, part))
                rejected += receipt.rejected
                for reason, count in receipt.dropped.items():
                    dropped[reason] = dropped.get(reason, 0) + count
            if last >= first:
                dropped["again"] = dropped.get("again", 0) + last - first + 1
            at = last + 1
        return Receipt(rejected=tuple(rejected), dropped=dropped)

    async def _again(self, batch: Batch) -> list[tuple[int, int]]:
        """Return the runs of a batch that were sent again, ascending."""
        found = []
        for key, value in sorted((await self._spool.state(STATE)).items()):
            first = max(batch.first, int(key.removeprefix(STATE)))
            last = min(batch.last, int(value))
            if first <= last:
                found.append((first, last))
        return found
