"""JT/T 808 frames: escaping, check byte and the headers of the 2013 and 2019 editions."""

from __future__ import annotations

import re

from device_profiles.codecs.checksum import xor8
from device_profiles.codecs.contract import Values
from device_profiles.codecs.layout import truncated
from device_profiles.codecs.trace import Places, Span
from gateway_core.errors import PayloadError

NAMES = ("msg_id", "phone", "seq", "version")
"""What the frame gives: message id, terminal's number (digits), serial number, edition byte."""

_STRAY = re.compile(rb"\x7d(?![\x01\x02])|\x7e")
_LENGTH, _ENCRYPTED, _SPLIT, _VERSIONED = 0x03FF, 0x1C00, 0x2000, 0x4000


def open_jt808(frame: bytes) -> tuple[bytes, Values]:
    """Return the body of one message and ``msg_id``, ``phone``, ``seq``, ``version``.

    ``version`` is 0 for the 2013 edition, else the 2019 header's protocol version.

    Raises:
        PayloadError: ``bad_frame`` (flags, escapes), ``truncated``, ``bad_checksum``,
            ``fragmented`` (a part of a longer message), ``not_applicable`` (encrypted body) or
            ``bad_length``.
    """
    if len(frame) < 2 or frame[0] != 0x7E or frame[-1] != 0x7E:
        raise PayloadError("bad_frame", "no 7E at both ends")
    inner = frame[1:-1]
    if _STRAY.search(inner):
        raise PayloadError("bad_frame", "a 7E or 7D inside that is not escaped")
    inner = _unescaped(inner)
    if len(inner) < 13:
        raise truncated(13, len(inner))
    if xor8(inner[:-1]) != inner[-1]:
        raise PayloadError("bad_checksum", "the check byte does not fit")
    return _parted(inner[:-1])


def _unescaped(inner: bytes) -> bytes:
    return inner.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def _parted(message: bytes) -> tuple[bytes, Values]:
    """Split header and body of a message whose check byte was right."""
    properties = int.from_bytes(message[2:4], "big")
    versioned = bool(properties & _VERSIONED)
    start = 5 if versioned else 4
    phone_end = start + (10 if versioned else 6)
    body_start = phone_end + 2
    if properties & _SPLIT:
        raise PayloadError("fragmented", "one part of a longer message")
    if properties & _ENCRYPTED:
        raise PayloadError("not_applicable", "the body is encrypted")
    if len(message) < body_start:
        raise truncated(body_start, len(message))
    body = message[body_start:]
    if len(body) != properties & _LENGTH:
        raise PayloadError("bad_length", f"{properties & _LENGTH} announced, {len(body)} there")
    return body, {
        "msg_id": int.from_bytes(message[:2], "big"),
        "phone": message[start:phone_end].hex(),
        "seq": int.from_bytes(message[phone_end:body_start], "big"),
        "version": message[4] if versioned else 0,
    }


def jt808_places(frame: bytes) -> Places:
    """Return where the parts of a frame that `open_jt808` took stand in it, escapes included."""
    at: list[tuple[int, int]] = []
    position = 1
    while position < len(frame) - 1:
        after = position + (2 if frame[position] == 0x7D else 1)
        at.append((position, after))
        position = after
    properties = int.from_bytes(_unescaped(frame[1:-1])[2:4], "big")
    start = 5 if properties & _VERSIONED else 4
    phone_end = start + (10 if properties & _VERSIONED else 6)

    def span(first: int, last: int, name: str) -> Span:
        return Span(at[first][0], at[last - 1][1], name, "field")

    spans = [
        Span(0, 1, "start", "mark"),
        span(0, 2, "msg_id"),
        span(2, 4, "properties"),
        *([span(4, 5, "version")] if start == 5 else []),
        span(start, phone_end, "phone"),
        span(phone_end, phone_end + 2, "seq"),
        Span(*at[-1], "checksum", "check"),
        Span(len(frame) - 1, len(frame), "end", "mark"),
    ]
    return Places(at[phone_end + 2 : -1], spans)
