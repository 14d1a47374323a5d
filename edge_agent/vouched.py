"""A checksum of a whole Parquet file, inside its footer: what page checksums leave out is seen too.

Parquet has checksums of pages, which DuckDB does not look at, and none of its footer, where an
altered bit hides rows or changes a column's name. The footer's metadata has a place of its own for
``tgcrc=`` and eight digits: the CRC32C of the file with eight zeros there. Other readers ignore it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

KEY = b"tidegate.crc"
BLANK = b"tgcrc=00000000"
_PLACE = re.compile(rb"tgcrc=([0-9a-f]{8})")
_DIGITS = 8
_TAIL = 8
_CHUNK = 1 << 20


class Altered(Exception):  # internal: the reader of a file turns it into its own error
    """A file is not what was written."""


def vouch(file: BinaryIO) -> None:
    """Fill in the checksum of a file that was written with `BLANK` under `KEY`.

    Raises:
        OSError: The disk did not take it.
    """
    at, _ = _find(file)
    if at is None:
        raise OSError("the file was written without a place for its checksum")
    file.seek(at)
    file.write(b"%08x" % _crc(file, at))


def check(path: Path) -> bool:
    """Return whether a file says its checksum, which is right; older files do not say one.

    Raises:
        Altered: It is not what was written.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        at, said = _find(file)
        if at is None:
            return False
        if said != _crc(file, at):
            raise Altered("the CRC32C of the file does not match")
        return True


def _find(file: BinaryIO) -> tuple[int | None, int]:
    """Return where the digits stand and what they say."""
    size = file.seek(0, os.SEEK_END)
    if size < 2 * _TAIL:
        raise Altered("the file is cut short")
    file.seek(size - _TAIL)
    tail = file.read(_TAIL)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length > size - 2 * _TAIL:
        raise Altered("the file has no footer")
    file.seek(size - _TAIL - length)
    footer = file.read(length)
    found = _PLACE.search(footer)
    if found is None:
        if KEY in footer:
            raise Altered("its checksum was altered")
        return None, 0
    return size - _TAIL - length + found.start(1), int(found[1], 16)


def _crc(file: BinaryIO, blank: int) -> int:
    """Return the checksum with zeros for the digits that stand at ``blank``."""
    crc, at = 0, 0
    for chunk in _chunks(file):
        low, high = max(blank, at), min(blank + _DIGITS, at + len(chunk))
        plain = chunk
        if low < high:
            plain = chunk[: low - at] + b"0" * (high - low) + chunk[high - at :]
        crc = google_crc32c.extend(crc, plain)
        at += len(chunk)
    return crc


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    place = file.tell()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
    file.seek(place)
