"""Keys of the spool's state that depend on where an upload's records come to stand. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from collector import provenance
from collector.sinks.once import again_key
from gateway_core.intervals import Intervals
from gateway_core.wire import Upload


@dataclass(frozen=True, slots=True)
class Placing:
    """Makes the keys once the number of the first record is known.

    Attributes:
        upload: As it came.
        received: Numbers that were here before it.
        fresh: Places of records that are new; they are stored first.
        known: Places of those that are stored again.
        trace: Tells apart the origins of uploads, and one above it; None: no mirror wants them.
    """

    upload: Upload
    received: Intervals
    fresh: Sequence[int]
    known: Sequence[int]
    trace: int | None

    def __call__(self, first: int) -> dict[str, bytes | None]:
        """Return the keys."""
        keys: dict[str, bytes | None] = {}
        again, seqs = first + len(self.fresh), self.upload.seqs
        if self.known:
            keys[again_key(again)] = str(again + len(self.known) - 1).encode()
        if self.trace is None:
            return keys
        new = self.received.missing(self.upload.first, self.upload.last)
        old = [(seqs[self.known[0]], seqs[self.known[-1]])] if self.known else []
        parts = ((first, new, self.fresh), (again, old, self.known))
        for number, (start, spans, places) in enumerate(parts, self.trace):
            origin = provenance.trace(self.upload, spans, [seqs[at] for at in places])
            if origin is not None:
                keys[provenance.key(start, number)] = provenance.encode(origin)
        return keys
