"""Thinning: of a value that hardly changes, the centre hears now and then.

It thins what is sent on, never what is kept on site, summarised or watched by alarms. The memory
is what the centre is known to *have*: it moves when a receipt came, never before.

Invariants (tests/edge_agent/egress/test_thinning.py):

* the same batch after the same receipts is thinned in the same way, so that a retry after a lost
  answer sends what the first try sent;
* of data in order of time, a value is withheld only if the centre has one of that device and field
  that differs by no more than the deadband and is no older than the heartbeat;
* where it is not certain what the centre has (an earlier run, other rules or another batch since
  the try that failed) nothing is withheld.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import structs

from edge_agent.grant import Thin
from edge_agent.policy import Policy, Released
from gateway_core.model import Reading, Value

REASON = "deadband"
MOST_KNOWN = 500_000
"""Values of a device's field that are remembered; of one that was forgotten the next goes out."""

_Key = tuple[str, str]


@dataclass(slots=True)
class Moves:
    """What the centre will have, once it has a batch.

    Attributes:
        first: First sequence number of the batch.
        last: Last one, inclusive.
        known: Device and field to time and value, with the record's sequence number; None where
            nothing is certain.
    """

    first: int
    last: int
    known: dict[_Key, tuple[int, Value, int] | None] = field(default_factory=dict)


class Thinning:
    """The memory of one uplink.

    Args:
        certain_after: The spool's head at the start: what came before may have been sent by an
            earlier run, nobody knows how.
    """

    def __init__(self, certain_after: int) -> None:
        self._known: dict[_Key, tuple[int, Value]] = {}
        self._certain_after = certain_after
        self._tried: tuple[int, int] | None = None  # the batch of which the answer was lost

    def __len__(self) -> int:
        """Return how many values are remembered."""
        return len(self._known)

    def thin(self, released: Released, policy: Policy) -> tuple[Released, Moves]:
        """Return what is worth sending of a batch; the memory stays as it is."""
        moves = Moves(released.first, released.last)
        out = Released(
            released.first, released.last, [], [], dict(released.withheld), released.trimmed
        )
        for seq, record in zip(released.seqs, released.records, strict=True):
            left = record
            if isinstance(record, Reading) and not record.derived:
                gate = policy.gate(record.profile, record.device)
                if gate is not None and gate.thins:
                    thinned = self._reading(seq, record, gate.thins, moves)
                    if thinned is None:
                        out.withheld[REASON] = out.withheld.get(REASON, 0) + 1
                        continue
                    out.trimmed += thinned is not record
                    left = thinned
            out.seqs.append(seq)
            out.records.append(left)
        return out, moves

    def lost(self, moves: Moves) -> None:
        """Note that a batch was sent and no answer came."""
        if self._tried is not None and self._tried[0] != moves.first:
            self.doubt()
        last = moves.last if self._tried is None else max(moves.last, self._tried[1])
        self._tried = (moves.first, last)

    def received(self, moves: Moves, rejected: frozenset[int] = frozenset()) -> None:
        """Move on: the centre has a batch, but for the rejected sequence numbers."""
        if self._tried is not None:
            if self._tried[0] != moves.first:
                self.doubt()
            else:  # what of it is still to come is decided as before: nothing else has moved
                rest = moves.last + 1, self._tried[1]
                self._tried = rest if rest[0] <= rest[1] else None
        for key, known in moves.known.items():
            self._known.pop(key, None)
            if known is not None and known[2] not in rejected:
                self._known[key] = known[:2]
        while len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def doubt(self) -> None:
        """Take nothing for certain that a lost answer was about: rules or order have changed."""
        if self._tried is not None:
            self._certain_after = max(self._certain_after, self._tried[1])
            self._tried = None

    def _reading(
        self, seq: int, reading: Reading, thins: Mapping[str, Thin], moves: Moves
    ) -> Reading | None:
        """Return what is left of a reading; None for nothing."""
        device, time = reading.device, reading.time
        certain = seq > self._certain_after
        fields: dict[str, Value] = {}
        for name, value in reading.fields.items():
            thin = thins.get(name)
            if thin is not None:
                key = (device, name)
                known = moves.known[key] if key in moves.known else self._at(key)
                if not certain:
                    moves.known[key] = None
                elif known is None or time >= known[0]:
                    if known is not None and thin.holds_back(known[:2], time, value):
                        continue
                    moves.known[key] = (time, value, seq)
            fields[name] = value
        if len(fields) == len(reading.fields):
            return reading
        if not fields:
            return None
        return structs.replace(reading, fields=fields)

    def _at(self, key: _Key) -> tuple[int, Value, int] | None:
        known = self._known.get(key)
        return None if known is None else (*known, 0)
