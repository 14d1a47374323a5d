"""JT/T 808 frames: escaping, check byte and the headers of the 2013 and 2019 editions."""

from __future__ import annotations

import re

from device_profiles.codecs.checksum import xor8
from device_profiles.codecs.contract import Values
from device_profiles.codecs.fragments import Part
from device_profiles.codecs.layout import truncated
from device_profiles.codecs.trace import Places, Span
from gateway_core.errors import PayloadError

NAMES = ("msg_id", "phone", "seq", "version")
"""What the frame gives: message id, terminal's number (digits), serial number, edition byte."""

_STRAY = re.compile(rb"\x7d(?![\x01\x02])|\x7e")
_LENGTH, _ENCRYPTED, _SPLIT, _VERSIONED = 0x03FF, 0x1C00, 0x2000, 0x4000


def open_jt808(frame: bytes, *, check: bool = True) -> tuple[bytes, Values]:
    """Return the body of one message and ``msg_id``, ``phone``, ``seq``, ``version``.

    ``version`` is 0 for the 2013 edition, else the 2019 header's protocol version.

    One part of a longer message has ``parts`` (how many) and ``part`` (which, from 1) as well.
    Without ``check`` the check byte is not looked at.

    Raises:
        PayloadError: ``bad_frame`` (flags, escapes), ``truncated``, ``bad_checksum``,
            ``not_applicable`` (encrypted body) or ``bad_length``.
    """
    if len(frame) < 2 or frame[0] != 0x7E or frame[-1] != 0x7E:
        raise PayloadError("bad_frame", "no 7E at both ends")
    inner = frame[1:-1]
    if _STRAY.search(inner):
        raise PayloadError("bad_frame", "a 7E or 7D inside that is not escaped")
    inner = _unescaped(inner)
    if len(inner) < 13:
        raise truncated(13, len(inner))
    if check and xor8(inner[:-1]) != inner[-1]:
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
    split = bool(properties & _SPLIT)
    body_start = phone_end + (6 if split else 2)
    if properties & _ENCRYPTED:
        raise PayloadError("not_applicable", "the body is encrypted")
    if len(message) < body_start:
        raise truncated(body_start, len(message))
    body = message[body_start:]
    if len(body) != properties & _LENGTH:
        raise PayloadError("bad_length", f"{properties & _LENGTH} announced, {len(body)} there")
    values: Values = {
        "msg_id": int.from_bytes(message[:2], "big"),
        "phone": message[start:phone_end].hex(),
        "seq": int.from_bytes(message[phone_end : phone_end + 2], "big"),
        "version": message[4] if versioned else 0,
    }
    if split:
        values["parts"] = int.from_bytes(message[phone_end + 2 : phone_end + 4], "big")
        values["part"] = int.from_bytes(message[phone_end + 4 : phone_end + 6], "big")
    return body, values


def jt808_part(values: Values) -> Part | None:
    """Return which part of a longer message a frame is; the first part's number names it."""
    if "parts" not in values:
        return None
    number = values.pop("part") - 1
    values["seq"] = first = (values["seq"] - number) % 0x10000
    return Part(f"{values['phone']}/{values['msg_id']}/{first}", number, values.pop("parts"))


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
    body = phone_end + (6 if properties & _SPLIT else 2)

    def span(first: int, last: int, name: str) -> Span:
        return Span(at[first][0], at[last - 1][1], name, "field")

    spans = [
        Span(0, 1, "start", "mark"),
        span(0, 2, "msg_id"),
        span(2, 4, "properties"),
        *([span(4, 5, "version")] if start == 5 else []),
        span(start, phone_end, "phone"),
        span(phone_end, phone_end + 2, "seq"),
        *(
            [span(body - 4, body - 2, "parts"), span(body - 2, body, "part")]
            if properties & _SPLIT
            else []
        ),
        Span(*at[-1], "checksum", "check"),
        Span(len(frame) - 1, len(frame), "end", "mark"),
    ]
    return Places(at[body:-1], spans)
