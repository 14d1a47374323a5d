"""The archive sink: everything that this site took in, as Parquet files by kind and hour.

Invariants (tests/edge_agent/archive/test_archive_sink.py):

* a batch is settled only after its files and their names are on disk;
* whatever happens between writing and settling, every record is in exactly one file;
* nothing is removed without a line in ``removed.jsonl`` and a counter.

The folder is described in docs/reference/formats/archive.md.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import structlog

from edge_agent.columns import columnar, topic
from edge_agent.parquet import DamagedFile, merge, mergeable, write_table
from edge_agent.recalled import recall
from edge_agent.shelf import HOUR_NS, Part, Shelf
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.folder import sync_folder
from gateway_core.intervals import Intervals
from gateway_core.meter import Meter
from gateway_core.model import Batch, Reading, Receipt, Record, Rejection
from gateway_core.spool import Spool

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")

_MEASUREMENT = re.compile(r"[a-z][a-z0-9_]{0,127}")
_SETTLING_NS = 600 * NS
_MANY = 16
_SMALL = 4 << 20
_MOST_MERGED = 64 << 20


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How long and how much.

    Attributes:
        keep_s: Hours that ended longer ago are removed.
        max_bytes: All files together; the oldest hours go when there are more.
        tidy_s: How often files are merged and removed.
    """

    keep_s: float = 30 * 86_400.0
    max_bytes: int = 200 << 30
    tidy_s: float = 60.0


@dataclass(slots=True)
class _Group:
    """Records of one batch that go to the same files: of one kind, and of one hour from start."""

    kind: str
    start: int
    seqs: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)


