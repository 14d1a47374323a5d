"""The ``registry`` sink: folds records into the registry, one transaction a batch."""

from __future__ import annotations

from collector.registry.registry import Registry
from gateway_core.model import Batch, Receipt


class RegistrySink:
    """Delivers to a `Registry`; idempotent, since `Changes` counts each sequence number once.

    Forward to it with a linger of about a second and a large limit: a device that spoke a
    hundred times in that second costs one row.
    """

    name = "registry"

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def send(self, batch: Batch) -> Receipt:
        """Apply ``batch``.

        Raises:
            Unavailable: The database does not answer; send again.
        """
        await self._registry.apply(batch)
        return Receipt()
