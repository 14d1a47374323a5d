"""The on-site history: one answer from the archive's files and what is not archived yet.

Invariants (tests/edge_agent/archive/test_archive_history.py):

* every record is seen exactly once, whether it is in a file, in the spool or on its way;
* an answer needs the disk and nothing else: neither the collector nor the network;
* names reach the database only after they were found among the columns; values are parameters.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import structlog

from edge_agent.archive import Archive
from edge_agent.columns import READINGS, Numbered, tables, topic
from edge_agent.question import Question
from edge_agent.selection import Selection, Source, select
from edge_agent.shelf import Part
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.model import Reading
from gateway_core.spool import Spool

log = structlog.get_logger()

_OTHERS = frozenset({"feed_health", "system_health", "alarm", "loss", "inventory", "profile_use"})
_CHUNK = 5000
_MEMORY = "256MB"
_SPILL = "2GB"


@dataclass(frozen=True, slots=True)
class Table:
    """An answer.

    Attributes:
        columns: ``time`` first.
        types: Their types as DuckDB names them, for example ``BIGINT``.
        rows: Ordered by time, then by series; None where there is no value. Times in nanoseconds.
        next: Cursor of the following rows; None when these were the last.
        notes: What the reader must know: that files were damaged, or that the answer is not whole.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    next: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tail:
    """What is not archived yet."""

    tables: list[pa.Table] = field(default_factory=list)
    notes: tuple[str, ...] = ()


