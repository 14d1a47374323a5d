"""The spool's reading side: one thread, one read-only connection, and what was decoded last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import apsw

from gateway_core.errors import Unavailable
from gateway_core.model import Batch
from gateway_core.spool import rows, schema
from gateway_core.spool.reader import cut
from gateway_core.spool.recent import Recent

T = TypeVar("T")


class Lookup:
    """Answers questions from the file, one after another; belongs to one event loop.

    Args:
        path: The SQLite file.
        owner: Of the spool.
        epoch: Of the spool.
        cache_records: See `SpoolOptions`.

    Attributes:
        recent: What was appended or decoded last.
    """

    def __init__(self, path: Path, owner: str, epoch: str, cache_records: int) -> None:
        self.recent = Recent(cache_records)
        self._path, self._owner, self._epoch = path, owner, epoch
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool-reader")
        self._db = schema.open_reader(path)
        self._closed = False

    def refuse(self) -> None:
        """Answer nothing from now on."""
        self._closed = True

    def close(self) -> None:
        """Finish what was asked and close the file; blocks."""
        self._thread.shutdown()
        self._db.close()

    async def ask(self, question: Callable[[apsw.Connection], T]) -> T:
        """Answer a question from the file, on the reading thread."""

        def answer() -> T:
            with schema.snapshot(self._db):
                return question(self._db)

        if self._closed:
            raise Unavailable("the spool is closed")
        try:
            return await self._loop.run_in_executor(self._thread, answer)
        except schema.SpoolDamaged as exc:
            schema.suspect(self._path, str(exc))
            raise

    async def fetch(self, first: int, last: int, limit: int) -> Batch | rows.Broken:
        """Return up to ``limit`` records from ``first``, decoding only what nobody remembers."""
        limit = min(limit, last - first + 1)
        records = self.recent.take(first, limit)
        while len(records) < limit:
            at = first + len(records)
            found = await self.load(
                at, min(last, self.recent.until(at) or last), limit - len(records)
            )
            if found.broken:
                return Batch(first, records) if records else found.broken
            for start, segment in found.segments:
                self.recent.add_again(start, segment)
            records += cut(found.segments, at, limit - len(records)).records
            records += self.recent.take(first + len(records), limit - len(records))
        return Batch(first, records)

    async def load(self, first: int, last: int, limit: int) -> rows.Fetched:
        """Return decoded segments from the file; see `rows.fetch`."""
        return await self.ask(
            lambda db: rows.fetch(db, first, last, limit, self._owner, self._epoch)
        )

    async def next_held(self, seq: int) -> int | None:
        """Return the first number at or above ``seq`` that is held."""
        return await self.ask(lambda db: rows.next_first(db, seq))
