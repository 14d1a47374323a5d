"""A snapshot: spool, registry and embedded time series of one instant, copied to a folder.

While the collector runs, sinks are held for the moment that it takes to begin (a `Lull`), edges are
not. The stores are seen first and the spool last, so that a store never holds a record that the
spool's copy lacks; what a sink had not settled comes again after a restore and changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from collector.config import CollectorConfig
from collector.lull import Lull
from collector.profiles.desk import KEY_FILE
from collector.query import TimeSeries
from collector.registry.copying import RegistryCopy
from collector.timeseries.copying import StoreCopy
from collector.timeseries.store import EMBEDDED_FILE, open_timeseries
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.spool.copying import SpoolCopy
from gateway_core.spool.opening import locked

SPOOL_FILE = "spool.db"
WORK = "backup.work"
"""Below the data folder: copies that are being packed. Whatever is found there is old."""
_SPARE = 64 << 20

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class Copy(Protocol):
    """One file of a snapshot, begun.

    Attributes:
        name: Of the file.
        size: About how long it will be.
    """

    name: str
    size: int

    def write(self, target: Path, progress: Callable[[int], None]) -> None:
        """Write it; blocks."""

    def close(self) -> None:
        """Let go of the instant."""


@runtime_checkable
class Copyable(Protocol):
    """A time-series store whose file is ours to copy."""

    async def begin_copy(self) -> StoreCopy:
        """Return the store as of now."""


class Snapshots:
    """Takes snapshots of a collector's data.

    Args:
        config: Of the collector.
        store: The open time-series store; None where it is not ours to copy.
        lull: Of the sinks; one that nobody uses when none runs.
    """

    def __init__(self, config: CollectorConfig, store: TimeSeries | None, lull: Lull) -> None:
        self._config = config
        self._store = store
        self._lull = lull
        self._turn = asyncio.Lock()

    async def take(self, progress: Progress) -> Path:
        """Copy everything into a new folder below the data folder; return it.

        Raises:
            Unavailable: A store is busy, another snapshot is being taken, or a disk is full.
        """
        if self._turn.locked():
            raise Unavailable("another snapshot is being taken; try again later")
        async with self._turn:
            folder = self._config.collector.data_dir / WORK
            await asyncio.to_thread(clear, folder)
            copies = await self._begin()
            try:
                await asyncio.to_thread(self._write, copies, folder, progress)
            except BaseException:
                await asyncio.to_thread(clear, folder)
                raise
            finally:
                for each in copies:
                    await asyncio.to_thread(each.close)
        return folder

    async def _begin(self) -> list[Copy]:
        copies: list[Copy] = []
        store: object = self._store
        try:
            async with self._lull.held():
                if isinstance(store, Copyable):
                    copies.append(await store.begin_copy())
                copies.append(await asyncio.to_thread(RegistryCopy, self._config.registry_url))
                spool = self._config.collector.data_dir / SPOOL_FILE
                copies.append(await asyncio.to_thread(SpoolCopy, spool))
        except BaseException:
            for each in copies:
                each.close()
            raise
        else:
            return copies

    def _write(self, copies: Sequence[Copy], folder: Path, progress: Progress) -> None:
        whole, done = sum(each.size for each in copies), 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            progress(min(done, whole), whole)

        try:
            folder.mkdir(mode=0o700)
            free = shutil.disk_usage(folder).free
            if free < whole + _SPARE:
                raise Unavailable(
                    f"{folder}: the copies need {whole + _SPARE} bytes, {free} are free"
                )
            for each in copies:
                each.write(folder / each.name, more)
            for name in (KEY_FILE, f"{KEY_FILE}.pub"):
                kept = self._config.collector.data_dir / name
                if kept.exists():
                    shutil.copy2(kept, folder / name)
        except OSError as exc:
            raise Unavailable(f"cannot copy into {folder}: {exc}") from exc


@contextlib.asynccontextmanager
async def stopped(config: CollectorConfig) -> AsyncIterator[Snapshots]:
    """Give the snapshots of a collector that does not run, and keep it from starting.

    Raises:
        ConfigError: It runs, or there is no data.
        Unavailable: A file cannot be opened.
    """
    data = config.collector.data_dir
    if not (data / SPOOL_FILE).exists():
        message = "holds no collector's data; is this its configuration?"
        raise ConfigError(Fault(data, 0, 0, "", message))
    with locked(data / SPOOL_FILE):
        if config.timeseries.kind != "embedded":
            yield Snapshots(config, None, Lull())
            return
        if not (data / EMBEDDED_FILE).exists():
            raise ConfigError(Fault(data / EMBEDDED_FILE, 0, 0, "", "is gone; was it moved?"))
        async with open_timeseries(config) as store:
            yield Snapshots(config, store, Lull())


def clear(folder: Path) -> None:
    """Remove a folder of copies, whatever is in it; nothing where there is none.

    Raises:
        Unavailable: The disk does not allow it.
    """
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as exc:
        raise Unavailable(f"cannot remove {folder}: {exc}") from exc
