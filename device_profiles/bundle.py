"""A bundle: one version of a profile as bytes, with the files that it names.

The bytes are canonical: the same files give the same bytes everywhere, so that their SHA-256
names the version. On disk a bundle is a folder called by that digest
(docs/reference/formats/profile-life.md).
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from gateway_core.config import YamlDocument, read_yaml
from gateway_core.errors import ConfigError, Fault, PayloadError
from gateway_core.folder import sync_folder

MAGIC = b"TGPB\x01"
"""First bytes of a bundle; the last of them is the version."""
CONTENT_TYPE = "application/vnd.tidegate.profile-bundle"
PROFILE = "profile.yaml"
"""What the profile itself is called in every bundle."""
MAX_BYTES = 8 << 20
"""Most bytes of a bundle."""
MAX_FILES = 32
MAX_FILE_BYTES = 1 << 20
"""Most bytes of one file, the profile or a codec."""
MAX_NAME = 255
MAX_DEPTH = 8
"""Folders and name of a file, at most."""

_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING")
_DIGEST = re.compile(r"[0-9a-f]{64}")

_Files = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one version of a profile.

    Attributes:
        files: Name to bytes; a name has ``/`` between folders and `PROFILE` is one of them.
    """

    files: Mapping[str, bytes]

    @property
    def text(self) -> str:
        """The profile itself; what is not UTF-8 in it is marked as such."""
        return self.files[PROFILE].decode("utf-8-sig", "replace")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hexadecimal."""
        return digest_of(self.encode())

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return MAGIC + msgspec.msgpack.encode(sorted(self.files.items()))


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a bundle's bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def pack(path: Path) -> Bundle:
    """Return the bundle of a profile file: it, the files it names, and a licence beside it.

    Raises:
        ConfigError: A file cannot be read, leaves the profile's folder or is too large.
    """
    return pack_document(read_yaml(path), path)


def pack_document(document: YamlDocument, path: Path) -> Bundle:
    """Return the bundle of a profile that was read from a file; as `pack`."""
    files = {PROFILE: document.text.encode()}
    for place, name in named_files(document.data):
        try:
            check_name(name)
            files[name] = _read(path.parent, name)
        except PayloadError as exc:
            raise ConfigError(document.fault(place, exc.detail)) from exc
    for name in _LICENCES:
        if (path.parent / name).is_file():
            files[name] = _read(path.parent, name)
    try:
        check_files(files)
    except PayloadError as exc:
        raise ConfigError(Fault(path, 0, 0, "", exc.detail)) from exc
    return Bundle(files)


def pack_text(text: str) -> Bundle:
    """Return the bundle of a profile that names no other file."""
    return Bundle({PROFILE: text.encode()})


def decode_bundle(data: bytes) -> Bundle:
    """Read a bundle's bytes.

    Raises:
        PayloadError: ``bad_bundle``: not canonical, too large, or a name that leads outside.
    """
    if len(data) > MAX_BYTES:
        raise PayloadError("bad_bundle", f"larger than {MAX_BYTES} bytes")
    if data[: len(MAGIC)] != MAGIC:
        raise PayloadError("bad_bundle", "these are not the bytes of a profile bundle, version 1")
    try:
        pairs = msgspec.msgpack.decode(data[len(MAGIC) :], type=_Files)
    except msgspec.MsgspecError as exc:
        raise PayloadError("bad_bundle", f"it does not hold names and bytes: {exc}") from exc
    bundle = Bundle(dict(pairs))
    check_files(bundle.files)
    if bundle.encode() != data:
        raise PayloadError("bad_bundle", "the same files have other bytes: sort them, each once")
    return bundle


def named_files(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield place and name of each file a profile names: a mapping with ``file`` and ``sha256``.

    Args:
        value: The profile's document, or a part of it.
        path: Where that part stands.
    """
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from named_files(item, (*path, index))
    if isinstance(value, dict):
        if isinstance(value.get("file"), str) and "sha256" in value:
            yield (*path, "file"), str(PurePosixPath(value["file"]))
        for key, item in value.items():
            yield from named_files(item, (*path, str(key)))


