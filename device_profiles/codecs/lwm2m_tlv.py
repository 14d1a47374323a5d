"""LwM2M-TLV (OMA LwM2M TS Core 1.1, section 7.4.3): identifiers, lengths and values as bytes.

A type byte says what follows: bits 7 and 6 what the identifier is of, bit 5 whether it has 16 bits,
bits 4 and 3 how many bytes the length has, bits 2 to 0 the length where it has none.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from gateway_core.errors import PayloadError

INSTANCE, RESOURCE_INSTANCE, MULTIPLE, RESOURCE = 0, 1, 2, 3
"""What an identifier is of: object instance, resource instance, multiple resource, resource."""

MAX_ENTRIES = 10_000

_INTEGERS = {1: ">b", 2: ">h", 4: ">i", 8: ">q"}
_FLOATS = {4: ">f", 8: ">d"}
NULL_ID = 65_535


def entries(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, identifier and value of each entry.

    Raises:
        PayloadError: ``truncated`` or ``too_many_points``.
    """
    at, count = 0, 0
    while at < len(data):
        count += 1
        if count > MAX_ENTRIES:
            raise PayloadError("too_many_points", f"more than {MAX_ENTRIES} entries")
        head = data[at]
        wide = 2 if head & 0x20 else 1
        sized = (head >> 3) & 3
        start = at + 1 + wide + sized
        if start > len(data):
            raise PayloadError("truncated", "an entry ends within its header")
        identifier = int.from_bytes(data[at + 1 : at + 1 + wide])
        length = int.from_bytes(data[at + 1 + wide : start]) if sized else head & 7
        if start + length > len(data):
            raise PayloadError("truncated", "an entry ends within its value")
        yield head >> 6, identifier, data[start : start + length]
        at = start + length


def value_of(raw: bytes, kind: str | None) -> float | str | bool | None:
    """Return a value as its type; hexadecimal text where it is opaque, not known or does not fit.

    Text is flagged where a number was expected, so that nothing is guessed.
    """
    if kind in ("integer", "time") and len(raw) in _INTEGERS:
        found: int = struct.unpack(_INTEGERS[len(raw)], raw)[0]
        return found
    if kind == "unsigned" and len(raw) in _INTEGERS:
        return int.from_bytes(raw)
    if kind == "float" and len(raw) in _FLOATS:
        number: float = struct.unpack(_FLOATS[len(raw)], raw)[0]
        return number if len(raw) == 8 or not math.isfinite(number) else _shortest(number)
    if kind == "boolean" and raw in (b"\0", b"\1"):
        return raw == b"\1"
    if kind == "string":
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.hex()
    if kind == "objlnk" and len(raw) == 4:
        return f"{int.from_bytes(raw[:2])}:{int.from_bytes(raw[2:])}"
    return raw.hex()


def _shortest(number: float) -> float:
    """Return the shortest decimal that is this number of 32 bits, as 21.1 and not 21.100000381."""
    for digits in range(6, 9):
        short = float(f"{number:.{digits}g}")
        if struct.unpack(">f", struct.pack(">f", short))[0] == number:
            return short
    return number
