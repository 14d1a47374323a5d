"""Look into a spool from another process while its owner runs (the command line)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Record, Refusal
from gateway_core.spool import accounts, rows, schema
from gateway_core.spool.shapes import Books, Quarantined


class SpoolReader:
    """A spool opened read-only; a context manager; blocking. Changes nothing, locks nobody out.

    Attributes:
        path: The SQLite file.
        epoch: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = schema.open_reader(path)
            self.epoch = schema.about(self._db, "epoch")
        except schema.SpoolDamaged as exc:
            raise Unavailable(str(exc)) from exc

    def __enter__(self) -> Self:
        """Return the reader itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def head(self) -> int:
        """Last committed sequence number, as of now; ask again to see what was appended since."""
        with self._snapshot() as db:
            return rows.head_of(db)

    def books(self) -> Books:
        """Count everything; ``max_bytes`` is 0, for the budget stands in the owner's options."""
        with self._snapshot() as db:
            return accounts.load_books(db, 0)

    def read_after(self, seq: int, limit: int) -> Batch | None:
        """Return the oldest readable records above ``seq``; None when there is none.

        A damaged segment is passed over: the owner records it when it meets it.

        Raises:
            Unavailable: The file's index is damaged; the owner's next start mends it.
        """
        with self._snapshot() as db:
            head = rows.head_of(db)
            at = rows.next_first(db, seq + 1)
            while at is not None and at <= head:
                found = rows.fetch(db, at, head, limit, "", self.epoch)
                if found.broken is None:
                    return cut(found.segments, at, limit)
                at = rows.next_first(db, found.broken.last + 1)
        return None

    def newest_refusals(self, limit: int, reason: str | None = None) -> list[tuple[int, Refusal]]:
        """Return the newest ``limit`` refused payloads, oldest of them first."""
        with self._snapshot() as db:
            return rows.load_refusals(db, limit, 0, reason, newest=True)

    def newest_quarantined(self, limit: int, consumer: str | None = None) -> list[Quarantined]:
        """Return the newest ``limit`` quarantined records, oldest of them first."""
        with self._snapshot() as db:
            return rows.load_quarantined(db, limit, 0, consumer, newest=True)

    def state(self, prefix: str = "") -> dict[str, bytes]:
        """Return the keys that start with ``prefix``."""
        with self._snapshot() as db:
            return rows.load_state(db, prefix)

    @contextlib.contextmanager
    def _snapshot(self) -> Iterator[apsw.Connection]:
        try:
            with schema.snapshot(self._db):
                yield self._db
        except schema.SpoolDamaged as exc:
            raise Unavailable(str(exc)) from exc


def open_reader(path: Path) -> SpoolReader:
    """Open the spool at ``path`` read-only.

    Raises:
        Unavailable: There is none, it is not a spool, or it cannot be read.
    """
    return SpoolReader(path)


def cut(segments: list[tuple[int, list[Record]]], first: int, limit: int) -> Batch:
    """Return up to ``limit`` records from number ``first`` of consecutive segments."""
    start = segments[0][0]
    if len(segments) == 1:
        return Batch(first, segments[0][1][first - start : first - start + limit])
    joined = [record for _, records in segments for record in records]
    return Batch(first, joined[first - start : first - start + limit])
