"""What a bad way is like: numbers that people write, and the dice that are thrown with them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from gateway_core.clock import monotonic

CutKind = Literal["reset", "silent"]
"""``reset``: connections break and new ones are broken at once. ``silent``: nothing passes and
nobody is told, as when a firewall forgets a connection or a cable is out: half-open."""

RETRANSMISSION_S = 0.2
"""What a lost packet costs on TCP: the shortest retransmission time-out of Linux."""


@dataclass(frozen=True, slots=True)
class WanOptions:
    """What the way is like.

    Attributes:
        delay_s: Added in each direction.
        jitter_s: Up to this much more, drawn anew for each packet.
        bytes_per_s: Of each direction, all connections together; None for any.
        loss: Share of packets that get lost. TCP sends them again: there it costs time.
        duplicate: Share of datagrams that arrive twice; TCP hides it.
        reorder: Share of datagrams that the next ones overtake; TCP hides it.
        flip_every: One bit is wrong in this many bytes on average; 0 for never.
        trickle: Most bytes that are passed on at a time; 0 for any.
        reset_every_s: One open connection is reset this often on average; 0 for never.
        cut_every_s: The way is cut this often on average; 0 for never.
        cut_for_s: For how long on average.
        cut: What a cut is like.
        seed: The same seed throws the same dice.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float | None = None
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    flip_every: float = 0.0
    trickle: int = 0
    reset_every_s: float = 0.0
    cut_every_s: float = 0.0
    cut_for_s: float = 5.0
    cut: CutKind = "reset"
    seed: int = 1


class Direction:
    """One direction of the way: when what enters it is through, and what it has become.

    Args:
        options: Read anew for every packet, so that a schedule may change them.
        dice: Thrown for every packet.
    """

    def __init__(self, options: WanOptions, dice: random.Random) -> None:
        self.options = options
        self._dice = dice
        self._free_at = 0.0
        self._until_flip: float | None = None

    def chance(self, share: float) -> bool:
        """Throw the dice."""
        return share > 0 and self._dice.random() < share

    def latency(self) -> float:
        """Draw delay and jitter."""
        o = self.options
        return o.delay_s + (self._dice.uniform(0.0, o.jitter_s) if o.jitter_s else 0.0)

    def backlog_s(self) -> float:
        """Return how long what enters now waits before the narrow pipe."""
        return max(0.0, self._free_at - monotonic())

    def through(self, size: int) -> float:
        """Return when ``size`` bytes are through the narrow pipe, behind all that came before."""
        rate = self.options.bytes_per_s
        if rate is None:
            return monotonic()
        self._free_at = max(monotonic(), self._free_at) + size / rate
        return self._free_at

    def spoiled(self, data: bytes) -> bytes:
        """Return the data with the bits flipped that are due."""
        every = self.options.flip_every
        if not every:
            return data
        if self._until_flip is None:
            self._until_flip = self._dice.expovariate(1 / every)
        if self._until_flip >= len(data):
            self._until_flip -= len(data)
            return data
        bad = bytearray(data)
        while self._until_flip < len(bad):
            bad[int(self._until_flip)] ^= 1 << self._dice.randrange(8)
            self._until_flip += 1 + self._dice.expovariate(1 / every)
        self._until_flip -= len(bad)
        return bytes(bad)
