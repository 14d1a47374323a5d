"""Take an edge's upload into the spool, each record once, and keep the books of every edge.

Knows nothing of HTTP. The books of an epoch and the records that change them are one transaction
of the spool (state key ``intake/<edge>/<epoch>``), so a collector killed at any instant wakes up
knowing exactly what it holds.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from collector.dedupe import MAX_INTERVALS, MAX_SPAN, EpochBook
from collector.foreign import UNKNOWN_KIND, kept_foreign
from collector.placing import Placing
from collector.refill import Refills, Request, encode
from collector.refused import Refused
from collector.runs import Runs
from gateway_core.clock import NS, Clock
from gateway_core.intervals import Intervals
from gateway_core.model import Loss, ProfileUse, Record
from gateway_core.spool import Spool
from gateway_core.wire import Progress, Upload, UploadReceipt

log = structlog.get_logger()

STATE = "intake/"
STATE_DAMAGED = "intake-damaged/"
"""Where a page that cannot be read is kept."""
_EDGE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_EPOCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_EPOCHS = 64
"""Epochs of one edge whose books are kept; the ones longest without contact go first."""
_MAX_WAITING = 8
"""Uploads of one edge that may wait for each other."""
_WARN_AGAIN_NS = 600 * NS


def is_edge_id(text: str) -> bool:
    """Return whether a text can be an edge's id."""
    return _EDGE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Report:
    """What an edge says of itself beside an upload; None where it says nothing.

    Attributes:
        backlog: Records that it has still to send.
        oldest: Receive time of the oldest of those, nanoseconds since 1970.
        residual: What its own books cannot explain.
        settled: Everything up to it was delivered, it says.
        refill: What this upload answers, if it was asked for.
        mirrored: Whether another collector passes this upload on.
        run: Which run of the agent sends, and the one before it.
        ahead: How far its clock was ahead of ours as the upload began to come, in nanoseconds.
    """

    backlog: int | None = None
    oldest: int | None = None
    residual: int | None = None
    settled: int | None = None
    refill: Progress | None = None
    mirrored: bool = False
    run: str = ""
    ahead: int | None = None