def check_files(files: Mapping[str, bytes]) -> None:
    """Refuse what no bundle may hold.

    Raises:
        PayloadError: ``bad_bundle``.
    """
    if PROFILE not in files:
        raise PayloadError("bad_bundle", f"it holds no {PROFILE}")
    if len(files) > MAX_FILES:
        raise PayloadError("bad_bundle", f"more than {MAX_FILES} files")
    lower: dict[str, str] = {}
    for name, data in files.items():
        check_name(name)
        if len(data) > MAX_FILE_BYTES:
            raise PayloadError("bad_bundle", f"{name} is larger than {MAX_FILE_BYTES} bytes")
        if lower.setdefault(name.casefold(), name) != name:
            raise PayloadError("bad_bundle", f"{name} and {lower[name.casefold()]} are one name")
    if sum(map(len, files.values())) > MAX_BYTES - MAX_FILES * (MAX_NAME * 4 + 16):
        raise PayloadError("bad_bundle", f"larger than {MAX_BYTES} bytes")
    for name in files:
        if any(str(parent) in files for parent in PurePosixPath(name).parents):
            raise PayloadError("bad_bundle", f"{name} stands in a file")


def check_name(name: str) -> None:
    """Refuse a file's name that could lead out of the bundle's folder.

    Raises:
        PayloadError: ``bad_bundle``.
    """
    parts = name.split("/")
    plain = all(part not in ("", ".", "..") for part in parts) and name.isprintable()
    if not plain or len(name) > MAX_NAME or len(parts) > MAX_DEPTH or set(name) & set('\\:*?"<>|'):
        raise PayloadError(
            "bad_bundle", f"{name[:80]!r} leaves the profile's folder or is no plain name"
        )


def unpack(data: bytes, into: Path) -> Path:
    """Write a bundle below ``into`` and return its folder, called by its digest; whole or not.

    A folder that is there and whole stays; one that is damaged is replaced.

    Raises:
        PayloadError: ``bad_bundle``: not a bundle's bytes.
        OSError: The disk does not allow it.
    """
    bundle, digest = decode_bundle(data), digest_of(data)
    target = into / digest
    if _is_whole(target):
        return target
    into.mkdir(parents=True, exist_ok=True)
    part = into / f".{digest[:16]}-{secrets.token_hex(4)}"
    try:
        for name, content in bundle.files.items():
            _write(part / name, content)
        if target.exists():
            target.rename(part / f".damaged-{digest[:16]}")
            shutil.rmtree(part / f".damaged-{digest[:16]}")
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    sync_folder(into)
    return target


def open_unpacked(into: Path, digest: str) -> Path:
    """Return the profile's file of a bundle that was unpacked, every byte checked.

    Raises:
        PayloadError: ``no_bundle``: it is not there. ``bad_bundle``: it is damaged.
    """
    folder = into / digest
    if not _DIGEST.fullmatch(digest) or not folder.is_dir():
        raise PayloadError("no_bundle", f"{digest[:64]} is not in {into}")
    if not _is_whole(folder):
        raise PayloadError("bad_bundle", f"{folder} is damaged: its bytes have another digest")
    return folder / PROFILE


def _is_whole(folder: Path) -> bool:
    try:
        files = {}
        for count, path in enumerate(_walk(folder)):
            if count > MAX_FILES or path.is_symlink() or path.stat().st_size > MAX_FILE_BYTES:
                return False
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
        check_files(files)
    except (OSError, PayloadError):
        return False
    return Bundle(files).digest == folder.name


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _read(folder: Path, name: str) -> bytes:
    file = folder / name
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise PayloadError("bad_bundle", f"{name!r} leads out of the profile's folder")
        with file.open("rb") as handle:
            return handle.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise PayloadError("bad_bundle", f"{file} cannot be read: {exc.strerror}") from exc


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
