"""The CoAP message format (RFC 7252 section 3), bytes to message and back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway_core.errors import PayloadError

CON, NON, ACK, RST = range(4)

EMPTY, GET, POST, PUT = 0, 1, 2, 3


def code(text: str) -> int:
    """Return the number of a code written as in the RFC, for example ``2.04``."""
    family, detail = text.split(".")
    return int(family) << 5 | int(detail)


def dotted(number: int) -> str:
    """Return a code as the RFC writes it."""
    return f"{number >> 5}.{number & 31:02d}"


CHANGED, CONTINUE = code("2.04"), code("2.31")
BAD_REQUEST, BAD_OPTION, NOT_FOUND = code("4.00"), code("4.02"), code("4.04")
NOT_ALLOWED, INCOMPLETE, TOO_LARGE = code("4.05"), code("4.08"), code("4.13")
TOO_MANY = code("4.29")
UNAVAILABLE, NO_PROXY = code("5.03"), code("5.05")

URI_HOST, URI_PORT, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY = 3, 7, 11, 12, 14, 15
ACCEPT, BLOCK2, BLOCK1, PROXY_URI, PROXY_SCHEME, SIZE1 = 17, 23, 27, 35, 39, 60
NO_RESPONSE, REQUEST_TAG = 258, 292


class FormatError(PayloadError):
    """A datagram that is no CoAP message.

    Attributes:
        reset: Message id to reject with a Reset, for a confirmable message whose header could be
            read; else None, and the datagram is ignored.
    """

    def __init__(self, detail: str, reset: int | None = None) -> None:
        super().__init__("not_coap", detail)
        self.reset = reset


class Message(NamedTuple):
    """One CoAP message.

    Attributes:
        kind: `CON`, `NON`, `ACK` or `RST`.
        code: Method or response code; 0 for an empty message.
        message_id: 16 bits.
        token: 0 to 8 bytes.
        options: Number and value, in ascending order of number.
        payload: May be empty.
    """

    kind: int
    code: int
    message_id: int
    token: bytes = b""
    options: Sequence[tuple[int, bytes]] = ()
    payload: bytes = b""


def decode(data: bytes) -> Message:
    """Return the message in a datagram.

    Raises:
        FormatError: It is none.
    """
    if len(data) < 4 or data[0] >> 6 != 1:
        raise FormatError("shorter than a header, or not version 1")
    kind, token_end = data[0] >> 4 & 3, 4 + (data[0] & 15)
    message_id = data[2] << 8 | data[3]
    reset = message_id if kind == CON else None
    if token_end > 12 or token_end > len(data):
        raise FormatError("a token of more than 8 bytes, or cut", reset)
    if data[1] == EMPTY and len(data) != 4:
        raise FormatError("an empty message with something in it", reset)
    try:
        options, payload_at = _options(data, token_end)
    except IndexError:
        raise FormatError("an option that is cut", reset) from None
    except ValueError as exc:
        raise FormatError(str(exc), reset) from None
    return Message(kind, data[1], message_id, data[4:token_end], options, data[payload_at:])


def _options(data: bytes, at: int) -> tuple[list[tuple[int, bytes]], int]:
    options: list[tuple[int, bytes]] = []
    number, end = 0, len(data)
    while at < end:
        head = data[at]
        at += 1
        if head == 0xFF:
            if at == end:
                raise ValueError("a payload marker without a payload")
            return options, at
        delta, length = head >> 4, head & 15
        if delta == 13:
            delta = 13 + data[at]
            at += 1
        elif delta == 14:
            delta = 269 + (data[at] << 8 | data[at + 1])
            at += 2
        elif delta == 15:
            raise ValueError("a reserved option delta")
        if length == 13:
            length = 13 + data[at]
            at += 1
        elif length == 14:
            length = 269 + (data[at] << 8 | data[at + 1])
            at += 2
        elif length == 15:
            raise ValueError("a reserved option length")
        number += delta
        if at + length > end or number > 0xFFFF:
            raise ValueError("an option beyond the end")
        options.append((number, data[at : at + length]))
        at += length
    return options, at


def encode(message: Message) -> bytes:
    """Return the datagram of a message; options must be in ascending order of number."""
    kind, number, message_id, token, options, payload = message
    out = bytearray((0x40 | kind << 4 | len(token), number, message_id >> 8, message_id & 0xFF))
    out += token
    before = 0
    for option, value in options:
        delta, delta_more = _nibble(option - before)
        length, length_more = _nibble(len(value))
        out.append(delta << 4 | length)
        out += delta_more + length_more + value
        before = option
    if payload:
        out.append(0xFF)
        out += payload
    return bytes(out)


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")


def uint(value: int) -> bytes:
    """Return an option's unsigned integer without leading zero bytes (section 3.2)."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
