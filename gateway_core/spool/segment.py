"""One group commit's records as bytes that know when they were altered. Pure.

A segment is a zstd frame of a MessagePack array of records, and a CRC32C over its head and frame.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import google_crc32c
import msgspec
import zstandard

from gateway_core.errors import PayloadError
from gateway_core.model import Loss, Record

VERSION = 1
"""Of the payload: zstd of a MessagePack array of records as in gateway_core/model.py."""

MAX_DECOMPRESSED = 1 << 30

_HEAD = struct.Struct(">BQIQ")  # version, first, count, created: what the CRC covers before payload
_LEVEL = 1

_encode = msgspec.msgpack.Encoder().encode
_decode_all = msgspec.msgpack.Decoder(list[Record]).decode
_decode_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.msgpack.Decoder(Record).decode


class _Tools(threading.local):
    """A thread's own: they hold megabytes that would otherwise be asked for at every segment."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self.decompressor = zstandard.ZstdDecompressor()


_tools = _Tools()


class Damaged(Exception):  # internal: what happened to a segment
    """A segment's bytes are not what was written; says how that was noticed."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one append, encoded: MessagePack objects one after another, without array head.

    Attributes:
        records: The records themselves, for the cache.
        body: Their encoding.
    """

    records: Sequence[Record]
    body: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """One row of the log.

    Attributes:
        first: Sequence number of the first record.
        count: How many records.
        created: When it was committed, in nanoseconds.
        version: Of the payload's format.
        crc: CRC32C over head and payload.
        payload: The compressed records.
    """

    first: int
    count: int
    created: int
    version: int
    crc: int
    payload: bytes

    @property
    def last(self) -> int:
        """Sequence number of the last record."""
        return self.first + self.count - 1


def chunk(records: Sequence[Record]) -> Chunk:
    """Encode records.

    Raises:
        PayloadError: ``unstorable``, and which record it was.
    """
    try:
        body = _encode(records)
    except (OverflowError, TypeError, ValueError, RecursionError) as exc:
        raise _unstorable(records, exc) from exc
    count = len(records)
    return Chunk(records, body[1 if count < 16 else 3 if count < 65_536 else 5 :])


def pack(first: int, created: int, chunks: Sequence[Chunk]) -> Segment:
    """Make one segment out of chunks; ``first`` is the first record's sequence number."""
    count = sum(len(each.records) for each in chunks)
    raw = b"".join((b"\xdd", count.to_bytes(4, "big"), *(each.body for each in chunks)))
    payload = _tools.compressor.compress(raw)
    return Segment(
        first, count, created, VERSION, _crc(VERSION, first, count, created, payload), payload
    )


def unpack(segment: Segment, owner: str, epoch: str) -> list[Record]:
    """Return the records of a segment.

    A record that was stored whole but is not one that this program knows (a newer program's, or
    a source's mistake) becomes a `Loss` in its place, so that its number stays accounted for.

    Args:
        segment: As it stands in the file.
        owner: The ``edge`` of such a loss.
        epoch: Its ``epoch``.

    Raises:
        Damaged: The bytes are not what was written.
    """
    head = (segment.version, segment.first, segment.count, segment.created)
    try:
        crc = _crc(*head, segment.payload)
    except struct.error as exc:
        raise Damaged("the head is out of range") from exc
    if crc != segment.crc:
        raise Damaged("the CRC32C does not match")
    if segment.version != VERSION:
        raise Damaged(f"payload version {segment.version}; this program reads {VERSION}")
    records = _records(segment, owner, epoch)
    if len(records) != segment.count:
        raise Damaged(f"{len(records)} records where {segment.count} were written")
    return records


def unpack_headless(first: int, payload: bytes, owner: str, epoch: str) -> list[Record]:
    """Return the records of a payload whose head is lost, proven by the checksum in its frame.

    Raises:
        Damaged: The bytes are not what was written, or the frame is of before there was a checksum.
    """
    try:
        proven = zstandard.get_frame_parameters(payload).has_checksum
    except zstandard.ZstdError as exc:
        raise Damaged(f"zstd: {exc}") from exc
    if not proven:
        raise Damaged("nothing proves these bytes without their head")
    return _records(Segment(first, 0, 0, VERSION, 0, payload), owner, epoch)


def _records(segment: Segment, owner: str, epoch: str) -> list[Record]:
    try:
        raw = _tools.decompressor.decompress(segment.payload, max_output_size=MAX_DECOMPRESSED)
    except zstandard.ZstdError as exc:
        raise Damaged(f"zstd: {exc}") from exc
    try:
        return _decode_all(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _one_by_one(raw, segment, owner, epoch)


def _one_by_one(raw: bytes, segment: Segment, owner: str, epoch: str) -> list[Record]:
    try:
        parts = _decode_raw(raw)
    except msgspec.MsgspecError as exc:
        raise Damaged(f"msgpack: {exc}") from exc
    records: list[Record] = []
    for seq, part in enumerate(parts, segment.first):
        try:
            records.append(_decode_one(part))
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            detail = f"not a record that this program knows: {exc}"
            records.append(Loss(owner, segment.created, epoch, seq, seq, "damaged", detail))
    return records


def _crc(version: int, first: int, count: int, created: int, payload: bytes) -> int:
    head = google_crc32c.value(_HEAD.pack(version, first, count, created))
    return int(google_crc32c.extend(head, payload))


def _unstorable(records: Sequence[Record], cause: Exception) -> PayloadError:
    for index, record in enumerate(records):
        try:
            _encode(record)
        except (OverflowError, TypeError, ValueError, RecursionError) as exc:
            return PayloadError("unstorable", f"record {index} of {len(records)}: {exc}")
    return PayloadError("unstorable", str(cause))
