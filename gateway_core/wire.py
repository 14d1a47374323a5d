"""What an edge uploads and what the collector answers. Pure: no I/O, no clock, no logger.

Described to the byte in docs/reference/formats/wire.md.
"""

from __future__ import annotations

import itertools
from typing import get_args

import msgspec
import zstandard

from gateway_core.errors import PayloadError
from gateway_core.model import Record

MAGIC = b"TGU"
"""First three bytes of an upload; the fourth is the version."""
VERSION = 1
MAX_BYTES = 64 << 20
"""Most bytes of an upload after decompression."""
MAX_RATIO = 100
"""Most bytes of an upload for each compressed byte, once it is larger than `FREE_BYTES`."""
FREE_BYTES = 16 << 20
CONTENT_TYPE = "application/vnd.tidegate.upload"
SETTLED_HEADER = "Tidegate-Settled"
"""Of an upload: everything of its epoch up to this number was delivered and accounted for."""
MIRROR_HEADER = "Tidegate-Mirror"
"""Of an upload that a collector passes on: that collector's name."""
REFILL_HEADER = "Tidegate-Refill"
"""Of an upload that answers an `Ask`: its `Progress`."""
CLOCK_HEADER = "Tidegate-Clock"
"""Of an upload: the sender's clock as it was sent, nanoseconds since 1970."""

_LEVEL = 1
_CHUNK = 1 << 20


class Upload(msgspec.Struct, frozen=True, gc=False):
    """One batch on its way from an edge to the collector.

    Attributes:
        edge: Who sends.
        epoch: Of the edge's spool.
        first: First sequence number that this batch accounts for.
        last: Last one, inclusive; everything from ``first`` to it is settled by this batch.
        seqs: Sequence numbers of ``records``, ascending, within ``first`` to ``last``.
        records: What the site's policy released.
        withheld: Reason to count of what stays on site.
        foreign: Sequence number and MessagePack of records of a kind that a newer program made
            up; never written.
    """

    edge: str
    epoch: str
    first: int
    last: int
    seqs: list[int]
    records: list[Record]
    withheld: dict[str, int] = {}
    foreign: list[tuple[int, bytes]] = []


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the collector asks an edge to send again, in a receipt.

    Attributes:
        id: Of a person's request; empty for numbers that the collector lacks.
        epoch: That ``spans`` are of.
        spans: First and last sequence numbers that are lacking, oldest first.
        since: Or: everything from then on, nanoseconds since 1970 …
        until: … up to then.
        have: Epoch to spans of what is here already and need not come.
    """

    id: str = ""
    epoch: str = ""
    spans: list[tuple[int, int]] = []
    since: int = 0
    until: int = 0
    have: dict[str, list[tuple[int, int]]] = {}


class UploadReceipt(msgspec.Struct, frozen=True):
    """The collector's answer, sent after its own fsynced commit.

    Attributes:
        accepted: Records that were new.
        duplicate: Records that were here before.
        refused: Sequence number and reason of records that will never be accepted.
        asks: What the edge is asked to send again; the same until it came.
    """

    accepted: int
    duplicate: int
    refused: list[tuple[int, str]] = []
    asks: list[Ask] = []


class Progress(msgspec.Struct, frozen=True):
    """How far the answer to an `Ask` is.

    Attributes:
        id: Of the ask.
        done: Sequence numbers dealt with.
        whole: Sequence numbers in all.
        gone: How many of those dealt with are not on site any more.
        ended: Whether nothing more will come.
    """

    id: str = ""
    done: int = 0
    whole: int = 0
    gone: int = 0
    ended: bool = False

    def __str__(self) -> str:
        """Return the header's value."""
        return f"{self.id or '-'} {self.done} {self.whole} {self.gone} {int(self.ended)}"

    @classmethod
    def parse(cls, text: str) -> Progress | None:
        """Read what ``str`` made; None for anything else."""
        parts = text.split(" ")
        if len(parts) != 5 or not all(each.isdecimal() and len(each) < 20 for each in parts[1:]):
            return None
        done, whole, gone, ended = map(int, parts[1:])
        return cls(parts[0].removeprefix("-"), done, whole, gone, bool(ended))


class _Body(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The msgpack array inside an upload; new elements go to the end and have a default."""

    edge: str
    epoch: str
    first: int
    last: int
    runs: list[tuple[int, int]]
    withheld: dict[str, int]
    records: list[Record]


class _AnyBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The same, whatever the records are."""

    edge: str
    epoch: str
    first: int
    last: int
    runs: list[tuple[int, int]]
    withheld: dict[str, int]
    records: list[msgspec.Raw]


_encode_body = msgspec.msgpack.Encoder().encode
_decode_body = msgspec.msgpack.Decoder(_Body).decode
_decode_any = msgspec.msgpack.Decoder(_AnyBody).decode
_decode_record = msgspec.msgpack.Decoder(Record).decode
_decode_array = msgspec.msgpack.Decoder(list[object]).decode
_KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Record))
_decode_receipt = msgspec.json.Decoder(UploadReceipt).decode


