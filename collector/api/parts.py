"""What the API asks of the rest of the collector: given by the composition root, never imported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from collector.api.rate import IngestRate
from collector.balances import Balances
from collector.events.book import EventBook
from collector.profiles.desk import ProfileDesk
from collector.query import TimeSeries
from collector.refill import Refills
from collector.registry.kpi import FeedKpis
from collector.registry.registry import Registry
from gateway_core.aside import Aside
from gateway_core.clock import Clock
from gateway_core.spool import Books, Quarantined


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
        withheld: Reason to count of what stayed on site.
        ahead: How far the edge's clock is ahead of ours, nanoseconds; None: it did not say.
    """

    edge: str
    epoch: str
    last_contact: int
    high_water: int
    missing: int
    backlog: int | None
    oldest: int | None
    residual: int | None
    withheld: Mapping[str, int]
    ahead: int | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """Whether the collector itself works, and which parts wait for their peer.

    Attributes:
        spool: ``ok``, or why it takes no data.
        parts: Sink to ``ok``, or to why it cannot deliver just now.
    """

    spool: str
    parts: Mapping[str, str]

    @property
    def status(self) -> str:
        """``ok``; ``waiting`` for a peer, all data being kept; or ``failing``."""
        if self.spool != "ok":
            return "failing"
        return "ok" if all(how == "ok" for how in self.parts.values()) else "waiting"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the routes need.

    Attributes:
        registry: What is known of edges, devices, feeds and systems.
        kpis: The city's figures on feeds.
        events: The closed loop.
        desk: The life of profiles.
        timeseries: The store that queries go to.
        contacts: Returns every edge that ever uploaded.
        books: The spool's books.
        refills: What edges are asked to send again.
        balances: What edges say of their books, day by day.
        quarantined: Gives the newest records that a sink would not take.
        rate: The ingest rate over the last minutes.
        metrics: Renders Prometheus text.
        vitals: Tries the spool and returns how every part is.
        asides: Gives the damaged files that were set aside.
        clock: The wall clock.
        started: When the collector started, nanoseconds since 1970.
    """

    registry: Registry
    kpis: FeedKpis
    events: EventBook
    desk: ProfileDesk
    timeseries: TimeSeries
    contacts: Callable[[], Sequence[Contact]]
    books: Callable[[], Awaitable[Books]]
    refills: Refills
    balances: Balances
    quarantined: Callable[[], Awaitable[list[Quarantined]]]
    rate: IngestRate
    metrics: Callable[[], Awaitable[bytes]]
    vitals: Callable[[], Awaitable[Vitals]]
    asides: Callable[[], Awaitable[list[Aside]]]
    clock: Clock
    started: int
