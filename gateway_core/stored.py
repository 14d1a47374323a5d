"""Small values that are stored in the spool's state: read whatever a bad disk made of them.

A struct that ends with ``crc: int = 0`` is `sealed` as it is stored and `check`ed as it is read, so
that an altered value is noticed and not believed. Older programs pass over the last element of an
array; an older program's value has none and is taken as it is.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

_UINT32 = b"\xce"


def sealed(raw: bytes) -> bytes:
    """Return the MessagePack array of a struct whose last element is 0 with its checksum there."""
    body = raw[:-1]
    return body + _UINT32 + zlib.crc32(body).to_bytes(4, "big")


def check(raw: bytes, crc: int) -> None:
    """See that a value is as `sealed` made it; ``crc`` is its last element.

    Raises:
        ValueError: It is not.
    """
    if crc and (raw[-5:-4] != _UINT32 or zlib.crc32(raw[:-5]) != crc):
        raise ValueError("the CRC32 does not match")


def read(key: str, raw: bytes | None, decode: Callable[[bytes], T]) -> T | None:
    """Return a stored value; None where there is none, or none that can be read (logged)."""
    if raw is None:
        return None
    try:
        return decode(raw)
    except (ValueError, TypeError, KeyError) as exc:  # msgspec's errors are ValueErrors
        log.error("state_unread", key=key, why=str(exc))  # noqa: TRY400 - a bad disk, not a bug
        return None
