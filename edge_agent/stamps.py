"""Receive times that no two readings share, although what came in one read came at one instant.

Two readings of one device without a clock would be one point in every store, and the first of them
lost.
"""

from __future__ import annotations

from dataclasses import dataclass

SAME_RUSH_NS = 10**9
"""A receive time that lies further back than this is another occasion: a replay, a clock set."""


@dataclass(slots=True)
class Stamps:
    """The newest receive times given out, in nanoseconds since 1970.

    Attributes:
        live: Of messages as they come.
        replayed: Of a replay.
    """

    live: int = 0
    replayed: int = 0

    def next(self, received: int, *, live: bool) -> int:
        """Return the receive time that the readings of a message carry."""
        newest = self.live if live else self.replayed
        return newest + 1 if 0 <= newest - received < SAME_RUSH_NS else received

    def give(self, stamp: int, *, live: bool) -> None:
        """Note the last one that a message's readings used."""
        if live:
            self.live = stamp
        else:
            self.replayed = stamp

    def spread(self, stamp: int, *, live: bool) -> None:
        """Note one that may lie before the newest."""
        self.give(max(self.live if live else self.replayed, stamp), live=live)
