"""Refill: what edges are asked to send again, because the centre lacks it or somebody wants it.

Two kinds. Numbers that an edge says it delivered and that are not here (a restored or a new
collector) are asked for by themselves, in every receipt until they came or the edge said that they
are gone. A window of time is asked for by a person; such a request is kept in the spool's state
(``refill/<edge>/<id>``) until the edge said that it is done.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import msgspec
import structlog

from collector.dedupe import EpochBook
from gateway_core.clock import Clock
from gateway_core.errors import PayloadError
from gateway_core.intervals import Intervals
from gateway_core.spool import Spool
from gateway_core.wire import Ask, Progress

log = structlog.get_logger()

STATE = "refill/"
SPANS = 64
"""Most spans of one ask."""
OPEN = 8
"""Most requests of one edge that wait for their end."""
KEPT = 20
_EPOCHS = 16
_HAVE = 256

Spans = list[tuple[int, int]]


class Request(msgspec.Struct, frozen=True):
    """A person's request for a window.

    Attributes:
        id: Names it.
        edge: Who is asked.
        since: Beginning, nanoseconds since 1970.
        until: End.
        again: Whether the time-series store shall get what is here already, too.
        asked: When.
        progress: What the edge said last.
        records: Stored because of it.
        spans: Epoch to numbers that came for it.
        ended: When the edge said that nothing more comes; 0: it did not.
    """

    id: str
    edge: str
    since: int
    until: int
    again: bool
    asked: int
    progress: Progress = Progress()
    records: int = 0
    spans: dict[str, Spans] = {}
    ended: int = 0

    @property
    def key(self) -> str:
        """Under which the spool keeps it."""
        return f"{STATE}{self.edge}/{self.id}"

    def entered(
        self, progress: Progress, epoch: str, span: tuple[int, int], records: int, now: int
    ) -> Request:
        """Return the request after an upload that answers it."""
        came = Intervals([*self.spans.get(epoch, ()), span])
        return msgspec.structs.replace(
            self,
            progress=progress,
            records=self.records + records,
            spans={**self.spans, epoch: list(came)},
            ended=now if progress.ended else self.ended,
        )


class Refills:
    """Asks edges, and knows how far each answer is.

    Args:
        spool: Keeps people's requests.
        clock: The wall clock.
        automatic: Whether to ask for what is lacking by itself.
    """

    def __init__(self, spool: Spool, clock: Clock, *, automatic: bool = True) -> None:
        self._spool = spool
        self._clock = clock
        self._automatic = automatic
        self._requests: dict[str, dict[str, Request]] = {}

    async def load(self) -> None:
        """Read the requests that the spool holds."""
        for key, data in (await self._spool.state(STATE)).items():
            try:
                self.put(msgspec.json.decode(data, type=Request))
            except ValueError as exc:  # an altered byte; the centre asks again for what it lacks
                log.error("refill_request_damaged", key=key, why=str(exc))  # noqa: TRY400

    @property
    def repeats(self) -> bool:
        """Whether anybody ever asked for what is here already."""
        return any(one.again for each in self._requests.values() for one in each.values())

    def of(self, edge: str) -> list[Request]:
        """Return an edge's requests, the newest first."""
        found = self._requests.get(edge, {}).values()
        return sorted(found, key=lambda one: one.asked, reverse=True)

    def open(self, edge: str, name: str) -> Request | None:
        """Return a request that has not ended."""
        found = self._requests.get(edge, {}).get(name)
        return found if found is not None and not found.ended else None

    async def ask(self, edge: str, since: int, until: int, *, again: bool) -> Request:
        """Ask an edge for a window, beginning with its next upload.

        Raises:
            PayloadError: ``too_many_requests``: as many as are allowed wait for their end.
            Unavailable: The disk failed; nothing was asked.
        """
        known = self.of(edge)
        if sum(not one.ended for one in known) >= OPEN:
            detail = f"{OPEN} requests of {edge} have not ended; wait, or cancel one"
            raise PayloadError("too_many_requests", detail)
        made = Request(secrets.token_hex(4), edge, since, until, again, self._clock())
        old = [one.key for one in known if one.ended][KEPT - 1 :]
        state: dict[str, bytes | None] = dict.fromkeys(old)
        await self._spool.append((), source="agent", state=state | {made.key: encode(made)})
        for key in old:
            del self._requests[edge][key.rpartition("/")[2]]
        self.put(made)
        return made

    async def cancel(self, request: Request) -> Request:
        """Ask no more for a window."""
        ended = msgspec.structs.replace(request, ended=self._clock())
        await self._spool.append((), source="agent", state={ended.key: encode(ended)})
        self.put(ended)
        return ended

    def put(self, request: Request) -> None:
        """Take a request, or another state of it, that is on disk."""
        self._requests.setdefault(request.edge, {})[request.id] = request

    def asks(
        self, edge: str, epoch: str, books: Mapping[str, EpochBook], settled: int | None
    ) -> list[Ask]:
        """Return what to ask of an edge now.

        Args:
            edge: The edge.
            epoch: Of the spool that it sends from.
            books: Of its epochs.
            settled: Up to where it says that everything was delivered; None: it does not say,
                so it is an older program, which can be asked nothing.
        """
        if settled is None:
            return []
        asks: list[Ask] = []
        book = books.get(epoch)
        if self._automatic and book is not None:
            spans = book.lacks(settled)[:SPANS]
            if spans:
                asks.append(Ask(epoch=epoch, spans=spans))
        for one in self._requests.get(edge, {}).values():
            if not one.ended:
                have = one.spans if one.again else _received(books)
                asks.append(Ask(id=one.id, since=one.since, until=one.until, have=have))
        return asks


def encode(request: Request) -> bytes:
    """Return a request as it is stored."""
    return msgspec.json.encode(request)


def _received(books: Mapping[str, EpochBook]) -> dict[str, Spans]:
    newest = sorted(books, key=lambda epoch: books[epoch].contact)[-_EPOCHS:]
    return {epoch: list(books[epoch].received)[-_HAVE:] for epoch in newest}
