"""The ``registry`` sink: folds records into the registry, one transaction a batch."""

from __future__ import annotations

from collections.abc import Sequence

from collector.registry.bundle import Item, first_of, halves, judged
from collector.registry.database import Unfit
from collector.registry.registry import Registry
from gateway_core.clock import Clock, wall_ns
from gateway_core.model import Batch, Reading, Receipt, Rejection
from gateway_core.time_marks import heard


class RegistrySink:
    """Delivers to a `Registry`; idempotent, since `Changes` counts each sequence number once.

    Forward to it with a linger of about a second and a large limit: a device that spoke a
    hundred times in that second costs one row. What comes from an edge whose clock was not to
    be trusted counts from when it was heard here. What the registry can never hold is
    rejected alone, with the reason; everything else of the batch is applied.
    """

    name = "registry"

    def __init__(self, registry: Registry, clock: Clock = wall_ns) -> None:
        self._registry = registry
        self._clock = clock

    async def send(self, batch: Batch) -> Receipt:
        """Apply ``batch``.

        Raises:
            Unavailable: The database does not answer; send again.
        """
        records = [
            each if type(each) is Reading and not each.flags else heard(each, self._clock)
            for each in batch.records
        ]
        fit, rejected = judged(batch.first, records)
        await self._apply(fit, rejected)
        return Receipt(rejected=tuple(sorted(rejected, key=lambda each: each.seq)))

    async def _apply(self, items: Sequence[Item], rejected: list[Rejection]) -> None:
        """Apply records; what the database itself refuses is found by halving."""
        if not items:
            return
        try:
            await self._registry.apply(items)
        except Unfit as exc:
            parts = halves(items)
            if parts is None:
                refused = Rejection(first_of(items[0]), "database_refused", str(exc)[:300])
                rejected.append(refused)
                return
            for part in parts:
                await self._apply(part, rejected)
