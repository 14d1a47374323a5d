"""A codec's file: found beside its profile, and the very bytes that the profile pins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from device_profiles.codecs import SpecError

LARGEST = 1 << 20
"""Bytes that a codec may have."""

TIME_MS = 50
"""CPU time of one message, unless the profile says otherwise."""

MEMORY_MB = 16
"""Memory of one codec, unless the profile says otherwise."""

NONE = "{}"
"""Variables of a codec that was given none."""

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A codec as it is run; equal ones share a context.

    Attributes:
        digest: SHA-256 of the file's bytes, hexadecimal.
        text: JavaScript.
        time_ms: CPU time of one message.
        memory_mb: Memory of its context.
        fresh: Whether every message gets a context of its own.
        variables: JSON object that the codec sees as ``variables``.
    """

    digest: str
    text: str
    time_ms: int = TIME_MS
    memory_mb: int = MEMORY_MB
    fresh: bool = False
    variables: str = NONE


def read_source(spec: Mapping[str, Any], path: Place, folder: Path | None) -> Source:
    """Read the file that a ``js`` step names.

    Args:
        spec: The step, checked against the schema.
        path: Where it stands, for errors.
        folder: Of the profile; None where the profile is a text without a place.

    Raises:
        SpecError: No such file, outside the folder, too large, or other bytes than pinned.
    """
    name = spec["file"]
    pure = PurePosixPath(name)
    if folder is None:
        raise SpecError((*path, "file"), "a profile that is no file has no codec beside it")
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name:
        raise SpecError((*path, "file"), f"{name!r} leaves the profile's folder")
    file = folder / name
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise SpecError((*path, "file"), f"{name!r} leads out of the profile's folder")
        with file.open("rb") as handle:
            raw = handle.read(LARGEST + 1)
    except OSError as exc:
        raise SpecError((*path, "file"), f"{file} cannot be read: {exc.strerror}") from exc
    if len(raw) > LARGEST:
        raise SpecError((*path, "file"), f"{file} is larger than {LARGEST} bytes")
    digest = hashlib.sha256(raw).hexdigest()
    if digest != spec["sha256"]:
        message = f"{file} is not the file that was pinned: expected {spec['sha256']}"
        raise SpecError((*path, "sha256"), f"{message}, found {digest}")
    return replace(
        source_of(raw),
        time_ms=spec.get("time_ms", TIME_MS),
        memory_mb=spec.get("memory_mb", MEMORY_MB),
        fresh=spec.get("fresh", False),
        variables=json.dumps(spec.get("variables", {})),
    )


def source_of(raw: bytes) -> Source:
    """Return a codec of a file's bytes: a byte-order mark is left out, stray bytes are replaced."""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    return Source(hashlib.sha256(raw).hexdigest(), text)