class History:
    """Answers questions about what this site took in.

    Args:
        archive: Its files.
        spool: What is not in them yet.
        spill: Folder for what does not fit into memory; below the data folder.
        at_once: Questions answered at a time; others wait.
        tail_records: Most records looked at that are not archived yet.
    """

    def __init__(
        self,
        archive: Archive,
        spool: Spool,
        spill: Path,
        at_once: int = 2,
        tail_records: int = 500_000,
    ) -> None:
        self._archive = archive
        self._spool = spool
        self._spill = spill
        self._turn = asyncio.Semaphore(at_once)
        self._tail_records = tail_records

    async def measurements(self) -> list[str]:
        """Return the measurements and kinds that files hold, sorted."""
        await self._archive.open()
        names = {part.topic.removeprefix(f"{READINGS}/") for part in self._archive.shelf.all()}
        return sorted(names)

    async def hours(self, measurement: str) -> list[int]:
        """Return the hours, in nanoseconds, of which there are files, ascending."""
        await self._archive.open()
        kind = _kind(measurement)
        return sorted({part.hour for part in self._archive.shelf.all() if part.topic == kind})

    async def query(self, question: Question) -> Table:
        """Answer a question.

        Raises:
            PayloadError: ``unknown_field``, ``bad_cursor``, ``too_much`` or ``bad_question``.
            Unavailable: The disk does not answer.
        """
        return await self._tried(question, heading=False)

    async def heading(self, question: Question) -> Table:
        """Return the columns and types of all that a question finds, without its rows.

        Raises:
            PayloadError: As `query`.
            Unavailable: As `query`.
        """
        return await self._tried(question, heading=True)

    async def _tried(self, question: Question, *, heading: bool) -> Table:
        async with self._turn:
            await self._archive.open()
            with contextlib.suppress(Unavailable):
                return await self._once(question, heading=heading)
            return await self._once(question, heading=heading)  # now without what is damaged

    async def _once(self, question: Question, *, heading: bool) -> Table:
        """Answer from one consistent look at shelf and spool."""
        kind = _kind(question.measurement)
        shelf = self._archive.shelf
        with shelf.lease(kind, question.start_ns, question.stop_ns) as found:
            # No await until the cursor is read: the shelf holds all that it says is archived.
            archived = self._spool.settled(self._archive.name)
            epoch = self._spool.epoch
            parts = [part for part in found if part.epoch != epoch or part.last <= archived]
            tail = await self._tail(kind, question, archived)
            base = duckdb.connect(":memory:", config=self._config())
            try:
                try:
                    return await asyncio.to_thread(
                        self._answer, base, question, parts, tail, heading=heading
                    )
                except asyncio.CancelledError:
                    base.interrupt()
                    raise
            finally:
                with contextlib.suppress(duckdb.Error):
                    base.close()

    async def _tail(self, kind: str, question: Question, archived: int) -> _Tail:
        """Return what is in the spool beyond the archive's cursor."""
        rows: list[Numbered] = []
        seq, head, seen = archived, self._spool.head, 0
        while seq < head and seen < self._tail_records:
            batch = await self._spool.read_after(seq, _CHUNK)
            if batch is None:
                break
            for number, record in enumerate(batch.records, batch.first):
                if (
                    number <= head
                    and question.start_ns <= record.time < question.stop_ns
                    and topic(record) == kind
                    and not (isinstance(record, Reading) and record.derived)
                ):
                    rows.append((number, record))
            seen += len(batch.records)
            seq = batch.last
        notes: tuple[str, ...] = ()
        if seq < head and seen >= self._tail_records:
            notes = (f"{head - seq} newer records are not archived yet and not in this answer",)
        made = await asyncio.to_thread(tables, rows) if rows else []
        return _Tail(made, notes)

    def _answer(
        self,
        base: duckdb.DuckDBPyConnection,
        question: Question,
        parts: Sequence[Part],
        tail: _Tail,
        *,
        heading: bool,
    ) -> Table:
        shelf = self._archive.shelf
        damaged = shelf.check(parts)
        for part in damaged:
            self._archive.set_aside(part)
        parts = [part for part in parts if part not in damaged]
        gone = shelf.missing(_kind(question.measurement), question.start_ns, question.stop_ns)
        told = (*tail.notes, *_missing(gone))
        try:
            source = self._open(base, parts, tail)
            if source is None:
                hint = self._hint(question.measurement)
                return Table((), (), [], None, (*told, *hint))
            selection = select(question, source)
            wanted = " LIMIT 0" if heading else ""
            found = base.execute(f"FROM ({selection.sql}){wanted}", selection.values)
            types = [str(column[1]) for column in found.description or ()]
            rows = found.fetchall()
        except duckdb.OutOfMemoryException as exc:
            raise PayloadError("too_much", "ask for less time, fewer fields or devices") from exc
        except duckdb.InterruptException as exc:
            raise Unavailable("the question was given up") from exc
        except (duckdb.Error, RuntimeError) as exc:
            self._archive.shelf.distrust(parts)
            raise Unavailable(f"archive: {exc}; ask again") from exc
        return _cut(selection, types, rows, question.limit, told)

    def _open(
        self, base: duckdb.DuckDBPyConnection, parts: Sequence[Part], tail: _Tail
    ) -> Source | None:
        """Make files and tail one source; None when there is nothing."""
        folder = str(self._archive.shelf.folder.resolve()).replace("'", "''")
        base.execute(f"SET allowed_directories=['{folder}']")
        base.execute("SET enable_external_access=false")
        base.execute("SET lock_configuration=true")
        names: list[str] = []
        if parts:
            paths = [str(part.path.resolve()) for part in parts]
            base.read_parquet(paths, union_by_name=True).create_view("files")
            names.append("files")
        for number, table in enumerate(tail.tables):
            base.register(f"tail{number}", table)
            names.append(f"tail{number}")
        if not names:
            return None
        union = " UNION ALL BY NAME ".join(f"FROM {name}" for name in names)
        base.execute(f"CREATE TEMP VIEW everything AS {union}")
        described = base.execute("DESCRIBE everything").fetchall()
        return Source("everything", {row[0]: row[1] for row in described})

    def _hint(self, name: str) -> tuple[str, ...]:
        """Return what to say when nothing was found."""
        known = {part.topic.removeprefix(f"{READINGS}/") for part in self._archive.shelf.all()}
        if name in known:
            return ()
        near = get_close_matches(name, known, n=1)
        return (f"no file holds {name}; did you mean {near[0]}?",) if near else ()

    def _config(self) -> dict[str, str | bool | int | float | list[str]]:
        return {
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": str(self._spill),
            "max_temp_directory_size": _SPILL,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }


def _missing(rows: int) -> tuple[str, ...]:
    """Return what a reader must know of files that turned out to be damaged."""
    if not rows:
        return ()
    return (f"{rows} rows are missing: damaged files were set aside (see archive/removed.jsonl)",)


def _kind(measurement: str) -> str:
    """Return the folder of a measurement."""
    return measurement if measurement in _OTHERS else f"{READINGS}/{measurement}"


def _cut(
    selection: Selection,
    types: list[str],
    rows: list[tuple[Any, ...]],
    limit: int,
    notes: tuple[str, ...],
) -> Table:
    """Return a page; one row more than asked for tells that there is another."""
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        following = selection.cursor(rows[-1])
    shown = len(selection.columns)
    kept = [row[:shown] for row in rows]
    return Table(selection.columns, tuple(types[:shown]), kept, following, notes)
