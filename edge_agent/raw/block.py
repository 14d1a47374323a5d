"""A block of raw messages as bytes that know when they were altered. Pure.

A block is a head, then one zstd frame of MessagePack values: the messages of one commit each.
Described to the byte in docs/reference/formats/raw.md.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import google_crc32c
import msgspec
import zstandard

from edge_agent.arrival import Arrival

MAGIC = b"TGRB"
VERSION = 1
MOST_BYTES = 64 << 20
"""Most bytes of a block after decompression."""

_HEAD = struct.Struct(">4sB3xIIQQ")  # magic, version, frame's size, messages, oldest, newest
_CRC = struct.Struct(">I")
HEAD_BYTES = _HEAD.size + _CRC.size
_LEVEL = 1


class Damaged(Exception):  # internal: what happened to a block
    """A block's bytes are not what was written; says how that was noticed."""


class RawMessage(msgspec.Struct, frozen=True, gc=False):
    """One message as it came in, and what became of it.

    Attributes:
        arrival: The message.
        received: The receive time that its readings carry: unlike the arrival's own, no two
            messages that became readings have the same.
        profile: Id of the profile that read it; empty when it was refused.
        refusal: The rejection code; empty when it was read.
    """

    arrival: Arrival
    received: int
    profile: str = ""
    refusal: str = ""


class _Commit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The messages of one commit, column by column: the arrivals themselves are the first."""

    arrivals: list[Arrival]
    received: list[int]
    profiles: list[str]
    refusals: list[str | None]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Commit]).decode


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a block's frame.

    Attributes:
        size: Bytes of the frame.
        count: Messages.
        oldest: Receive time of the oldest one, nanoseconds since 1970.
        newest: Of the newest.
        crc: CRC32C of everything else in head and frame.
    """

    size: int
    count: int
    oldest: int
    newest: int
    crc: int

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a head.

        Raises:
            Damaged: It is cut short, or not one.
        """
        if len(data) < HEAD_BYTES:
            raise Damaged("the file ends within a head")
        magic, version, size, count, oldest, newest = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise Damaged("no block begins here")
        if version != VERSION:
            raise Damaged(f"version {version}; this program reads {VERSION}")
        (crc,) = _CRC.unpack_from(data, _HEAD.size)
        return cls(size, count, oldest, newest, crc)


def encode_commit(
    arrivals: Sequence[Arrival],
    received: Sequence[int],
    profiles: Sequence[str],
    refusals: Sequence[str | None],
) -> bytes:
    """Return the messages of one commit as bytes; all sequences are as long as the first."""
    return _encode((arrivals, received, profiles, refusals))


@dataclass(frozen=True, slots=True)
class Span:
    """How many messages some commits hold, and from when to when they were received."""

    count: int
    oldest: int
    newest: int


class Packer:
    """Makes blocks; keeps the compressor, which holds megabytes."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def pack(self, commits: Sequence[bytes], span: Span) -> bytes:
        """Return a block of commits as `encode_commit` made them.

        Args:
            commits: At most 65,535.
            span: Of all of them.
        """
        raw = b"".join((b"\xdc", len(commits).to_bytes(2, "big"), *commits))
        frame = self._compressor.compress(raw)
        head = _HEAD.pack(MAGIC, VERSION, len(frame), span.count, span.oldest, span.newest)
        return head + _CRC.pack(_crc(head, frame)) + frame


def unpack(head: Head, frame: bytes) -> Iterator[RawMessage]:
    """Return the messages of a block, oldest commit first.

    Raises:
        Damaged: The bytes are not what was written.
    """
    again = _HEAD.pack(MAGIC, VERSION, head.size, head.count, head.oldest, head.newest)
    if len(frame) < head.size:
        raise Damaged("the file ends within a block")
    if _crc(again, frame) != head.crc:
        raise Damaged("the CRC32C does not match")
    try:
        raw = zstandard.ZstdDecompressor().decompress(frame, max_output_size=MOST_BYTES)
        commits = _decode(raw)
    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Damaged(str(exc)) from exc
    for commit in commits:
        count = len(commit.arrivals)
        if any(len(one) != count for one in (commit.received, commit.profiles, commit.refusals)):
            raise Damaged("columns of different length")
        for arrival, received, profile, refusal in zip(
            commit.arrivals, commit.received, commit.profiles, commit.refusals, strict=True
        ):
            yield RawMessage(arrival, received, profile, refusal or "")


def _crc(head: bytes, frame: bytes) -> int:
    return int(google_crc32c.extend(google_crc32c.value(head), frame))
