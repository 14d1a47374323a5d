"""How each profile does: messages that it was given and refused, by time, for the last two hours.

The counters of the metrics tell how much was refused, not by which version; a version that was just
rolled out is judged by what it refuses, beside what the one before it refused. No I/O.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from gateway_core.clock import NS

SLOT_NS = 10 * NS
SLOTS = 720
MOST_PROFILES = 10_000

_Slot = tuple[int, int, int]
"""Which ten seconds since 1970, messages, refused ones."""


class Tally:
    """Counts by profile."""

    def __init__(self) -> None:
        self._slots: dict[str, deque[_Slot]] = {}

    def add(self, read_by: Sequence[str], refused_by: Sequence[str], received: int) -> None:
        """Count one batch.

        Args:
            read_by: Profile of each message that was read; empty for none.
            refused_by: Profile of each message that one profile alone was to read and refused.
            received: When, nanoseconds since 1970.
        """
        slot = received // SLOT_NS
        read, refused = Counter(read_by), Counter(refused_by)
        for profile in read.keys() | refused.keys():
            if profile:
                self._enter(profile, slot, read[profile] + refused[profile], refused[profile])

    def between(self, profile: str, start: int, stop: int) -> tuple[int, int]:
        """Return messages and refused ones of a profile in ``[start, stop)``, to ten seconds."""
        first, past = start // SLOT_NS, stop // SLOT_NS
        found = [each for each in self._slots.get(profile, ()) if first <= each[0] < past]
        return sum(each[1] for each in found), sum(each[2] for each in found)

    def _enter(self, profile: str, slot: int, messages: int, refused: int) -> None:
        slots = self._slots.get(profile)
        if slots is None:
            if len(self._slots) >= MOST_PROFILES:
                return
            slots = self._slots[profile] = deque(maxlen=SLOTS)
        if slots and slots[-1][0] == slot:
            _, before, before_refused = slots.pop()
            messages, refused = messages + before, refused + before_refused
        slots.append((slot, messages, refused))
