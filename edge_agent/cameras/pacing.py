"""When each feed is due: once in a round, evenly, never in step, and sooner at need. Pure."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable


class Pace:
    """A timetable. Times are seconds of a monotonic clock.

    Args:
        round_s: Every key is due once in this time.
        chance: Where the order and the jitter are drawn from.
    """

    def __init__(self, round_s: float, chance: random.Random) -> None:
        self._round_s = round_s
        self._chance = chance
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def spread(
        self, keys: list[str], now: float, within_s: float, together: Callable[[str], str] = str
    ) -> None:
        """Enter new keys in a random order, their first turns evenly within ``within_s``.

        Args:
            keys: To enter.
            now: When the first turn is.
            within_s: In which time everybody has a turn.
            together: Keys for which it returns the same have their turn at the same time.
        """
        groups: dict[str, list[str]] = {}
        for key in keys:
            groups.setdefault(together(key), []).append(key)
        entered = 0
        for group in self._chance.sample(list(groups.values()), len(groups)):
            for key in group:
                self.set(key, now + within_s * entered / len(keys))
            entered += len(group)

    def set(self, key: str, due: float) -> None:
        """Enter a key, or move its next turn."""
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 4 * len(self._due) + 64:
            self._heap = [(at, each) for each, at in self._due.items()]
            heapq.heapify(self._heap)

    def discard(self, key: str) -> None:
        """Take a key out; one that is not in there is no error."""
        self._due.pop(key, None)

    def wait(self, now: float) -> float | None:
        """Return the seconds until the next turn, at least 0; None when there is no key."""
        self._settle()
        return max(0.0, self._heap[0][0] - now) if self._heap else None

    def take(self, now: float) -> str | None:
        """Return a key whose turn it is and enter its next turn; None when it is nobody's.

        A turn that came late does not push the later ones back, unless it is a whole round late:
        then the missed turns are left out.
        """
        self._settle()
        if not self._heap or self._heap[0][0] > now:
            return None
        due, key = heapq.heappop(self._heap)
        slot = self._round_s / len(self._due)
        following = due + self._round_s + self._chance.uniform(-slot, slot) / 2
        self.set(key, following if following > now else now + self._round_s)
        return key

    def due_in(self, key: str, now: float) -> float | None:
        """Return the seconds until a key's next turn, at least 0; None when it is not in there."""
        due = self._due.get(key)
        return None if due is None else max(0.0, due - now)

    def comes_after(self, key: str, due: float) -> bool:
        """Whether a key is in there and has its next turn later than ``due``."""
        return self._due.get(key, due) > due

    def _settle(self) -> None:
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)


class Allowance:
    """How many turns beyond one in each round are allowed: a share of the round, and no burst.

    Args:
        share: Of the turns of a round.
        burst: So many at once, on a small site too.
    """

    def __init__(self, share: float, burst: int) -> None:
        self._share = share
        self._burst = burst
        self._left = float(burst)
        self._at = 0.0

    def take(self, now: float, per_s: float) -> bool:
        """Take one if there is one left.

        Args:
            now: Seconds of the monotonic clock.
            per_s: Turns a second as the round demands them.
        """
        most = max(self._burst, 5 * self._share * per_s)
        gained = max(0.0, now - self._at) * self._share * per_s
        self._left, self._at = min(most, self._left + gained), now
        if self._left < 1:
            return False
        self._left -= 1
        return True
