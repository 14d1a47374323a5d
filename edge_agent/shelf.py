"""The shelf: which Parquet files there are, what is in each, and who is reading them.

A file's name says what is in it: ``<hour>-<epoch>-<first>-<last>-<number>-<rows>.parquet``, in
``<topic>/<day>/``. The shelf in memory is the truth for queries: a file that is not on it is not
read, and one that is taken off it is deleted when nobody reads any more.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import structlog

from edge_agent.parquet import DamagedFile, check_file, merged_from
from edge_agent.removed import Removal, Removed
from gateway_core.aside import DAMAGED
from gateway_core.clock import NS, Clock, monotonic

log = structlog.get_logger()

HOUR_NS = 3600 * NS

_TRUSTED_S = 3600.0
"""How long a file that was found sound is not looked at again."""

_NAME = re.compile(r"(\d\d)-([0-9A-Za-z]+)-(\d+)-(\d+)-(\d+)-(\d+)\.parquet")


@dataclass(frozen=True, slots=True)
class Part:
    """One file.

    Attributes:
        path: Where it is.
        topic: ``readings/<measurement>``, ``alarm`` and so on.
        hour: Beginning of the hour of its records' times, in nanoseconds.
        epoch: Of the spool that the records came from.
        first: A sequence number not above any of its records'.
        last: Likewise not below.
        number: Tells apart files of the same range.
        rows: Its records.
        size: In bytes.
    """

    path: Path
    topic: str
    hour: int
    epoch: str
    first: int
    last: int
    number: int
    rows: int
    size: int


@dataclass(slots=True)
class _Readers:
    count: int = 0
    doomed: list[Path] = field(default_factory=list)


class Shelf:
    """All files under one folder; safe to use from several threads.

    Args:
        folder: Created if need be.
        clock: For the record of removals.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._parts: dict[Path, Part] = {}
        self._readers = _Readers()
        self._lock = threading.Lock()
        self._checked: dict[Path, float] = {}
        self._removed = Removed(folder)
        folder.mkdir(parents=True, exist_ok=True)

    def scan(self, epoch: str, settled: int, head: int) -> None:
        """Take up what an earlier life left, and undo what it did not finish.

        Args:
            epoch: Of the spool.
            settled: The archive's cursor in it; what lies beyond will be written again.
            head: The last sequence number in it; what lies beyond was never in this spool.
        """
        self._removed.load()
        parts: list[Part] = []
        for path in self.folder.rglob("*"):
            if path.name.startswith(".") and path.suffix == ".tmp":
                path.unlink()
            elif path.suffix == ".parquet" and self.folder / DAMAGED not in path.parents:
                part = self._read_name(path)
                if part is None:
                    log.warning("archive_file_unknown", file=str(path))
                elif (
                    part.epoch == epoch
                    and settled < part.first
                    and part.last <= head
                    and path.is_file()
                ):
                    path.unlink()
                else:
                    parts.append(part)
        self._parts = {part.path: part for part in parts}
        self._undo_merges()

    def path(self, topic: str, hour: int) -> Path:
        """Return the folder of an hour's files."""
        day = datetime.fromtimestamp(hour // NS, UTC)
        return self.folder / topic / day.strftime("%Y-%m-%d")

    def name(self, hour: int, epoch: str, span: tuple[int, int], number: int, rows: int) -> str:
        """Return a file's name."""
        clock = datetime.fromtimestamp(hour // NS, UTC).strftime("%H")
        return f"{clock}-{epoch}-{span[0]:012d}-{span[1]:012d}-{number}-{rows}.parquet"

    def add(self, parts: Iterable[Part]) -> None:
        """Put written and synced files on the shelf."""
        with self._lock:
            self._parts.update((part.path, part) for part in parts)

    def replace(self, old: Iterable[Part], new: Part) -> None:
        """Put a merged file in the place of those that it was merged from."""
        gone = list(old)
        with self._lock:
            for part in gone:
                self._parts.pop(part.path, None)
            self._parts[new.path] = new
        self._delete(part.path for part in gone)

    def discard(self, parts: Iterable[Part]) -> None:
        """Take off and delete files whose records are about to be written again."""
        with self._lock:
            gone = [part.path for part in parts if self._parts.pop(part.path, None) is not None]
        self._delete(gone)

    def check(self, parts: Iterable[Part]) -> list[Part]:
        """Return those that are not what was written; each is looked at once an hour; blocks."""
        now, damaged = monotonic(), []
        for part in parts:
            if now - self._checked.get(part.path, -math.inf) < _TRUSTED_S:
                continue
            try:
                check_file(part.path)
                self._checked[part.path] = now
            except DamagedFile:
                damaged.append(part)
        return damaged

    def distrust(self, parts: Iterable[Part]) -> None:
        """Look at these again before they are read the next time."""
        for part in parts:
            self._checked.pop(part.path, None)

    def remove(self, part: Part, reason: str) -> None:
        """Take off a file for good and record what went: deleted, or set aside if damaged."""
        with self._lock:
            if self._parts.pop(part.path, None) is None:
                return
        self._record(part, reason)
        if reason == "damaged":
            aside = self.folder / DAMAGED / f"{part.topic.replace('/', '_')}-{part.path.name}"
            aside.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                part.path.rename(aside)
        else:
            self._delete([part.path])
        log.warning("archive_file_removed", file=str(part.path), rows=part.rows, reason=reason)

    def all(self) -> list[Part]:
        """Return every file, by hour, then by range."""
        with self._lock:
            parts = list(self._parts.values())
        return sorted(parts, key=lambda part: (part.hour, part.topic, part.first, part.number))

    @contextlib.contextmanager
    def lease(self, topic: str, start: int, stop: int) -> Iterator[list[Part]]:
        """Give the files that may hold records of ``start <= time < stop``; they stay meanwhile."""
        with self._lock:
            self._readers.count += 1
            found = [
                part
                for part in self._parts.values()
                if part.topic == topic and _touches(part, start, stop)
            ]
        try:
            yield sorted(found, key=lambda part: (part.hour, part.first, part.number))
        finally:
            with self._lock:
                self._readers.count -= 1
            self._delete([])

    @contextlib.contextmanager
    def lease_numbers(self, epoch: str, first: int, last: int) -> Iterator[list[Part]]:
        """Give the files that may hold these numbers of an epoch; they stay meanwhile."""
        with self._lock:
            self._readers.count += 1
            found = [
                part
                for part in self._parts.values()
                if part.epoch == epoch and part.first <= last and part.last >= first
            ]
        try:
            yield found
        finally:
            with self._lock:
                self._readers.count -= 1
            self._delete([])

    def _delete(self, paths: Iterable[Path]) -> None:
        with self._lock:
            self._readers.doomed.extend(paths)
            if self._readers.count:
                return
            doomed, self._readers.doomed = self._readers.doomed, []
        for path in doomed:
            self._checked.pop(path, None)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a day that is empty now
                path.parent.rmdir()

    def _undo_merges(self) -> None:
        """Delete what was merged into another file by a life that ended before it could."""
        places: dict[tuple[str, int], list[Part]] = {}
        for part in self._parts.values():
            places.setdefault((part.topic, part.hour), []).append(part)
        for parts in places.values():
            if len(parts) < 2:
                continue
            for part in parts:
                try:
                    names = merged_from(part.path)
                except DamagedFile:
                    self.remove(part, "damaged")
                    continue
                for name in names:
                    old = part.path.with_name(name)
                    if old != part.path and self._parts.pop(old, None) is not None:
                        old.unlink(missing_ok=True)

    def _read_name(self, path: Path, size: int | None = None) -> Part | None:
        found = _NAME.fullmatch(path.name)
        if found is None:
            return None
        try:
            day = datetime.strptime(path.parent.name, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            return None
        hour, epoch, first, last, number, rows = found.groups()
        return Part(
            path=path,
            topic=path.parent.parent.relative_to(self.folder).as_posix(),
            hour=round(day.timestamp()) * NS + int(hour) * HOUR_NS,
            epoch=epoch,
            first=int(first),
            last=int(last),
            number=int(number),
            rows=int(rows),
            size=path.stat().st_size if size is None else size,
        )

    def missing(self, topic: str, start: int, stop: int) -> int:
        """Return how many rows of ``start <= time < stop`` may be gone with damaged files."""
        count = 0
        for each in self._removed.damaged:
            part = self._read_name(self.folder / each.file, 0)
            if part is not None and part.topic == topic and _touches(part, start, stop):
                count += each.rows
        return count

    def _record(self, part: Part, reason: str) -> None:
        removal = Removal(
            at=datetime.fromtimestamp(self._clock() / NS, UTC).isoformat(timespec="seconds"),
            file=part.path.relative_to(self.folder).as_posix(),
            rows=part.rows,
            epoch=part.epoch,
            first=part.first,
            last=part.last,
            bytes=part.size,
            reason=reason,
        )
        self._removed.add(removal)


def _touches(part: Part, start: int, stop: int) -> bool:
    return part.hour < stop and part.hour + HOUR_NS > start
