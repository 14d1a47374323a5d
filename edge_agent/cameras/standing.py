"""Which faults one device says it has now. Pure; times are seconds of a monotonic clock.

Invariants: a fault that the device called a property stands until it says that it ended; it ends
by itself when the device does not repeat it within `SYNC_S` of a new subscription, and when there
is no subscription for `LOST_S`. A fault told in passing ends after `MOMENT_S`. At most
`MAX_STANDING` are kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from edge_agent.cameras.notifications import EventFault, Notification

MOMENT_S = 120.0
SYNC_S = 30.0
LOST_S = 300.0
MAX_STANDING = 128

_Key = tuple[tuple[str, ...], frozenset[str]]
"""Topic and source: what makes a property one."""


@dataclass(slots=True)
class _Stands:
    fault: EventFault
    until: float | None


class Standing:
    """What one device has told and not taken back."""

    def __init__(self) -> None:
        self._faults: dict[_Key, _Stands] = {}

    def subscribed(self, now: float) -> None:
        """A subscription begins: the device will say anew which properties there are."""
        self._limit(now + SYNC_S)

    def lost(self, now: float) -> None:
        """The subscription is lost: what is known may no longer be so."""
        self._limit(now + LOST_S)

    def note(self, notifications: Iterable[Notification], now: float) -> list[Notification]:
        """Take up what was told; return what is about a fault."""
        taken: list[Notification] = []
        for each in notifications:
            if each.fault is None:
                continue
            taken.append(each)
            key = (each.topic, each.source)
            if not each.on:
                self._faults.pop(key, None)
            elif key in self._faults or len(self._faults) < MAX_STANDING:
                until = None if each.change else now + MOMENT_S
                self._faults[key] = _Stands(each.fault, until)
        return taken

    def expire(self, now: float) -> None:
        """Let go of what has come to its end."""
        ended = [key for key, each in self._faults.items() if _ended(each, now)]
        for key in ended:
            del self._faults[key]

    def next_end(self) -> float | None:
        """Return when the next one ends by itself; None when none does."""
        return min((each.until for each in self._faults.values() if each.until), default=None)

    def faults(self, sources: Collection[str], *, alone: bool) -> tuple[EventFault, ...]:
        """Return the faults of one feed.

        Args:
            sources: What the device calls the feed's video source.
            alone: Nothing else than this feed can be meant.
        """
        mine = {
            stands.fault
            for (_, source), stands in self._faults.items()
            if alone or not source.isdisjoint(sources)
        }
        return tuple(sorted(mine))

    def _limit(self, until: float) -> None:
        for each in self._faults.values():
            each.until = until if each.until is None else min(each.until, until)


def _ended(stands: _Stands, now: float) -> bool:
    return stands.until is not None and stands.until <= now
