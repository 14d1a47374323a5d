"""What the API asks of the rest of the collector: given by the composition root, never imported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from collector.api.rate import IngestRate
from collector.query import TimeSeries
from collector.registry.registry import Registry
from gateway_core.clock import Clock
from gateway_core.spool import Books


@dataclass(frozen=True, slots=True)
class Contact:
    """What the intake knows about one edge.

    Attributes:
        edge: Its id.
        epoch: Of the spool it sends from.
        last_contact: When its last upload was committed, nanoseconds since 1970.
        high_water: Highest sequence number received of this epoch.
        missing: Sequence numbers below it that have not arrived and are not known to be lost.
        backlog: Records that the edge had still to send, as it said itself; None: it did not say.
        oldest: Receive time of the oldest of those in nanoseconds; None: none, or not said.
        residual: Of the edge's own books; None: it did not say.
    """

    edge: str
    epoch: str
    last_contact: int
    high_water: int
    missing: int
    backlog: int | None
    oldest: int | None
    residual: int | None


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the routes need.

    Attributes:
        registry: What is known of edges, devices, feeds and systems.
        timeseries: The store that queries go to.
        contacts: Returns every edge that ever uploaded.
        books: The spool's books.
        rate: The ingest rate over the last minutes.
        metrics: Renders Prometheus text.
        healthy: Returns what is wrong; nothing when all is well.
        clock: The wall clock.
        started: When the collector started, nanoseconds since 1970.
    """

    registry: Registry
    timeseries: TimeSeries
    contacts: Callable[[], Sequence[Contact]]
    books: Callable[[], Awaitable[Books]]
    rate: IngestRate
    metrics: Callable[[], Awaitable[bytes]]
    healthy: Callable[[], Awaitable[Sequence[str]]]
    clock: Clock
    started: int