class Archive:
    """Sink ``archive``; run `run` beside ``forward(spool, archive)``.

    Args:
        folder: Where the files are.
        spool: Whose records come; the consumer ``archive`` must be registered.
        clock: The edge's clock.
        options: How long and how much.
        meter: Counts what is removed.
    """

    name = "archive"

    def __init__(
        self,
        folder: Path,
        spool: Spool,
        clock: Clock = wall_ns,
        options: ArchiveOptions = ArchiveOptions(),
        meter: Meter | None = None,
    ) -> None:
        self.shelf = Shelf(folder, clock)
        self._spool = spool
        self._clock = clock
        self._options = options
        self._meter = meter or Meter()
        self._writing = asyncio.Lock()
        self._scanned = False
        self._last: list[Part] = []  # of the last batch, which may not have been settled
        self._apart: dict[tuple[str, int, str], frozenset[Path]] = {}

    async def open(self) -> None:
        """Take up what an earlier life left; everything else does so by itself.

        Raises:
            Unavailable: The disk does not allow it.
        """
        async with self._writing:
            await self._scan()

    async def send(self, batch: Batch) -> Receipt:
        """Write a batch.

        Raises:
            Unavailable: The disk did not take all of it; it comes again.
        """
        async with self._writing:
            await self._scan()
            return await self._on_disk(self._write, batch)

    async def recall(self, epoch: str, first: int, last: int) -> list[tuple[int, Record]]:
        """Return the records with these numbers that are still there, ascending.

        Raises:
            Unavailable: The disk does not allow it.
        """
        return await self._on_disk(self._recall, epoch, first, last)

    async def spans(self, since: int, until: int) -> dict[str, Intervals]:
        """Return, for each epoch, numbers that may belong to records of a window of time."""
        found: dict[str, Intervals] = {}
        for part in self.shelf.all():
            if part.hour < until and part.hour + HOUR_NS > since:
                found.setdefault(part.epoch, Intervals()).add(part.first, part.last)
        return found

    async def run(self) -> NoReturn:
        """Merge and remove files now and then; run under `supervise`.

        Raises:
            Unavailable: The disk does not allow it.
        """
        while True:
            await self.tidy()
            await asyncio.sleep(self._options.tidy_s)

    async def tidy(self) -> None:
        """Merge the files of closed hours, and remove what is too old or too much.

        Raises:
            Unavailable: The disk does not allow it.
        """
        async with self._writing:
            await self._scan()
        settled = self._spool.settled(self.name)
        await self._on_disk(self._merge_all, settled)
        await self._on_disk(self._remove_old)

    async def _scan(self) -> None:
        if not self._scanned:
            await self._spool.register(self.name)
            settled = self._spool.settled(self.name)
            await self._on_disk(self.shelf.scan, self._spool.epoch, settled, self._spool.head)
            self._scanned = True

    def _write(self, batch: Batch) -> Receipt:
        groups, rejected, derived = _grouped(batch)
        self.shelf.discard(part for part in self._last if part.first >= batch.first)
        self._last = []
        written: list[Part] = []
        try:
            for group in groups:
                written += self._write_hour(group, (batch.first, batch.last))
            for folder in {part.path.parent for part in written}:
                sync_folder(folder)
        except OSError:
            for part in written:
                part.path.unlink(missing_ok=True)
            raise
        self.shelf.add(written)
        self._last = written
        dropped = {"derived": derived} if derived else {}
        return Receipt(rejected=tuple(rejected), dropped=dropped)

    def _write_hour(self, group: _Group, span: tuple[int, int]) -> list[Part]:
        kind, hour = group.kind, group.start
        folder = self.shelf.path(kind, hour)
        if not folder.exists():
            folder.mkdir(parents=True)
            for parent in (folder.parent, folder.parent.parent, self.shelf.folder):
                sync_folder(parent)
        written: list[Part] = []
        epoch = self._spool.epoch
        for number, table in enumerate(columnar(group.seqs, group.records)):
            count = table.num_rows
            path = folder / self.shelf.name(hour, epoch, span, number, count)
            size = write_table(path, table)
            written.append(Part(path, kind, hour, epoch, *span, number, count, size))
        return written

    def _recall(self, epoch: str, first: int, last: int) -> list[tuple[int, Record]]:
        rows: dict[int, Record] = {}
        with self.shelf.lease_numbers(epoch, first, last) as parts:
            for part in parts:
                try:
                    rows.update(recall(part, first, last))
                except DamagedFile:
                    self.set_aside(part)
        return sorted(rows.items())

    def _merge_all(self, settled: int) -> None:
        """Merge the files of hours that are closed, or that have many."""
        places: dict[tuple[str, int, str], list[Part]] = {}
        for part in self.shelf.all():
            if part.size < _MOST_MERGED and (
                part.epoch != self._spool.epoch or part.last <= settled
            ):
                places.setdefault((part.topic, part.hour, part.epoch), []).append(part)
        closed = self._clock() - HOUR_NS - _SETTLING_NS
        self._apart = {place: paths for place, paths in self._apart.items() if place in places}
        for place, parts in places.items():
            if place[1] < closed:
                fit, enough = parts, 2
            else:  # a large one would be written again every minute
                fit, enough = [part for part in parts if part.size < _SMALL], _MANY
            if len(fit) >= enough:
                self._merge(place, fit)

    def _merge(self, place: tuple[str, int, str], parts: list[Part]) -> None:
        by_path = {part.path: part for part in parts}
        if self._apart.get(place) == by_path.keys():  # their types differ, as they did last time
            return
        self._apart[place] = frozenset(by_path)
        try:
            for group in mergeable(list(by_path)):
                if len(group) > 1:
                    self._merge_group([by_path[path] for path in group])
        except DamagedFile as exc:
            self.set_aside(by_path[exc.path])

    def _merge_group(self, parts: list[Part]) -> None:
        one = parts[0]
        span = (min(part.first for part in parts), max(part.last for part in parts))
        number = max(part.number for part in parts) + 1
        rows = sum(part.rows for part in parts)
        path = one.path.with_name(self.shelf.name(one.hour, one.epoch, span, number, rows))
        size = merge([part.path for part in parts], path)
        sync_folder(path.parent)
        whole = Part(path, one.topic, one.hour, one.epoch, *span, number, rows, size)
        self.shelf.replace(parts, whole)
        log.debug("archive_files_merged", file=str(path), files=len(parts), rows=rows)

    def set_aside(self, part: Part) -> None:
        """Move a damaged file out of the way, so that the rest can be served."""
        self._meter.count("tidegate_archive_removed_rows", part.rows, reason="damaged")
        self.shelf.remove(part, "damaged")

    def _remove_old(self) -> None:
        parts = self.shelf.all()
        oldest = self._clock() - round(self._options.keep_s * NS)
        held = sum(part.size for part in parts)
        for part in parts:
            if part.hour + HOUR_NS < oldest:
                reason = "age"
            elif held > self._options.max_bytes:
                reason = "quota"
            else:
                break
            held -= part.size
            self._meter.count("tidegate_archive_removed_rows", part.rows, reason=reason)
            self.shelf.remove(part, reason)
        self._meter.set("tidegate_archive_bytes", held)

    async def _on_disk(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread; what the disk does not allow is `Unavailable`."""
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except OSError as exc:
            raise Unavailable(f"archive {self.shelf.folder}: {exc}") from exc


def _grouped(batch: Batch) -> tuple[list[_Group], list[Rejection], int]:
    """Return a batch by kind and hour, what of it is refused, and how much was only derived."""
    groups: dict[tuple[str, int], _Group] = {}
    rejected: list[Rejection] = []
    derived = 0
    measurement, start, group = "", 0, _Group("", 0)  # of the reading before: mostly the same
    for seq, record in enumerate(batch.records, batch.first):
        if type(record) is Reading:
            if record.derived:
                derived += 1
                continue
            if record.measurement == measurement and 0 <= record.time - start < HOUR_NS:
                group.seqs.append(seq)
                group.records.append(record)
                continue
            if not _MEASUREMENT.fullmatch(record.measurement):
                rejected.append(Rejection(seq, "bad_measurement", "not a folder's name"))
                continue
        kind, hour = topic(record), record.time - record.time % HOUR_NS
        found = groups.get((kind, hour))
        if found is None:
            found = groups[kind, hour] = _Group(kind, hour)
        if type(record) is Reading:
            measurement, start, group = record.measurement, hour, found
        found.seqs.append(seq)
        found.records.append(record)
    return list(groups.values()), rejected, derived
