"""Arrivals whose alarms were told before their readings could be stored."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.arrival import Arrival

_MOST = 65_536


class Heeded:
    """Remembers arrivals until they are read again; the rules then know them already."""

    def __init__(self) -> None:
        self._held: dict[int, Arrival] = {}  # held, so that no other gets the id

    def __bool__(self) -> bool:
        """Whether any are remembered."""
        return bool(self._held)

    def note(self, arrivals: Iterable[Arrival]) -> None:
        """Remember arrivals; the oldest beyond a bound are forgotten."""
        self._held.update((id(each), each) for each in arrivals)
        while len(self._held) > _MOST:
            del self._held[next(iter(self._held))]

    def knows(self, arrival: Arrival) -> bool:
        """Tell whether an arrival is remembered."""
        return id(arrival) in self._held

    def take(self, arrival: Arrival) -> bool:
        """Tell whether an arrival was remembered, and forget it."""
        return self._held.pop(id(arrival), None) is not None
