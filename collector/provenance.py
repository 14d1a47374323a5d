"""Provenance: which numbers of which edge's epoch the records of the collector's spool had. Pure.

Kept only where a mirror needs it: one entry of the spool's state for each upload, in the
transaction that stores its records. The key ``mirror/<first>/<n>`` begins with the number that the
first record got; ``n`` tells apart uploads that brought no record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from gateway_core.model import Record
from gateway_core.wire import Upload

STATE = "mirror/"


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of an edge's numbers that an upload newly accounted for.

    Attributes:
        first: Of the edge's numbers.
        last: Likewise, inclusive.
        seqs: Those that have a record, in the order in which the records are stored.
        withheld: Reason to count of the others.
    """

    first: int
    last: int
    seqs: list[int]
    withheld: dict[str, int]


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where the records of one upload come from.

    Attributes:
        edge: The edge.
        epoch: Of its spool.
        spans: What was new, ascending.
    """

    edge: str
    epoch: str
    spans: list[Span]

    @property
    def count(self) -> int:
        """How many records it stands for."""
        return sum(len(span.seqs) for span in self.spans)


_decode = msgspec.msgpack.Decoder(Origin).decode


def key(first: int, number: int) -> str:
    """Return the key of an upload whose first record got this number of the collector's spool."""
    return f"{STATE}{first:020d}/{number:020d}"


def last_key(number: int) -> str:
    """Return a key behind those of every upload that begins at or below a number."""
    return f"{STATE}{number:020d}/~"


def trace(upload: Upload, spans: Sequence[tuple[int, int]], seqs: Sequence[int]) -> Origin | None:
    """Return where an upload's records come from; None when it accounted for nothing new.

    Args:
        upload: As it came.
        spans: Numbers that it newly accounted for.
        seqs: Numbers of the records that are stored, ascending.
    """
    if not spans:
        return None
    whole = len(spans) == 1 and spans[0] == (upload.first, upload.last)
    found = []
    for first, last in spans:
        inside = [seq for seq in seqs if first <= seq <= last]
        silent = last - first + 1 - len(inside)
        reason = next(iter(upload.withheld)) if len(upload.withheld) == 1 else "mixed"
        withheld = upload.withheld if whole else ({reason: silent} if silent else {})
        found.append(Span(first, last, inside, withheld))
    return Origin(upload.edge, upload.epoch, found)


def encode(origin: Origin) -> bytes:
    """Return an origin as it is stored."""
    return msgspec.msgpack.encode(origin)


def uploads(
    kept: Mapping[str, bytes], first: int, records: Sequence[Record]
) -> tuple[list[Upload], int, list[str]]:
    """Put records of the collector's spool back into uploads as their edges sent them.

    Args:
        kept: Key to origin, ascending, of every upload that touches the records.
        first: Number of the first record.
        records: Consecutive.

    Returns:
        The uploads; how many records have no origin; the keys that are not needed any more.
    """
    out: list[Upload] = []
    placed, done = 0, []
    last = first + len(records) - 1
    for name, data in kept.items():
        start = int(name[len(STATE) : len(STATE) + 20])
        origin = _decode(data)
        end = start + origin.count - 1
        if end < first and origin.count:
            done.append(name)
            continue
        for upload in _parts(origin, start, first, records):
            out.append(upload)
            placed += len(upload.records)
        if end <= last:
            done.append(name)
    return out, len(records) - placed, done


def _parts(origin: Origin, start: int, first: int, records: Sequence[Record]) -> Iterator[Upload]:
    """Yield the spans of one origin, each as far as its records are at hand."""
    last = first + len(records) - 1
    for span in origin.spans:
        end = start + len(span.seqs) - 1
        low, high = max(start, first), min(end, last)
        if not span.seqs:
            if start <= last + 1:
                yield Upload(
                    origin.edge, origin.epoch, span.first, span.last, [], [], span.withheld
                )
        elif low <= high:
            seqs = span.seqs[low - start : high - start + 1]
            begins = span.first if low == start else seqs[0]
            ends = span.last if high == end else span.seqs[high - start + 1] - 1
            withheld = span.withheld
            if (low, high) != (start, end):
                silent = ends - begins + 1 - len(seqs)
                reason = next(iter(span.withheld)) if len(span.withheld) == 1 else "mixed"
                withheld = {reason: silent} if silent else {}
            part = list(records[low - first : high - first + 1])
            yield Upload(origin.edge, origin.epoch, begins, ends, seqs, part, withheld)
        start = end + 1
