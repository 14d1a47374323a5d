"""How records go from the collector's spool to one sink."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from gateway_core.forward import Sink, Trail, forward
from gateway_core.spool import Spool


@dataclass(frozen=True, slots=True)
class Lane:
    """How records go to one sink.

    Attributes:
        sink: To where.
        limit: Most records in a batch.
        linger_s: Longest wait for as many.
        trail: How far its cursor trails; None for not at all.
        at_once: Batches that may be under way together.
    """

    sink: Sink
    limit: int
    linger_s: float
    trail: Trail | None = None
    at_once: int = 1

    def carry(self, spool: Spool) -> Callable[[], Awaitable[object]]:
        """Return what forwards for ever; run it under `supervise`."""
        return partial(
            forward,
            spool,
            self.sink,
            limit=self.limit,
            linger_s=self.linger_s,
            trail=self.trail,
            at_once=self.at_once,
        )


def overlap(kind: str) -> int:
    """Return how many batches may be under way together to a kind of time-series store.

    While a server writes one, the next is made ready and the one before is settled. The embedded
    store shares this process, so it would only wait for itself.
    """
    return 1 if kind == "embedded" else 3
