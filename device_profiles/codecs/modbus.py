"""Modbus RTU answers (Modbus over Serial Line 1.02, section 2.5; Application Protocol 1.1b3)."""

from __future__ import annotations

from device_profiles.codecs.checksum import crc16_modbus
from device_profiles.codecs.contract import Values
from device_profiles.codecs.layout import truncated
from device_profiles.codecs.trace import Places, Span
from gateway_core.errors import PayloadError

NAMES = ("addr", "fc", "count")
"""What the frame gives: slave address, function code, bytes of data."""

_READS = (1, 2, 3, 4)


def open_modbus(frame: bytes, *, check: bool = True) -> tuple[bytes, Values]:
    """Return the data of an answer and ``addr``, ``fc``, ``count``.

    Answers to reads (functions 1 to 4) give the bytes after the byte count; others give what
    stands between function code and CRC. Without ``check`` the CRC is not looked at.

    Raises:
        PayloadError: ``truncated``, ``bad_crc``, ``modbus_exception`` or ``bad_length``.
    """
    if len(frame) < 5:
        raise truncated(5, len(frame))
    if check and crc16_modbus(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
        raise PayloadError("bad_crc", "the CRC-16 at the end does not fit")
    addr, function = frame[0], frame[1]
    if function & 0x80:
        raise PayloadError("modbus_exception", f"function {function & 0x7F} code {frame[2]}")
    if function in _READS:
        count, data = frame[2], frame[3:-2]
        if count != len(data):
            raise PayloadError("bad_length", f"byte count {count}, {len(data)} bytes of data")
    else:
        data = frame[2:-2]
        count = len(data)
    return data, {"addr": addr, "fc": function, "count": count}


def modbus_places(frame: bytes) -> Places:
    """Return where the parts of an answer that `open_modbus` took stand in it."""
    first = 3 if frame[1] in _READS else 2
    last = len(frame) - 2
    spans = [
        Span(0, 1, "addr", "field"),
        Span(1, 2, "fc", "field"),
        Span(2, first, "count", "field"),
        Span(last, last + 2, "crc", "check"),
    ]
    return Places([(at, at + 1) for at in range(first, last)], spans)
