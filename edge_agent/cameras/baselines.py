"""Baselines on disk: an SQLite file of its own, one thread, one row for each feed and hour of day.

What is lost with the file is learned anew within days, so a broken one is put aside and a full
disk stops the learning, never the patrol. At most 24 rows of about 1.5 kB for each feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
import structlog

from edge_agent.cameras.baseline import HOURS, Slot
from gateway_core.aside import set_aside
from gateway_core.errors import Unavailable
from gateway_core.sqlite_file import is_damage

log = structlog.get_logger()

_Result = TypeVar("_Result")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS baseline (
    feed TEXT NOT NULL, hour INTEGER NOT NULL, looks BLOB NOT NULL, PRIMARY KEY (feed, hour)
) WITHOUT ROWID
"""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Slot).decode


class BaselineStore:
    """Keeps slots.

    Args:
        path: Of the file; None keeps them in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "baselines")
        self._db: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        await self._run(self._open, None)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        await self._run(self._close, None)
        self._thread.shutdown()

    async def near(self, feed: str, hour: int) -> tuple[Slot, Slot, Slot]:
        """Return the slots of the hour before, the hour and the hour after."""
        hours = tuple((hour + by) % HOURS for by in (-1, 0, 1))
        nothing: dict[int, Slot] = {}
        found = await self._run(lambda: self._read(feed, hours), nothing)
        before, now, after = (found.get(each, ()) for each in hours)
        return before, now, after

    async def all(self, feed: str) -> dict[int, Slot]:
        """Return all slots of a feed by hour."""
        return await self._run(lambda: self._read(feed, tuple(range(HOURS))), {})

    async def put(self, feed: str, hour: int, slot: Slot) -> None:
        """Keep a slot."""
        row = (feed, hour, _sealed(slot))
        statement = "INSERT OR REPLACE INTO baseline VALUES (?, ?, ?)"
        await self._run(lambda: self._write(statement, [row]), None)

    async def forget(self, feeds: Collection[str]) -> None:
        """Forget everything of these feeds."""
        rows: list[tuple[object, ...]] = [(feed,) for feed in feeds]
        await self._run(lambda: self._write("DELETE FROM baseline WHERE feed = ?", rows), None)

    async def _run(self, work: Callable[[], _Result], otherwise: _Result) -> _Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._tried, work)
        except (sqlite3.Error, OSError, Unavailable) as exc:
            log.warning("picture_baselines_unavailable", error=str(exc))
            return otherwise

    async def forget_except(self, feeds: Collection[str]) -> None:
        """Forget all other feeds."""
        await self._run(lambda: self._keep(frozenset(feeds)), None)

    def _tried(self, work: Callable[[], _Result]) -> _Result:
        """Do it; where the file turns out to be damaged, with a new one."""
        try:
            return work()
        except sqlite3.Error as exc:
            if not is_damage(exc):
                raise
            self._begin_anew(exc)
            return work()

    def _open(self) -> None:
        if self._path is not None and self._path.exists() and not self._path.is_file():
            set_aside(self._path, "something that is no file stands in its place")
        if self._db is None:
            self._db = self._connect()

    def _begin_anew(self, why: Exception) -> None:
        self._close()
        self._db = None
        if self._path is not None:
            set_aside(self._path, f"{why}; what pictures are usually like is learned anew")
        self._db = self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path or ":memory:", check_same_thread=False, timeout=10)
        try:
            # Nothing here is acknowledged to anybody: what a power cut takes is learned again.
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(_SCHEMA)
            db.commit()
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()

    def _read(self, feed: str, hours: tuple[int, ...]) -> dict[int, Slot]:
        if self._db is None:
            return {}
        marks = ", ".join("?" * len(hours))
        rows = self._db.execute(
            f"SELECT hour, looks FROM baseline WHERE feed = ? AND hour IN ({marks})",  # noqa: S608
            (feed, *hours),
        ).fetchall()
        slots: dict[int, Slot] = {}
        for hour, looks in rows:
            with contextlib.suppress(msgspec.MsgspecError):  # of another version: learned anew
                slots[hour] = _unsealed(looks)
        return slots

    def _keep(self, feeds: frozenset[str]) -> None:
        if self._db is not None:
            known = {str(row[0]) for row in self._db.execute("SELECT DISTINCT feed FROM baseline")}
            gone: list[tuple[object, ...]] = [(feed,) for feed in known - feeds]
            self._write("DELETE FROM baseline WHERE feed = ?", gone)

    def _write(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        if self._db is not None:
            with self._db:
                self._db.executemany(statement, rows)


def _sealed(slot: Slot) -> bytes:
    """Return a slot as bytes with their checksum behind them."""
    raw = _encode(slot)
    return raw + zlib.crc32(raw).to_bytes(4, "big")


def _unsealed(raw: bytes) -> Slot:
    """Return a slot; one without a checksum is of an older program.

    Raises:
        msgspec.MsgspecError: It is not what was written.
    """
    plain, crc = raw[:-4], raw[-4:]
    return _decode(plain if zlib.crc32(plain).to_bytes(4, "big") == crc else raw)
