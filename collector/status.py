"""What the collector knows about itself: its books, its edges, its parts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from collector.lull import Lull
from collector.reception import EdgeBook
from gateway_core.clock import NS
from gateway_core.errors import Unavailable
from gateway_core.forward import Sink
from gateway_core.meter import Sample
from gateway_core.model import Batch, Receipt
from gateway_core.spool import Books


class Health:
    """Part to what is wrong with it; nothing while it works."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}

    def parts(self, names: Iterable[str]) -> dict[str, str]:
        """Return part to ``ok``, or to why it does not work just now."""
        return {name: self.wrong.get(name, "ok") for name in names}


class WatchedSink:
    """A sink whose health is known: wrong since it was unavailable, right since it delivered.

    Attributes:
        name: The sink's own.
    """

    def __init__(self, sink: Sink, health: Health, lull: Lull) -> None:
        self.name = sink.name
        self._sink = sink
        self._health = health
        self._lull = lull

    async def send(self, batch: Batch) -> Receipt:
        """Deliver through the sink.

        Raises:
            Unavailable: As the sink does.
        """
        try:
            async with self._lull.sending():
                receipt = await self._sink.send(batch)
        except Unavailable as exc:
            self._health.wrong[self.name] = str(exc)
            raise
        self._health.wrong.pop(self.name, None)
        return receipt


@dataclass(frozen=True, slots=True)
class EdgeStatus:
    """One edge as its uploads show it.

    Attributes:
        edge: Its id.
        epoch: Of the spool that it sends from.
        contact: When its newest upload was committed, nanoseconds since 1970.
        high_water: Highest sequence number received of this epoch.
        gaps: Ranges below it, or that the edge says it delivered, that have not arrived and are not
            known to be lost.
        stored: Records stored, all epochs.
        duplicates: Records that came again, all epochs.
        withheld: Reason to count of what stayed on site, all epochs.
        backlog: Records it had still to send, as it said; None: it did not say.
        oldest: Receive time of the oldest of those; None: none, or not said.
        residual: What neither its own books nor ours explain; None: it did not say and ours do.
        forked: When two epochs were last seen to alternate (two agents, one identity?); 0: never.
        ahead: How far its clock was ahead of ours at its newest upload, nanoseconds; the time that
            the request took on its way makes it less. None: it did not say.
    """

    edge: str
    epoch: str
    contact: int
    high_water: int
    gaps: list[tuple[int, int]]
    stored: int
    duplicates: int
    withheld: dict[str, int]
    backlog: int | None
    oldest: int | None
    residual: int | None
    forked: int
    ahead: int | None

    @property
    def missing(self) -> int:
        """How many sequence numbers the gaps hold."""
        return sum(last - first + 1 for first, last in self.gaps)


def edge_statuses(edges: Mapping[str, EdgeBook]) -> list[EdgeStatus]:
    """Return every edge that ever uploaded, by id."""
    return [_edge(name, edges[name]) for name in sorted(edges) if edges[name].epochs]


def stored(edges: Mapping[str, EdgeBook]) -> int:
    """Return how many records came from edges, all time."""
    return sum(book.stored for edge in edges.values() for book in edge.epochs.values())


def seconds_to_full(books: Books, rate: float | None) -> float:
    """Return how long the spool's budget lasts if nothing gets away from now on.

    Args:
        books: Of the spool.
        rate: Records a second that come in now; None: not known.
    """
    held = books.head - books.oldest + 1
    if held <= 0 or not rate or rate <= 0:
        return math.inf
    waiting = max((each.buffered for each in books.consumers.values()), default=0)
    each_bytes = books.bytes / held
    return max(0.0, books.max_bytes - waiting * each_bytes) / (rate * each_bytes)


def samples(
    books: Books, edges: Mapping[str, EdgeBook], rate: float | None, now: int
) -> Iterator[Sample]:
    """Yield the collector's metrics (docs/reference/metrics.md).

    Args:
        books: Of the spool.
        edges: Edge id to its books.
        rate: Records a second that come in now; None: not known.
        now: Nanoseconds since 1970.
    """
    for source, count in books.accepted.items():
        yield Sample("tidegate_accepted", count, {"source": source}, "counter")
    # Named from the start: an alert on a name that is not there never fires.
    dropped: Counter[str] = Counter({"": 0})
    for name, each in books.consumers.items():
        labels = {"consumer": name}
        yield Sample("tidegate_delivered", each.delivered, {"sink": name}, "counter")
        yield Sample("tidegate_buffered", each.buffered, labels)
        for reason, count in (each.quarantine_reasons or {"": 0}).items():
            yield Sample("tidegate_quarantined", count, {**labels, "reason": reason}, "counter")
        dropped.update(each.dropped)
    for reason, count in ({"": 0} | books.refused).items():
        yield Sample("tidegate_refused", count, {"reason": reason}, "counter")
    for reason, count in dropped.items():
        yield Sample("tidegate_dropped", count, {"reason": reason}, "counter")
    yield Sample("tidegate_residual", books.residual)
    yield Sample("tidegate_spool_bytes", books.bytes)
    yield Sample("tidegate_spool_seconds_to_full", seconds_to_full(books, rate))
    for edge in edge_statuses(edges):
        yield from _edge_samples(edge, now)


def _edge_samples(edge: EdgeStatus, now: int) -> Iterator[Sample]:
    labels = {"edge": edge.edge}
    yield Sample("tidegate_edge_contact_seconds", max(0, now - edge.contact) / NS, labels)
    yield Sample("tidegate_edge_missing", edge.missing, labels)
    yield Sample("tidegate_edge_duplicates", edge.duplicates, labels, "counter")
    yield Sample("tidegate_edge_withheld", sum(edge.withheld.values()), labels, "counter")
    if edge.backlog is not None:
        yield Sample("tidegate_edge_backlog", edge.backlog, labels)
        behind = max(0, now - edge.oldest) / NS if edge.backlog and edge.oldest else 0.0
        yield Sample("tidegate_uplink_lag_seconds", behind, labels)
    if edge.residual is not None:
        yield Sample("tidegate_edge_residual", edge.residual, labels)
    if edge.ahead is not None:
        yield Sample("tidegate_edge_clock_ahead_seconds", edge.ahead / NS, labels)


def _edge(name: str, edge: EdgeBook) -> EdgeStatus:
    book = edge.epochs[edge.current]
    withheld: Counter[str] = Counter()
    for each in edge.epochs.values():
        withheld.update(each.withheld)
    ours = sum(abs(each.unexplained) + abs(each.residual) for each in edge.epochs.values())
    theirs = edge.report.residual
    return EdgeStatus(
        edge=name,
        epoch=edge.current,
        contact=book.contact,
        high_water=book.high_water,
        gaps=book.lacks(max(book.high_water, edge.report.settled or 0)),
        stored=sum(each.stored for each in edge.epochs.values()),
        duplicates=sum(each.duplicates for each in edge.epochs.values()),
        withheld=dict(withheld),
        backlog=edge.report.backlog,
        oldest=edge.report.oldest,
        residual=None if theirs is None and not ours else (theirs or 0) + ours,
        forked=edge.forked,
        ahead=edge.report.ahead,
    )