@dataclass(slots=True)
class EdgeBook:
    """Everything known about one edge's uploads.

    Attributes:
        epochs: Epoch to its books.
        current: The epoch of the newest upload.
        report: What the edge said last.
        forked: When two epochs were last seen to alternate, nanoseconds since 1970; 0: never.
    """

    epochs: dict[str, EpochBook] = field(default_factory=dict)
    current: str = ""
    report: Report = Report()
    forked: int = 0
    warned: int = 0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Reception:
    """Takes uploads; made by `open_reception`.

    Attributes:
        edges: Edge id to its books.
        refills: What edges are asked to send again.
        runs: Which runs of agents send.
        traced: Whether to keep where records came from, for a mirror.
        spool: Where everything goes.
        clock: The collector's.
    """

    def __init__(
        self, spool: Spool, clock: Clock, max_edges: int, refills: Refills | None = None
    ) -> None:
        self.edges: dict[str, EdgeBook] = {}
        self.refills = refills or Refills(spool, clock)
        self.runs = Runs(spool, clock)
        self.traced = False
        self._traces = 0
        self.spool = spool
        self.clock = clock
        self._max_edges = max_edges

    async def load(self) -> None:
        """Read the books that the spool holds.

        A page that cannot be read is kept under another key, and its epoch begins anew: one
        altered byte must not keep the collector from starting. What was received before counts as
        missing then; records that come again change nothing in the stores.
        """
        bad: dict[str, bytes | None] = {}
        for key, data in (await self.spool.state(STATE)).items():
            try:
                _, edge, epoch = key.split("/")
                page = EpochBook.decode(data)
            except ValueError as exc:
                bad |= {key: None, STATE_DAMAGED + key.removeprefix(STATE): data}
                told = {"key": key, "why": str(exc), "kept_as": STATE_DAMAGED}
                log.error("intake_book_damaged", **told)  # noqa: TRY400  # no bug of ours
                continue
            self.edges.setdefault(edge, EdgeBook()).epochs[epoch] = page
        if bad:
            await self.spool.append([], source="intake", state=bad)
        for book in self.edges.values():
            book.current = max(book.epochs, key=lambda epoch: book.epochs[epoch].contact)
        await self.refills.load()
        await self.runs.load()

    async def receive(self, upload: Upload, report: Report) -> UploadReceipt:
        """Store what is new of `upload`; the receipt may leave when this returns.

        Raises:
            Refused: The upload is not taken.
            SpoolFull: The disk budget is used up; nothing was stored.
            Unavailable: The disk failed; nothing was stored.
        """
        self._judge(upload)
        if upload.foreign:
            told = {**upload.withheld, UNKNOWN_KIND: len(upload.foreign)}
            upload = msgspec.structs.replace(upload, withheld=told)
        edge = self.edges.get(upload.edge)
        if edge is None:
            if len(self.edges) >= self._max_edges:
                raise Refused(403, "too_many_edges", f"{self._max_edges} edges are known already")
            edge = self.edges[upload.edge] = EdgeBook()
        if edge.waiting >= _MAX_WAITING:
            raise Refused(429, "too_many_uploads", "one upload at a time, please", 1)
        edge.waiting += 1
        try:
            async with edge.lock:
                return await self._enter(edge, upload, report)
        finally:
            edge.waiting -= 1
            if not edge.epochs and not edge.waiting:
                self.edges.pop(upload.edge, None)

    async def _enter(self, edge: EdgeBook, upload: Upload, report: Report) -> UploadReceipt:
        book, now = edge.epochs.get(upload.epoch, EpochBook()), self.clock()
        span = (upload.first, upload.last)
        edge.epochs |= await self.runs.admit(upload.edge, upload.epoch, report.run, book, span)
        book = edge.epochs.get(upload.epoch, book)
        fresh = book.fresh(upload.first, upload.last, upload.seqs)
        if _is_beat(upload):
            page = book.greet(now)
        else:
            page = book.enter(upload.first, upload.last, upload.seqs, upload.withheld, now)
        known = self._repeated(upload, report, fresh)
        records = _taken(upload, [*fresh, *known] if known else fresh)
        pages = _with_losses(edge, upload.epoch, page, records)
        if any(len(each.received) > MAX_INTERVALS for each in pages.values()):
            raise Refused(422, "too_many_gaps", "send older records first, to close gaps", 5)
        dropped = self._crowded_out(edge, upload.epoch)
        state: dict[str, bytes | None] = {
            f"{STATE}{upload.edge}/{epoch}": each.encode() for epoch, each in pages.items()
        }
        state |= {f"{STATE}{upload.edge}/{epoch}": None for epoch in dropped}
        request = self._answered(upload, report, len(records), now)
        if request is not None:
            state[request.key] = encode(request)

        placed = self._placing(upload, book, fresh, known)
        source = f"edge:{upload.edge}"
        strange = kept_foreign(upload, book, now)
        await self.spool.append(records, strange, source=source, state=state, placed=placed)
        # from here on it is on disk
        self._notice(edge, upload, report)
        edge.epochs.update(pages)
        for epoch in dropped:
            del edge.epochs[epoch]
        if request is not None:
            self.refills.put(request)
        if not report.mirrored:
            edge.report = report
        asks = self.refills.asks(upload.edge, edge.current, edge.epochs, report.settled)
        return UploadReceipt(len(records), len(upload.seqs) - len(records), asks=asks)

    def _placing(
        self, upload: Upload, book: EpochBook, fresh: Sequence[int], known: Sequence[int]
    ) -> Placing:
        """Return what makes the keys of an upload; see `collector.placing`."""
        self._traces = max(self._traces + 2, self.clock())
        traced = self.traced and not _is_beat(upload)
        number = self._traces if traced else None
        return Placing(upload, book.received, fresh, known, number)

    def _repeated(self, upload: Upload, report: Report, fresh: Sequence[int]) -> list[int]:
        """Return the places of records that are here already and shall be stored again."""
        request = self.refills.open(upload.edge, report.refill.id) if report.refill else None
        if request is None or not request.again:
            return []
        came, new = Intervals(request.spans.get(upload.epoch, ())), set(fresh)
        return [at for at, seq in enumerate(upload.seqs) if at not in new and seq not in came]

    def _answered(self, upload: Upload, report: Report, records: int, now: int) -> Request | None:
        """Return the request that an upload answers, as it is afterwards."""
        if report.refill is None:
            return None
        request = self.refills.open(upload.edge, report.refill.id)
        if request is None:
            return None
        span = (upload.first, upload.last)
        if _is_beat(upload):  # only says how far it is
            return msgspec.structs.replace(
                request, progress=report.refill, ended=now if report.refill.ended else 0
            )
        return request.entered(report.refill, upload.epoch, span, records, now)

    def _judge(self, upload: Upload) -> None:
        if not is_edge_id(upload.edge):
            raise Refused(422, "bad_edge", "an edge id is [a-z0-9][a-z0-9._-]{0,63}")
        if not _EPOCH.fullmatch(upload.epoch):
            raise Refused(422, "bad_epoch", "an epoch is 1 to 64 of [A-Za-z0-9_-]")
        if upload.last - upload.first >= MAX_SPAN or upload.last > 2**62:
            raise Refused(422, "bad_range", f"at most {MAX_SPAN} numbers in one upload")
        reasons = upload.withheld
        if len(reasons) > 32 or any(
            not 0 <= count <= MAX_SPAN or not 0 < len(reason) <= 64
            for reason, count in reasons.items()
        ):
            raise Refused(422, "bad_withheld", "withheld is reason to count, at most 32 of them")
        strangers = {each.edge for each in upload.records} - {upload.edge}
        if strangers:
            detail = f"a record of edge {min(strangers)[:64]!r} in an upload of {upload.edge}"
            raise Refused(403, "wrong_edge", detail)

    def _notice(self, edge: EdgeBook, upload: Upload, report: Report) -> None:
        """Log a new epoch; warn when an older one comes back, unasked, beside a newer."""
        if upload.epoch == edge.current or (report.refill is not None and edge.current):
            return
        if report.mirrored and upload.epoch in edge.epochs:
            return
        known = edge.epochs.get(upload.epoch)
        if known is None:
            log.info("epoch_begun", edge=upload.edge, epoch=upload.epoch, before=edge.current)
        else:
            edge.forked = self.clock()
            if edge.forked - edge.warned >= _WARN_AGAIN_NS:
                edge.warned = edge.forked
                log.warning(
                    "edge_doubled",
                    edge=upload.edge,
                    epochs=[edge.current, upload.epoch],
                    why="two epochs alternate: are there two agents with one identity?",
                )
        edge.current = upload.epoch

    def _crowded_out(self, edge: EdgeBook, epoch: str) -> list[str]:
        """Return epochs whose books go because this one is one too many."""
        if epoch in edge.epochs or len(edge.epochs) < _MAX_EPOCHS:
            return []
        oldest = min(edge.epochs, key=lambda each: edge.epochs[each].contact)
        log.warning("epoch_forgotten", epoch=oldest, contact=edge.epochs[oldest].contact)
        return [oldest]


