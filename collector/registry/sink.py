"""The ``registry`` sink: folds records into the registry, one transaction a batch."""

from __future__ import annotations

from collections.abc import Sequence

from collector.registry.database import Unfit
from collector.registry.judge import judge
from collector.registry.registry import Registry
from gateway_core.model import Batch, Receipt, Record, Rejection

Numbered = Sequence[tuple[int, Record]]


class RegistrySink:
    """Delivers to a `Registry`; idempotent, since `Changes` counts each sequence number once.

    Forward to it with a linger of about a second and a large limit: a device that spoke a
    hundred times in that second costs one row. What the registry can never hold is rejected
    alone, with the reason; everything else of the batch is applied.
    """

    name = "registry"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def send(self, batch: Batch) -> Receipt:
        """Apply ``batch``.

        Raises:
            Unavailable: The database does not answer; send again.
        """
        fit: list[tuple[int, Record]] = []
        rejected: list[Rejection] = []
        for seq, record in enumerate(batch.records, batch.first):
            fault = judge(record)
            if fault is None:
                fit.append((seq, record))
            else:
                rejected.append(Rejection(seq, *fault))
        await self._apply(fit, rejected)
        return Receipt(rejected=tuple(sorted(rejected, key=lambda each: each.seq)))

    async def _apply(self, records: Numbered, rejected: list[Rejection]) -> None:
        """Apply records; what the database itself refuses is found by halving."""
        if not records:
            return
        try:
            await self._registry.apply(records)
        except Unfit as exc:
            if len(records) == 1:
                rejected.append(Rejection(records[0][0], "database_refused", str(exc)[:300]))
                return
            middle = len(records) // 2
            await self._apply(records[:middle], rejected)
            await self._apply(records[middle:], rejected)
