"""Refill: what the centre asks for goes out once more, from the spool or else from the archive.

Through the policy of now and into the ledger, as everything that leaves; beside the live road and
within the share of the uplink that a backlog gets. The spool's books stay as they are: those
records were delivered once. What is not on site any more is said: a whole stretch as a `Loss`,
single numbers (aggregates, which the archive does not keep) as ``not_archived``.

Invariants (tests/edge_agent/egress/test_refill.py):

* nothing is sent that the uplink has not settled: the rest comes by itself;
* numbers that are lacking are taken from the newest receipt, so what came is not sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec
import structlog

from edge_agent.archive import Archive
from edge_agent.policy import Policy, Released
from edge_agent.uplink import Uplink
from gateway_core.clock import Clock, monotonic
from gateway_core.intervals import Intervals
from gateway_core.lanes import Lanes
from gateway_core.meter import Meter
from gateway_core.model import Batch, Loss, Record
from gateway_core.spool import Spool
from gateway_core.stored import read
from gateway_core.wire import Ask, Progress

log = structlog.get_logger()

_spans = msgspec.json.Decoder(dict[str, list[tuple[int, int]]]).decode

STATE = "refill/gone"
"""Spool state: epoch to the numbers that a `Loss` says are gone."""
CHUNK = 5000
_SPARSE = 50_000
_MARGIN_NS = 60 * 1_000_000_000
"""A record's own time, its arrival and its commit may differ by so much at a window's edges."""
_MOST_WORKS = 8
_MOST_ENDED = 100

Numbered = list[tuple[int, Record]]
Span = tuple[str, int, int]
"""Epoch, first and last sequence number."""


@dataclass(slots=True)
class _Work:
    """A window that somebody asked for: what is left to do of it."""

    id: str
    left: list[Span]
    whole: int
    done: int = 0
    gone: int = 0


@dataclass(slots=True)
class _Found:
    """What is on site of a span, from its beginning on.

    Attributes:
        last: Up to here this is all there is.
        rows: In order.
        dense: Whether every number has a row.
    """

    last: int
    rows: Numbered = field(default_factory=list)
    dense: bool = False


class Refill:
    """Answers what the collector asks for; run `run` beside the uplink.

    Args:
        spool: What is not old stands there.
        archive: What is older stands there.
        uplink: Sends.
        policy: The rules of now; `adopt` puts others in their place.
        lanes: How much of the uplink is a backlog's while live records wait, and how long an
            upload may be.
        clock: The edge's clock.
        meter: Counts.
    """

    def __init__(
        self,
        spool: Spool,
        archive: Archive,
        uplink: Uplink,
        policy: Policy,
        lanes: Lanes,
        clock: Clock,
        meter: Meter,
    ) -> None:
        self._spool = spool
        self._archive = archive
        self._uplink = uplink
        self._policy = policy
        self._lanes = lanes
        self._clock = clock
        self._meter = meter
        self._lacking: list[Span] = []
        self._works: dict[str, _Work] = {}
        self._ended: dict[str, _Work] = {}
        self._new: dict[str, Ask] = {}
        self._gone: dict[str, Intervals] = {}
        self._began = 0  # numbers up to it were there before the uplink was
        self._there = asyncio.Event()
        uplink.asked = self.take

    def adopt(self, policy: Policy) -> None:
        """Use other egress rules from the next chunk on."""
        self._policy = policy

    def take(self, asks: Sequence[Ask]) -> None:
        """Take what a receipt asks for; the numbers that it names are the whole truth."""
        self._lacking = []
        for ask in asks:
            if not ask.id:
                self._lacking = [
                    (ask.epoch, *part)
                    for first, last in ask.spans
                    for part in self._gone.get(ask.epoch, Intervals()).missing(first, last)
                ]
            elif ask.id in self._ended:  # it was said, and not heard
                self._works[ask.id] = self._ended.pop(ask.id)
            elif ask.id not in self._works and len(self._works) + len(self._new) < _MOST_WORKS:
                self._new[ask.id] = ask
        if self._lacking or self._new or self._works:
            self._there.set()

    def begin(self, name: str, since: int, until: int) -> bool:
        """Send a window because the site wants it, too; False while there is too much to do."""
        if len(self._works) + len(self._new) >= _MOST_WORKS:
            return False
        self._new[name] = Ask(id=name, since=since, until=until)
        self._there.set()
        return True

    def progress(self, name: str) -> Progress:
        """Return how far a window is that was begun."""
        work = self._works.get(name) or self._ended.get(name)
        if work is None:
            return Progress(name)
        return Progress(name, work.done, work.whole, work.gone, ended=name in self._ended)

    async def run(self) -> NoReturn:
        """Answer for ever; run under `supervise`.

        Raises:
            Unavailable: The collector, the spool's disk or the archive's does not answer.
        """
        held = (await self._spool.state(STATE)).get(STATE)
        spans = read(STATE, held, _spans) or {}
        self._gone = {epoch: Intervals(each) for epoch, each in spans.items()}
        books = await self._spool.books()
        ours = books.consumers[self._uplink.name].accepted
        self._began = sum(books.accepted.values()) - ours
        while True:
            if not (self._lacking or self._new or self._works):
                self._there.clear()
                await self._there.wait()
            began = monotonic()
            await self._step()
            took = monotonic() - began
            if self._spool.head > self._spool.settled(self._uplink.name):
                share = self._lanes.share
                await asyncio.sleep(took * (1 - share) / share)

    async def _step(self) -> None:
        """Send one chunk."""
        if self._lacking:
            await self._fill(*self._lacking[0])
            return
        for name, ask in list(self._new.items()):
            spans = await self._window(ask)
            whole = sum(last - first + 1 for _, first, last in spans)
            self._works[name] = _Work(name, spans, whole)
            del self._new[name]
            log.info("refill_begun", id=name, numbers=whole)
        if self._works:
            await self._work(next(iter(self._works.values())))

    async def _fill(self, epoch: str, first: int, last: int) -> None:
        """Send one chunk of what is lacking; the receipt says what still is."""
        said = Progress("", 0, sum(high - low + 1 for _, low, high in self._lacking))
        if epoch == self._spool.epoch and first <= self._began:  # never was for the centre
            end = min(last, self._began)
            withheld = {"before_uplink": end - first + 1}
            await self._uplink.resend(epoch, Released(first, end, [], [], withheld), said)
            return
        before = self._lacking[0]
        found = await self._find(epoch, first, last)
        if not await self._send((epoch, first), found, said) and self._lacking[:1] == [before]:
            # gone: a `Loss` is on its way, and no receipt came
            self._lacking[:1] = [(epoch, found.last + 1, last)] if found.last < last else []

    async def _work(self, work: _Work) -> None:
        """Send one chunk of a window, or say that it is done."""
        if not work.left:
            said = Progress(work.id, work.done, work.whole, work.gone, ended=True)
            last = max(1, self._uplink.told)
            await self._uplink.resend(self._spool.epoch, Released(last, last, [], [], {}), said)
            self._ended[work.id] = self._works.pop(work.id)
            while len(self._ended) > _MOST_ENDED:
                del self._ended[next(iter(self._ended))]
            log.info("refill_ended", id=work.id, numbers=work.done, gone=work.gone)
            return
        epoch, first, last = work.left[0]
        found = await self._find(epoch, first, last)
        size = found.last - first + 1
        gone = 0 if found.rows else size
        said = Progress(work.id, work.done + size, work.whole, work.gone + gone)
        await self._send((epoch, first), found, said)
        work.done += size
        work.gone += gone
        rest = [(epoch, found.last + 1, last)] if found.last < last else []
        work.left[:1] = rest

    async def _find(self, epoch: str, first: int, last: int) -> _Found:
        """Return what is on site from ``first`` on, of one chunk at most."""
        most = min(CHUNK, self._lanes.most()) if self._lanes.most else CHUNK
        held = None
        if epoch == self._spool.epoch:
            held = await self._spool.read_after(first - 1, min(most, last - first + 1))
            if held is not None and held.first == first:
                rows = list(enumerate(held.records, first))[: last - first + 1]
                return _Found(rows[-1][0], rows, dense=True)
        until = last if held is None else min(last, held.first - 1)
        until = min(until, first + _SPARSE - 1)
        rows = await self._archive.recall(epoch, first, until)
        if len(rows) > most:
            rows = rows[:most]
            until = rows[-1][0]
        return _Found(until, rows)

    async def _send(self, start: tuple[str, int], found: _Found, said: Progress) -> bool:
        """Send what was found; return False when nothing is there, which is entered as a loss."""
        epoch, first = start
        if not found.rows:
            await self._lose(epoch, first, found.last)
            return False
        released = await asyncio.to_thread(_released, self._policy, first, found)
        await self._uplink.resend(epoch, released, said)
        self._meter.count("tidegate_refill_records", len(released.seqs), result="sent")
        self._meter.count("tidegate_refill_records", released.withheld_count, result="withheld")
        return True

    async def _lose(self, epoch: str, first: int, last: int) -> None:
        gone = Intervals(self._gone.get(epoch, ()))
        new = gone.missing(first, last)
        gone.add(first, last)
        if not new:
            return
        why = "the centre asked for it, and neither spool nor archive holds it any more"
        losses = [
            Loss(self._spool.owner, at, epoch, low, high, "evicted", why)
            for at, (low, high) in enumerate(new, self._clock())  # else they were one point
        ]
        every = {**self._gone, epoch: gone}
        state = msgspec.json.encode({name: list(each) for name, each in every.items()})
        await self._spool.append(losses, source="refill", state={STATE: state})
        self._gone[epoch] = gone
        count = sum(high - low + 1 for low, high in new)
        self._meter.count("tidegate_refill_records", count, result="gone")
        log.warning("refill_gone", epoch=epoch, first=first, last=last)

    async def _window(self, ask: Ask) -> list[Span]:
        """Return the numbers that a window may stand for and that the collector does not have."""
        since, until = ask.since - _MARGIN_NS, ask.until + _MARGIN_NS
        own = self._spool.epoch
        found = await self._archive.spans(since, until)
        held = await self._spool.committed(since, until)
        if held is not None:
            found.setdefault(own, Intervals()).add(*held)
        told = self._uplink.told
        spans: list[Span] = []
        for epoch, numbers in found.items():
            have = Intervals(ask.have.get(epoch, ()))
            for first, last in numbers:
                end = min(last, told) if epoch == own else last
                spans += [(epoch, *part) for part in have.missing(max(1, first), end)]
        return spans


def _released(policy: Policy, first: int, found: _Found) -> Released:
    """Return what may leave of what was found; pure but for the policy's cache; takes time."""
    out = Released(first, found.last, [], [], {})
    for start, records in _runs(found.rows):
        part = policy.release(Batch(start, records))
        out.seqs += part.seqs
        out.records += part.records
        out.trimmed += part.trimmed
        for rule, count in part.withheld.items():
            out.withheld[rule] = out.withheld.get(rule, 0) + count
    absent = found.last - first + 1 - len(found.rows)
    if absent:
        out.withheld["not_archived"] = absent
    return out


def _runs(rows: Numbered) -> Iterator[tuple[int, list[Record]]]:
    """Yield stretches of consecutive numbers."""
    start, run = 0, list[Record]()
    for seq, record in rows:
        if run and seq != start + len(run):
            yield start, run
            run = []
        if not run:
            start = seq
        run.append(record)
    if run:
        yield start, run
