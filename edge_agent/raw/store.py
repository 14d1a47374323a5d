"""The raw store: what was taken in is kept as it came, behind the commit and off its road.

Invariants (tests/edge_agent/raw/):

* it holds nobody up: what its writer is too slow for, or the disk does not take, is not kept, and
  counted in ``tidegate_raw_dropped_total``;
* the memory of what waits to be written, and the disk, have limits;
* the spool has the disk before it: where little is free, the oldest raw file goes.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from edge_agent.arrival import Arrival
from edge_agent.raw.block import Packer, Span, encode_commit
from edge_agent.raw.shelf import RawShelf
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RawOptions:
    """How long and how much.

    Attributes:
        keep_s: Files whose newest message is older are removed.
        max_bytes: All files together; the oldest goes when there would be more.
        pending_bytes: Most bytes that wait to be written.
        free_bytes: Less free disk than this: nothing is written, and the oldest file goes.
        flush_s: How often what waits is written.
        block_bytes: Most bytes of a block before compression, unless one commit has more.
    """

    keep_s: float = 7 * 86_400.0
    max_bytes: int = 1 << 30
    pending_bytes: int = 8 << 20
    free_bytes: int = 256 << 20
    flush_s: float = 1.0
    block_bytes: int = 1 << 20

    @property
    def file_bytes(self) -> int:
        """Size at which a file is followed by another."""
        return max(1 << 16, min(16 << 20, self.max_bytes // 16))


class RawStore:
    """Keeps raw messages; `start` it, `offer` what was committed, `close` it.

    Args:
        folder: Where the files are.
        options: The limits.
        meter: Counts what is not kept.
        clock: The edge's clock.
    """

    def __init__(
        self,
        folder: Path,
        options: RawOptions = RawOptions(),
        meter: Meter | None = None,
        clock: Clock = wall_ns,
    ) -> None:
        self.folder = folder
        self._options = options
        self._meter = meter or Meter()
        self._clock = clock
        self._waiting: deque[tuple[bytes, Span]] = deque()
        self._offered = 0  # bytes; changed by who offers
        self._handled = 0  # bytes; changed by the writer
        self._wake = threading.Event()
        self._ending = False
        self._complained = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the writer."""
        self._thread = threading.Thread(target=self._run, name="raw-writer", daemon=True)
        self._thread.start()

    def offer(
        self,
        arrivals: Sequence[Arrival],
        received: Sequence[int],
        profiles: Sequence[str],
        refusals: Sequence[str | None],
    ) -> None:
        """Keep the messages of one commit if there is room; never waits.

        Args:
            arrivals: At least one.
            received: The receive time of each one's readings.
            profiles: The profile that read each; empty where none did.
            refusals: The rejection code of each that was refused.
        """
        body = encode_commit(arrivals, received, profiles, refusals)
        if self._offered - self._handled + len(body) > self._options.pending_bytes:
            self._drop("behind", len(arrivals))
            return
        self._offered += len(body)
        first, last = arrivals[0].received, arrivals[-1].received
        span = Span(len(arrivals), min(first, last), max(first, last))
        self._waiting.append((body, span))
        if self._offered - self._handled > self._options.block_bytes:
            self._wake.set()

    def close(self) -> None:
        """Write what waits and stop the writer; blocks."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        shelf: RawShelf | None = None
        packer = Packer()
        while True:
            ending = self._ending
            if shelf is None:
                shelf = self._opened()
            while self._waiting:
                commits, span = self._next_block()
                self._write(shelf, packer, commits, span)
                self._handled += sum(map(len, commits))
            if shelf is not None:
                self._retire(shelf)
            if ending:
                break
            self._wake.wait(self._options.flush_s)
            self._wake.clear()
        if shelf is not None:
            shelf.close()

    def _opened(self) -> RawShelf | None:
        try:
            return RawShelf(self.folder, self._options.file_bytes)
        except (OSError, Unavailable) as exc:
            self._complain(exc)
            return None

    def _next_block(self) -> tuple[list[bytes], Span]:
        body, span = self._waiting.popleft()
        commits, size = [body], len(body)
        while self._waiting and len(commits) < 0xFFFF:
            if size + len(self._waiting[0][0]) > self._options.block_bytes:
                break
            body, more = self._waiting.popleft()
            commits.append(body)
            size += len(body)
            span = Span(
                span.count + more.count,
                min(span.oldest, more.oldest),
                max(span.newest, more.newest),
            )
        return commits, span

    def _write(
        self, shelf: RawShelf | None, packer: Packer, commits: list[bytes], span: Span
    ) -> None:
        if shelf is None:
            self._drop("disk", span.count)
            return
        block = packer.pack(commits, span)
        try:
            if self._short_of_disk():
                if shelf.files:
                    self._drop("disk_low", shelf.remove_oldest())
                self._drop("disk_low", span.count)
                return
            while shelf.files and shelf.size + len(block) > self._options.max_bytes:
                self._drop("max_bytes", shelf.remove_oldest())
            shelf.append(block, span)
            self._complained = False
        except OSError as exc:
            self._drop("disk", span.count)
            self._complain(exc)

    def _retire(self, shelf: RawShelf) -> None:
        """Remove files that have been kept long enough."""
        before = self._clock() - round(self._options.keep_s * NS)
        try:
            while shelf.files and shelf.files[0].newest < before:
                shelf.remove_oldest()
        except OSError as exc:
            self._complain(exc)
        self._meter.set("tidegate_raw_bytes", shelf.size)

    def _short_of_disk(self) -> bool:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize < self._options.free_bytes

    def _drop(self, reason: str, count: int) -> None:
        self._meter.count("tidegate_raw_dropped", count, reason=reason)

    def _complain(self, why: OSError | Unavailable) -> None:
        if not self._complained:
            self._complained = True
            log.warning("raw_store_failed", folder=str(self.folder), why=str(why))