def _is_beat(upload: Upload) -> bool:
    """Return whether an upload accounts for nothing: it names the last number that was delivered.

    After a restore that number may not be here, so it must not be taken for one that came.
    """
    return upload.first == upload.last and not upload.seqs and not upload.withheld


def _taken(upload: Upload, places: Sequence[int]) -> list[Record]:
    """Return the records at some places, as they are stored."""
    if ProfileUse in set(map(type, upload.records)):
        return [_placed(upload, at) for at in places]
    if isinstance(places, range):  # all of them
        return upload.records
    return [upload.records[at] for at in places]


def _placed(upload: Upload, at: int) -> Record:
    """Return a record; a profile's use with its place in the edge's spool, which lineage needs."""
    record = upload.records[at]
    if type(record) is ProfileUse:
        return msgspec.structs.replace(record, epoch=upload.epoch, seq=upload.seqs[at])
    return record


def _with_losses(
    edge: EdgeBook, epoch: str, page: EpochBook, records: list[Record]
) -> Mapping[str, EpochBook]:
    """Return the books that this upload changes: its own epoch's, and those with known losses."""
    pages = {epoch: page}
    for record in records if Loss in set(map(type, records)) else ():
        if type(record) is not Loss or not 1 <= record.first <= record.last <= 2**62:
            continue
        book = pages.get(record.epoch) or edge.epochs.get(record.epoch)
        if book is not None:
            pages[record.epoch] = book.lose([(record.first, record.last)])
            if len(pages[record.epoch].lost) > MAX_INTERVALS:
                raise Refused(422, "too_many_gaps", "too many separate losses in one epoch")
    return pages
