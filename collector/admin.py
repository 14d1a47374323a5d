"""Put a stopped collector's data into one file, and take it out again.

Offline on purpose: spool, registry and embedded time series are then of the same instant. A
registry in PostgreSQL and an InfluxDB are backed up with their own tools. After a restore, what
edges sent since the backup is missing: `collector edges` shows the gaps, and the edges still hold
the records until their retention ends.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from collector.agent import SPOOL_FILE
from collector.config import CollectorConfig
from collector.profiles.desk import KEY_FILE
from collector.timeseries.store import EMBEDDED_FILE
from gateway_core.errors import ConfigError, Fault, PayloadError, Unavailable
from gateway_core.spool.opening import locked

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20
_MODE = 0o600
_SQLITE = "sqlite:///"

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class _File(msgspec.Struct, frozen=True):
    name: str
    size: int
    sha256: str


class _Manifest(msgspec.Struct, frozen=True):
    format: int
    files: list[_File]


def backup(config: CollectorConfig, target: Path, progress: Progress | None = None) -> list[str]:
    """Write the data of a stopped collector to `target`, a tar file; return what is in it.

    Raises:
        ConfigError: The collector is running or has no data, or `target` exists.
        Unavailable: A disk does not allow it.
    """
    if target.exists():
        raise ConfigError(Fault(target, 0, 0, "", "exists already; a backup overwrites nothing"))
    part = target.with_name(target.name + ".part")
    try:
        with locked(config.collector.data_dir / SPOOL_FILE):
            there = {name: path for name, path in _places(config).items() if path.exists()}
            if SPOOL_FILE not in there:
                message = "holds no collector's data; is this its configuration?"
                raise ConfigError(Fault(config.collector.data_dir, 0, 0, "", message))
            _pack(there, part, progress)
            part.rename(target)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise Unavailable(f"cannot write {target}: {exc}") from exc
    return sorted(there)


def restore(config: CollectorConfig, source: Path, progress: Progress | None = None) -> list[str]:
    """Take a backup's data into place of a collector that has none; return what was in it.

    Every byte is checked before anything is put in place.

    Raises:
        ConfigError: The collector runs or has data already.
        PayloadError: ``bad_backup``: the file is not a whole backup.
        Unavailable: A disk does not allow it.
    """
    places = _places(config)
    taken = next((path for path in places.values() if path.exists()), None)
    if taken is not None:
        message = "exists already; restore into a collector that has no data"
        raise ConfigError(Fault(taken, 0, 0, "", message))
    spares = {name: path.with_name(path.name + ".restoring") for name, path in places.items()}
    try:
        with locked(config.collector.data_dir / SPOOL_FILE):
            found = _unpack(source, spares, progress)
            for name in found:
                spares[name].rename(places[name])
    except OSError as exc:
        raise Unavailable(f"cannot restore {source}: {exc}") from exc
    except tarfile.TarError as exc:
        raise PayloadError("bad_backup", f"{source}: {exc}") from exc
    finally:
        for spare in spares.values():
            spare.unlink(missing_ok=True)
    return sorted(found)


def _places(config: CollectorConfig) -> dict[str, Path]:
    """Return every file that a backup can hold, by its name there; logs go with their file."""
    data = config.collector.data_dir
    places = {"spool.db": data / SPOOL_FILE, "timeseries.duckdb": data / EMBEDDED_FILE}
    if config.registry_url.startswith(_SQLITE):
        places["registry.db"] = Path(config.registry_url.removeprefix(_SQLITE))
    for name in (KEY_FILE, f"{KEY_FILE}.pub"):  # edges know the registry by it
        places[name] = data / name
    logs = {"spool.db": "-wal", "registry.db": "-wal", "timeseries.duckdb": ".wal"}
    for name, log in logs.items():
        if name in places:
            places[name + log] = places[name].with_name(places[name].name + log)
    return places


def _pack(there: dict[str, Path], part: Path, progress: Progress | None) -> None:
    whole = sum(path.stat().st_size for path in there.values())
    files, done = [], 0
    part.touch()
    part.chmod(_MODE)  # it holds a key
    with part.open("wb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        for name, path in there.items():
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = _MODE
            with path.open("rb") as file:
                reader = _Hashing(file)
                tar.addfile(member, reader)
            files.append(_File(name, member.size, reader.hash.hexdigest()))
            done += member.size
            if progress is not None:
                progress(done, whole)
        manifest = msgspec.json.encode(_Manifest(FORMAT, files))
        last = tarfile.TarInfo(MANIFEST)
        last.size = len(manifest)
        tar.addfile(last, io.BytesIO(manifest))
        raw.flush()
        os.fsync(raw.fileno())


def _unpack(source: Path, spares: dict[str, Path], progress: Progress | None) -> list[str]:
    found: dict[str, _File] = {}
    manifest: _Manifest | None = None
    whole, done = source.stat().st_size, 0
    with tarfile.open(source) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is None or (member.name != MANIFEST and member.name not in spares):
                raise PayloadError("bad_backup", f"{member.name!r} does not belong in a backup")
            if member.name == MANIFEST:
                manifest = _read_manifest(content.read(_CHUNK))
                continue
            found[member.name] = _File(
                member.name, member.size, _copy(content, spares[member.name])
            )
            done += member.size
            if progress is not None:
                progress(done, whole)
    if manifest is None or sorted(manifest.files, key=_name) != sorted(found.values(), key=_name):
        raise PayloadError("bad_backup", "the files are not what the manifest says")
    return list(found)


def _read_manifest(data: bytes) -> _Manifest:
    try:
        manifest = msgspec.json.decode(data, type=_Manifest)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_backup", f"manifest: {exc}") from exc
    if manifest.format != FORMAT:
        raise PayloadError("bad_backup", f"format {manifest.format}; this program reads {FORMAT}")
    return manifest


def _copy(content: object, to: Path) -> str:
    """Copy to `to` and onto the disk; return the hash of what was copied."""
    digest = hashlib.sha256()
    to.parent.mkdir(parents=True, exist_ok=True)
    to.touch()
    to.chmod(_MODE)
    with to.open("wb") as out:
        while chunk := content.read(_CHUNK):  # type: ignore[attr-defined]
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _name(file: _File) -> str:
    return file.name


class _Hashing(io.RawIOBase):
    """A reader that hashes what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read and hash."""
        data = self._file.read(size)
        self.hash.update(data)
        return data
