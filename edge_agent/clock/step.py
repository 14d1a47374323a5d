"""A step of the wall clock: what instants that it told before are called now. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set, not slewed.

    Attributes:
        by: How far ahead, in nanoseconds; below 0: back.
        since: First instant that it told before, since it was last set or the machine was started.
        until: Last one.
    """

    by: int
    since: int
    until: int

    def shown(self, instant: int) -> int:
        """Return an instant that this clock told as it would tell it now; any other as it is."""
        return instant + self.by if self.since <= instant <= self.until else instant