def encode_upload(upload: Upload) -> bytes:
    """Return the upload as bytes.

    Raises:
        PayloadError: ``too_large``: the collector would refuse it; send fewer records.
    """
    body = _Body(
        upload.edge,
        upload.epoch,
        upload.first,
        upload.last,
        _runs(upload.seqs),
        upload.withheld,
        upload.records,
    )
    raw = _encode_body(body)
    packed = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(raw)
    if len(raw) > _allowed(len(packed), MAX_BYTES):
        raise PayloadError("too_large", f"{len(raw)} bytes in one upload; send fewer records")
    return MAGIC + bytes([VERSION]) + packed


def decode_upload(data: bytes, max_bytes: int = MAX_BYTES) -> Upload:
    """Read an upload, never holding more than ``max_bytes`` of it decompressed.

    Raises:
        PayloadError: ``wire_magic``, ``wire_version``, ``wire_zstd``, ``too_large`` or
            ``wire_body``.
    """
    if data[:3] != MAGIC:
        raise PayloadError("wire_magic", "not an upload")
    if data[3:4] != bytes([VERSION]):
        found = data[3] if len(data) > 3 else "none"
        raise PayloadError("wire_version", f"version {found}; this program reads {VERSION}")
    raw = _decompress(data[4:], max_bytes)
    try:
        body = _decode_body(raw)
    except (msgspec.MsgspecError, MemoryError, RecursionError, UnicodeDecodeError) as exc:
        return _with_foreign(raw, exc)
    seqs = _seqs(body)
    return Upload(body.edge, body.epoch, body.first, body.last, seqs, body.records, body.withheld)


def decode_foreign(data: bytes) -> Record | None:
    """Return a record that an older program could not read; None if this one cannot either."""
    try:
        return _decode_record(data)
    except (msgspec.MsgspecError, MemoryError, RecursionError, UnicodeDecodeError):
        return None


def _with_foreign(raw: bytes, why: Exception) -> Upload:
    """Read an upload with records of unknown kinds.

    Raises:
        PayloadError: ``wire_body``: that is not what is wrong with it.
    """
    try:
        body = _decode_any(raw)
        seqs = _seqs(body)
        own: list[tuple[int, Record]] = []
        foreign: list[tuple[int, bytes]] = []
        for seq, part in zip(seqs, body.records, strict=True):
            tag = next(iter(_decode_array(part)), None)
            if isinstance(tag, str) and tag not in _KINDS:
                foreign.append((seq, bytes(part)))
            else:
                own.append((seq, _decode_record(part)))
    except (msgspec.MsgspecError, MemoryError, RecursionError, UnicodeDecodeError):
        raise PayloadError("wire_body", str(why)) from why
    return Upload(
        body.edge,
        body.epoch,
        body.first,
        body.last,
        [seq for seq, _ in own],
        [record for _, record in own],
        body.withheld,
        foreign,
    )


def encode_receipt(receipt: UploadReceipt) -> bytes:
    """Return the receipt as JSON; without ``asks`` where nothing is asked."""
    said = msgspec.to_builtins(receipt)
    if not receipt.asks:
        del said["asks"]
    return msgspec.json.encode(said)


def decode_receipt(data: bytes) -> UploadReceipt:
    """Read a receipt.

    Raises:
        PayloadError: ``wire_receipt``.
    """
    try:
        return _decode_receipt(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise PayloadError("wire_receipt", str(exc)) from exc


def _allowed(packed: int, max_bytes: int) -> int:
    return min(max_bytes, max(FREE_BYTES, MAX_RATIO * packed))


def _decompress(packed: bytes, max_bytes: int) -> bytes:
    allowed = _allowed(len(packed), max_bytes)
    chunks: list[bytes] = []
    held = 0
    # decompress(max_output_size=) trusts a declared size; the stream does not
    decompressor = zstandard.ZstdDecompressor(max_window_size=8 << 20)
    try:
        with decompressor.stream_reader(packed, read_across_frames=True) as stream:
            while chunk := stream.read(min(_CHUNK, allowed + 1 - held)):
                chunks.append(chunk)
                held += len(chunk)
                if held > allowed:
                    raise PayloadError("too_large", f"more than {allowed} bytes decompressed")
    except zstandard.ZstdError as exc:
        raise PayloadError("wire_zstd", str(exc)) from exc
    return b"".join(chunks)


def _runs(seqs: list[int]) -> list[tuple[int, int]]:
    """Fold ascending numbers into (first, count)."""
    if seqs and seqs[-1] - seqs[0] == len(seqs) - 1:  # the common case: nothing was withheld
        return [(seqs[0], len(seqs))]
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][0] + runs[-1][1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((seq, 1))
    return runs


def _seqs(body: _Body | _AnyBody) -> list[int]:
    """Unfold the runs, after checking that they are as many as the records."""
    if not 1 <= body.first <= body.last:
        raise PayloadError("wire_body", f"range {body.first} to {body.last}")
    end = body.first
    for start, count in body.runs:
        if start < end or count < 1:
            raise PayloadError("wire_body", "sequence numbers do not ascend")
        end = start + count
    if end > body.last + 1 or sum(count for _, count in body.runs) != len(body.records):
        raise PayloadError("wire_body", "sequence numbers do not fit the records")
    spans = (range(start, start + count) for start, count in body.runs)
    return list(itertools.chain.from_iterable(spans))
