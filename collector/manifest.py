"""What a backup says of itself: its files, how far each edge had come, and what is not in it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from collector.config import CollectorConfig
from collector.dedupe import EpochBook
from collector.reception import STATE
from collector.sealing import SealedReader, Secret, is_sealed
from gateway_core.errors import PayloadError
from gateway_core.spool.reader import open_reader

MANIFEST = "manifest.json"
FORMAT = 2
NAMES = ("spool.db", "registry.db", "timeseries.duckdb", "registry.key", "registry.key.pub")
_LOGS = ("spool.db-wal", "registry.db-wal", "timeseries.duckdb.wal")
"""Beside them in format 1, which was copied from a collector that did not run."""
PIECE = 1 << 20
MODE = 0o600

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class File(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: str


class Mark(msgspec.Struct, frozen=True):
    """How far one epoch of one edge had come.

    Attributes:
        edge: The edge.
        epoch: Of its spool.
        high_water: Highest sequence number received.
        stored: Records stored.
        contact: When the newest was committed, nanoseconds since 1970.
    """

    edge: str
    epoch: str
    high_water: int
    stored: int
    contact: int


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says of itself.

    Attributes:
        format: Of the backup.
        files: What is in it.
        created: When the snapshot was taken, nanoseconds since 1970.
        program: Version of the collector.
        head: Last sequence number of its spool.
        timeseries: Kind of the time-series store.
        registry: ``sqlite`` or ``postgresql``.
        marks: How far each edge had come.
        absent: What a collector needs besides, for people.
    """

    format: int
    files: list[File]
    created: int = 0
    program: str = ""
    head: int = 0
    timeseries: str = "embedded"
    registry: str = "sqlite"
    marks: list[Mark] = []
    absent: list[str] = []


def describe(config: CollectorConfig, folder: Path, created: int, program: str) -> Manifest:
    """Return the manifest of a snapshot, without its files.

    Raises:
        Unavailable: The spool's copy cannot be read.
    """
    absent = ["the configuration file, certificates, tokens and passwords that it names"]
    kind = config.timeseries.kind
    if kind != "embedded":
        absent.append(f"the time series of {kind}: back them up with InfluxDB's own tools")
    with open_reader(folder / "spool.db") as spool:
        held = spool.state(STATE)
        head = spool.head
    return Manifest(
        format=FORMAT,
        files=[],
        created=created,
        program=program,
        head=head,
        timeseries=kind,
        registry="sqlite" if config.registry_url.startswith("sqlite:") else "postgresql",
        marks=sorted((_mark(key, data) for key, data in held.items()), key=_order),
        absent=absent,
    )


def unpack(source: Path, secret: Secret | None, into: Path, progress: Progress) -> Manifest:
    """Put every file of a backup into a folder; every byte is checked; blocks.

    Args:
        source: The backup.
        secret: What it was sealed with; None for one that was not.
        into: An empty folder.
        progress: Is told bytes done and in all.

    Raises:
        PayloadError: ``bad_backup`` or ``wrong_key``.
        OSError: A disk does not allow it.
    """
    whole = source.stat().st_size
    found: list[File] = []
    manifest: Manifest | None = None
    with source.open("rb") as raw:
        sealed = is_sealed(raw)
        if sealed and secret is None:
            detail = "it is sealed: name --passphrase-file or --key-file"
            raise PayloadError("wrong_key", detail)
        opened = SealedReader(raw, secret) if sealed and secret is not None else raw
        try:
            with tarfile.open(fileobj=cast("Any", opened), mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member)
                    if content is None or member.name not in (*NAMES, *_LOGS, MANIFEST):
                        detail = f"{member.name!r} does not belong in a backup"
                        raise PayloadError("bad_backup", detail)
                    if member.name == MANIFEST:
                        manifest = _decoded(content.read(64 * PIECE))
                        continue
                    digest = _copied(cast("BinaryIO", content), into / member.name)
                    found.append(File(member.name, member.size, digest))
                    progress(min(raw.tell(), whole), whole)
                while opened.read(PIECE):  # whatever follows the archive is authenticated too
                    pass
        except tarfile.TarError as exc:
            raise PayloadError("bad_backup", f"not a backup of a collector: {exc}") from exc
    if manifest is None or sorted(manifest.files, key=_name) != sorted(found, key=_name):
        raise PayloadError("bad_backup", "the files are not what its manifest says")
    progress(whole, whole)
    return manifest


def _decoded(data: bytes) -> Manifest:
    try:
        shape = msgspec.json.decode(data, type=dict[str, Any])
        found = shape.get("format")
        if found not in (1, FORMAT):
            detail = f"it has format {found}, this program reads up to {FORMAT}: use a newer one"
            raise PayloadError("bad_backup", detail)
        return msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_backup", f"manifest: {exc}") from exc


def _copied(content: BinaryIO, to: Path) -> str:
    """Copy to a file and onto the disk; return the hash of what was copied."""
    digest = hashlib.sha256()
    to.touch(MODE)
    with to.open("wb") as out:
        while chunk := content.read(PIECE):
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def _mark(key: str, data: bytes) -> Mark:
    _, edge, epoch = key.split("/")
    try:
        book = EpochBook.decode(data)
    except ValueError:  # altered on a bad disk: the collector begins it anew, when it starts
        book = EpochBook()
    return Mark(edge, epoch, book.high_water, book.stored, book.contact)


def _order(mark: Mark) -> tuple[str, int]:
    return mark.edge, mark.contact


def _name(file: File) -> str:
    return file.name
