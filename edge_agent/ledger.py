"""The egress ledger: an entry for everything that leaves the site, each chained to the one before.

Invariants (tests/edge_agent/egress/test_egress_ledger.py):

* an entry is on disk before its batch leaves; what became of the batch is a later entry;
* every entry carries the hash of the one before it and its own, so that a changed, removed or
  reordered entry is found (`edge_agent.audit`);
* the ledger never grows beyond its budget, and what is removed for that is entered too.

The files are described to the byte in docs/reference/formats/ledger.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
import structlog

from edge_agent.ledger_entry import Entry, Head, last_entry, ledger_files, seal
from gateway_core.aside import set_aside
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.folder import sync_folder

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Departure:
    """What is about to leave; see `Entry` for the attributes."""

    to: str
    epoch: str
    first: int
    last: int
    bytes: int
    sha256: str
    records: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[str, int] = field(default_factory=dict)
    trimmed: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class LedgerOptions:
    """The limits of a ledger, in bytes.

    Attributes:
        file_bytes: A file that has grown to this is followed by another.
        max_bytes: All files together; the oldest goes when there would be more.
    """

    file_bytes: int = 16 << 20
    max_bytes: int = 4 << 30


class Ledger:
    """The egress ledger in a folder; one process writes it.

    Args:
        folder: Created if need be.
        clock: The edge's clock.
        options: The limits.

    Raises:
        Unavailable: The disk does not allow it.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock = wall_ns,
        options: LedgerOptions = LedgerOptions(),
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._options = options
        self._lock = asyncio.Lock()
        self._head = Head()
        self._durable = Head()
        self._file: BinaryIO | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._open()
        except OSError as exc:
            raise Unavailable(f"egress ledger {folder}: {exc}") from exc

    @property
    def durable(self) -> Head:
        """The last entry that is known to survive a power cut."""
        return self._durable

    async def enter(self, departure: Departure) -> int:
        """Enter a batch that is about to leave; return the entry's number once it is on disk.

        Raises:
            Unavailable: It could not be entered, so the batch must not leave.
        """
        async with self._lock:
            return await asyncio.to_thread(self._enter, departure)

    async def mark(self, of: int, outcome: str, detail: str = "") -> None:
        """Enter what became of a batch; on disk with the next batch at the latest.

        Raises:
            Unavailable: The disk did not take it.
        """
        async with self._lock:
            entry = Entry(0, "", "outcome", "", of=of, outcome=outcome, detail=detail[:200])
            await asyncio.to_thread(self._write, entry, durable=False)

    def close(self) -> None:
        """Put everything on disk and let go of the file."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _enter(self, departure: Departure) -> int:
        entry = Entry(
            0,
            "",
            "batch",
            "",
            to=departure.to,
            epoch=departure.epoch,
            first=departure.first,
            last=departure.last,
            records=departure.records,
            withheld=departure.withheld,
            trimmed=departure.trimmed,
            bytes=departure.bytes,
            sha256=departure.sha256,
            again=departure.again,
        )
        return self._write(entry, durable=True)

    def _write(self, entry: Entry, *, durable: bool) -> int:
        """Chain, write and, if wanted, sync one entry."""
        try:
            if self._file is None:  # an earlier write failed: find the end again
                self._open()
            file = self._rotated()
            number = self._append(file, entry)
            if durable:
                os.fsync(file.fileno())
                self._durable = self._head
            return number
        except OSError as exc:
            if self._file is not None:
                self._file.close()
                self._file = None
            raise Unavailable(f"egress ledger {self._folder}: {exc}") from exc

    def _append(self, file: BinaryIO, entry: Entry) -> int:
        now = datetime.fromtimestamp(self._clock() / NS, UTC).isoformat(timespec="milliseconds")
        whole = msgspec.structs.replace(entry, n=self._head.n + 1, at=now, prev=self._head.hash)
        line, chain = seal(msgspec.json.encode(whole))
        file.write(line)
        self._head = Head(whole.n, chain)
        return whole.n

    def _rotated(self) -> BinaryIO:
        """Return the file to write to, after starting another one if this one is full."""
        file = self._file
        assert file is not None
        if file.tell() < self._options.file_bytes:
            return file
        os.fsync(file.fileno())
        file.close()
        self._file = file = self._start(self._head.n + 1)
        self._prune(file)
        return file

    def _prune(self, file: BinaryIO) -> None:
        """Enter and remove the oldest files, until what is left fits the budget."""
        files = ledger_files(self._folder)
        sizes = [each.stat().st_size for each in files]
        while len(files) > 1 and sum(sizes) > self._options.max_bytes - self._options.file_bytes:
            oldest = files.pop(0)
            sizes.pop(0)
            last, _ = last_entry(oldest.read_bytes())
            self._append(
                file,
                Entry(0, "", "pruned", "", first=_first_of(oldest), last=last.n, sha256=last.hash),
            )
            os.fsync(file.fileno())
            oldest.unlink()
            log.info("ledger_pruned", file=oldest.name, last=last.n)

    def _start(self, number: int) -> BinaryIO:
        path = self._folder / f"ledger-{number:012d}.jsonl"
        file = path.open("ab", buffering=0)
        sync_folder(self._folder)
        return file

    def _open(self) -> None:
        """Find the end of the chain, cutting off a line that a crash left half written."""
        for path in self._folder.glob("ledger-*.jsonl"):
            if not path.is_file():
                set_aside(path, "something that is no file stands in its place")
        files = ledger_files(self._folder)
        while files:
            path = files.pop()
            data = path.read_bytes()
            self._head, good = last_entry(data)
            torn = len(data) - good
            self._file = file = path.open("ab", buffering=0)
            if torn:
                self._keep_cut(path, data[good:])
                file.truncate(good)
                log.warning("ledger_repaired", file=path.name, bytes=torn)
            if not good and files:  # nothing but a torn line: the chain ends in the file before
                self._head, _ = last_entry(files[-1].read_bytes())
            if torn:
                self._append(file, Entry(0, "", "repaired", "", bytes=torn))
            os.fsync(file.fileno())
            break
        else:
            self._head = Head()
            self._file = self._start(1)
        self._durable = self._head

    def _keep_cut(self, path: Path, cut: bytes) -> None:
        """Set aside what is about to be cut off, unless it is the half line that a crash leaves."""
        if b"\n" in cut or not cut.startswith(b'{"n":'):
            beside = path.with_name(f"{path.name}.cut")
            beside.write_bytes(cut)
            set_aside(beside, f"the end of {path.name}: it holds no entry of the ledger")


def _first_of(path: Path) -> int:
    return int(path.stem.removeprefix("ledger-"))
