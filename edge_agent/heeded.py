"""Arrivals whose alarms were told before their readings could be stored."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat

from edge_agent.arrival import Arrival

_MOST = 65_536


class Heeded:
    """Remembers arrivals until they are read again; the rules then know them already."""

    def __init__(self) -> None:
        # arrivals are held, so that no other gets the id
        self._held: dict[int, tuple[Arrival, int]] = {}

    def __bool__(self) -> bool:
        """Whether any are remembered."""
        return bool(self._held)

    def note(self, arrivals: Iterable[Arrival], received: Iterable[int] = repeat(0)) -> None:
        """Remember arrivals; the oldest beyond a bound are forgotten.

        Args:
            arrivals: They.
            received: The receive times that their readings were given; 0 for none yet.
        """
        pairs = zip(arrivals, received, strict=False)
        self._held.update((id(each), (each, stamp)) for each, stamp in pairs)
        while len(self._held) > _MOST:
            del self._held[next(iter(self._held))]

    def knows(self, arrival: Arrival) -> bool:
        """Tell whether an arrival is remembered."""
        return id(arrival) in self._held

    def take(self, arrival: Arrival) -> int | None:
        """Forget an arrival; return the receive time that its readings were given.

        0 where they were given none, None where it was not remembered.
        """
        found = self._held.pop(id(arrival), None)
        return None if found is None else found[1]
