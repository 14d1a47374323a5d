"""Put a collector's data into one sealed file, while it runs or not, and read it back.

The file takes its name only after it was opened again, every byte authenticated and every database
in it read from end to end.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from collector.config import CollectorConfig
from collector.control import ask_snapshot
from collector.manifest import MANIFEST, MODE, NAMES, File, Manifest, Progress, describe, unpack
from collector.registry.copying import check_copy
from collector.sealing import SealedWriter, Secret
from collector.snapshot import WORK, clear, stopped
from collector.timeseries.copying import check_store
from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import ConfigError, Fault, GatewayError, Unavailable
from gateway_core.folder import sync_folder
from gateway_core.spool.copying import check_whole

Stage = Callable[[str], Progress]
"""Begins a stage of the work, by its name; returns who is told how far it is."""


async def backup(
    config: CollectorConfig,
    target: Path,
    secret: Secret | None,
    stage: Stage,
    clock: Clock = wall_ns,
) -> Manifest:
    """Write a backup to `target` and return what is in it.

    Args:
        config: Of the collector.
        target: The file; it must not exist.
        secret: What it is sealed with; None: it is not.
        stage: Is told of each stage: ``copying``, ``sealing``, ``opening``.
        clock: The wall clock.

    Raises:
        ConfigError: There is no collector's data, or `target` exists.
        Unavailable: A disk or a database does not allow it, or what was written does not open.
    """
    if await asyncio.to_thread(target.exists):
        raise ConfigError(Fault(target, 0, 0, "", "exists already; a backup overwrites nothing"))
    created = clock()
    data = config.collector.data_dir
    folder = await ask_snapshot(data, stage("copying")) if data.is_dir() else None
    if folder is None:
        async with stopped(config) as snapshots:
            folder = await snapshots.take(stage("copying"))
            return await asyncio.to_thread(_finish, config, folder, target, secret, stage, created)
    return await asyncio.to_thread(_finish, config, folder, target, secret, stage, created)


def check_files(folder: Path, names: list[str]) -> None:
    """Open every database of an unpacked backup and read it from end to end; blocks.

    Raises:
        ConfigError: A newer program wrote it.
        Unavailable: It is not whole.
    """
    check_whole(folder / "spool.db")
    if "registry.db" in names:
        check_copy(folder / "registry.db")
    if "timeseries.duckdb" in names:
        check_store(folder / "timeseries.duckdb")


def _finish(
    config: CollectorConfig,
    folder: Path,
    target: Path,
    secret: Secret | None,
    stage: Stage,
    created: int,
) -> Manifest:
    part = target.with_name(target.name + ".part")
    try:
        about = describe(config, folder, created, version("tidegate"))
        _pack(folder, about, part, secret, stage("sealing"))
        clear(folder)
        folder.mkdir(mode=0o700)
        found = unpack(part, secret, folder, stage("opening"))
        check_files(folder, [each.name for each in found.files])
        part.rename(target)
        sync_folder(target.parent)
    except OSError as exc:
        raise Unavailable(f"cannot write {target}: {exc}") from exc
    except GatewayError as exc:
        raise Unavailable(f"no backup was made: {exc}") from exc
    else:
        return found
    finally:
        part.unlink(missing_ok=True)
        clear(config.collector.data_dir / WORK)


def _pack(
    folder: Path, about: Manifest, part: Path, secret: Secret | None, progress: Progress
) -> None:
    there = [folder / name for name in NAMES if (folder / name).exists()]
    whole = sum(path.stat().st_size for path in there)
    files, done = [], 0
    part.touch(MODE)
    with part.open("wb") as raw:
        out = SealedWriter(raw, secret) if secret is not None else raw
        with tarfile.open(fileobj=cast("Any", out), mode="w|") as tar:
            for path in there:
                member = tarfile.TarInfo(path.name)
                member.size, member.mode = path.stat().st_size, MODE

                def more(count: int) -> None:
                    nonlocal done
                    done += count
                    progress(done, whole)

                with path.open("rb") as file:
                    reader = _Hashing(file, more)
                    tar.addfile(member, reader)
                files.append(File(path.name, member.size, reader.hash.hexdigest()))
            last = msgspec.json.encode(msgspec.structs.replace(about, files=files))
            member = tarfile.TarInfo(MANIFEST)
            member.size = len(last)
            tar.addfile(member, io.BytesIO(last))
        if isinstance(out, SealedWriter):
            out.finish()
        raw.flush()
        os.fsync(raw.fileno())


class _Hashing(io.RawIOBase):
    """A reader that hashes what is read from it."""

    def __init__(self, file: BinaryIO, more: Callable[[int], None]) -> None:
        self._file = file
        self._more = more
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read and hash."""
        data = self._file.read(size)
        self.hash.update(data)
        self._more(len(data))
        return data
