"""What goes through the pipes between Tidegate and its JavaScript worker.

Each frame is four bytes of length, most significant first, and MessagePack.
"""

from __future__ import annotations

import select
import struct

import msgspec

LARGEST_FRAME = 32 << 20
"""Bytes of a frame; a longer one ends the worker."""

LARGEST_RESULT = 256 << 10
"""Characters of what a codec makes of one message."""

HEAD = struct.Struct(">I")

PLACE = struct.Struct("=I")
"""Which message of a request the worker is at: memory that both see, because a worker that hangs
cannot say it."""

DECODERS = ("decodeUplink", "Decode", "Decoder", "rawDataToProtocol", "rawDataToTyLink")
"""What decodes an uplink, in the order in which they are looked for."""

ENCODERS = ("encodeDownlink", "Encode", "Encoder", "protocolToRawData", "tyLinkToRawData")
"""What makes a downlink."""

FUNCTIONS = (*DECODERS, *ENCODERS, "decodeDownlink", "normalizeUplink")
"""Every function that a codec may have."""

FATAL = ("codec_timeout", "codec_memory")
"""Codes after which nobody knows what the codec left behind."""

Result = tuple[str, str]
"""Rejection code (empty: it went well), and the result as JSON or the reason in words."""


SOON = 120
"""How often either side looks whether the other has spoken before it sleeps.

About 50 us. To be woken on a processor that fell asleep costs more than that, where it is a virtual
one: one by one, messages go two to four times as fast (`benchmarks/javascript.py`)."""


def spoken(ready: select.poll) -> bool:
    """Return whether something can be read, after looking for a moment."""
    return any(ready.poll(0) for _ in range(SOON))


class Hello(msgspec.Struct, tag="hello", array_like=True, frozen=True):
    """The worker's first words.

    Attributes:
        trouble: Why it cannot work; empty when it can.
    """

    trouble: str = ""


class Load(msgspec.Struct, tag="load", array_like=True, frozen=True):
    """Take a codec in; answered by one result, whose text names its functions."""

    key: int
    text: str
    time_ms: int
    memory_mb: int
    fresh: bool


class Call(msgspec.Struct, tag="call", array_like=True, frozen=True):
    """Call a function with inputs, each as JSON text; answered by their results."""

    key: int
    function: str
    inputs: list[str]


class Check(msgspec.Struct, tag="check", array_like=True, frozen=True):
    """Look for state that is kept between these messages; answered by one result."""

    key: int
    inputs: list[str]


class Reply(msgspec.Struct, tag="reply", array_like=True, frozen=True):
    """The worker's answer.

    Attributes:
        results: One for each message, up to and with the first that took too much time or memory:
            whether the others are worth a try is not for the worker to decide.
        stateful: Whether the codec was seen to keep state between messages.
    """

    results: list[Result]
    stateful: bool = False


Request = Load | Call | Check
Answer = Hello | Reply

_encode = msgspec.msgpack.Encoder().encode
_request = msgspec.msgpack.Decoder(Request).decode
_answer = msgspec.msgpack.Decoder(Answer).decode


def pack(message: Request | Answer) -> bytes:
    """Return a message as a frame."""
    body = _encode(message)
    return HEAD.pack(len(body)) + body


def read_request(body: bytes | memoryview) -> Request:
    """Return the request in a frame; raises `ValueError`."""
    found: Request = _request(body)
    return found


def read_answer(body: bytes | memoryview) -> Answer:
    """Return the answer in a frame; raises `ValueError`."""
    found: Answer = _answer(body)
    return found
