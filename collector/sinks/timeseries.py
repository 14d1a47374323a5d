"""The ``timeseries`` sink: readings, health, alarms and losses to the time-series store."""

from __future__ import annotations

from collector.query import TimeSeries
from gateway_core.model import Batch, Receipt


class TimeSeriesSink:
    """Delivers to any `TimeSeries` store; idempotent, since a store keeps each point once."""

    name = "timeseries"

    def __init__(self, store: TimeSeries) -> None:
        self._store = store

    async def send(self, batch: Batch) -> Receipt:
        """Store ``batch``; what no store can hold comes back rejected, with the reason.

        Raises:
            Unavailable: The store does not answer; send again.
        """
        return await self._store.write(batch)
