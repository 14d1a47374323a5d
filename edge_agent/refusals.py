"""Refusals as the pipeline makes them, and what is said of them in the log."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from edge_agent.arrival import Arrival
from gateway_core.clock import NS
from gateway_core.model import Refusal

log = structlog.get_logger()

KEPT_PAYLOAD = 64 * 1024


def refusal(arrival: Arrival, reason: str, detail: str) -> Refusal:
    """Return the refusal of an arrival, its payload cut to what is kept."""
    return Refusal(
        arrival.source,
        arrival.address,
        arrival.payload[:KEPT_PAYLOAD],
        reason,
        detail,
        arrival.received,
        arrival.content_format,
    )


class Complaints:
    """Logs refusals once a second and source, with the last one as the example."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def tell(self, source: str, refused: Sequence[Refusal]) -> None:
        """Log refusals of one source, if it is time."""
        last = refused[-1]
        if abs(last.received - self._told.get(source, 0)) < NS:
            return
        self._told[source] = last.received
        log.warning(
            "payloads_refused",
            source=source,
            count=len(refused),
            reason=last.reason,
            detail=last.detail,
            address=last.address,
        )
