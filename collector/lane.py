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
    """

    sink: Sink
    limit: int
    linger_s: float
    trail: Trail | None = None

    def carry(self, spool: Spool) -> Callable[[], Awaitable[object]]:
        """Return what forwards for ever; run it under `supervise`."""
        return partial(
            forward, spool, self.sink, limit=self.limit, linger_s=self.linger_s, trail=self.trail
        )
