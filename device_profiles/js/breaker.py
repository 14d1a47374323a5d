"""The circuit breaker: a codec that wastes time is refused at once, for longer each time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

LIMIT_S = 0.5
"""Time that one codec may waste in a minute."""

MINUTE_S = 60.0
FIRST_S = 30.0
LONGEST_S = 3600.0


@dataclass(slots=True)
class _Record:
    wasted: float = 0.0
    at: float = 0.0
    until: float = 0.0
    interval: float = FIRST_S
    opened: bool = False


class Breaker:
    """Counts the time that codecs waste, and closes the door on those that waste much.

    Args:
        clock: Seconds on a clock that never jumps.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: dict[Hashable, _Record] = {}

    def wait(self, key: Hashable) -> float:
        """Return for how many seconds the codec is refused; 0 when it may run."""
        record = self._records.get(key)
        return 0.0 if record is None else max(0.0, record.until - self._clock())

    def strike(self, key: Hashable, cost_s: float) -> float:
        """Count wasted time.

        Args:
            key: The codec.
            cost_s: Seconds.

        Returns:
            For how long it is refused from now on, 0 when it may go on. The first strike within a
            minute after a refusal ended is enough, and each refusal is twice as long as the last;
            an hour without one forgets that.
        """
        now = self._clock()
        record = self._records.setdefault(key, _Record(at=now))
        if record.opened and now - record.until > LONGEST_S:
            record.opened, record.interval = False, FIRST_S
        record.wasted = max(0.0, record.wasted - (now - record.at) * LIMIT_S / MINUTE_S) + cost_s
        record.at = now
        on_trial = record.opened and now - record.until < MINUTE_S
        if record.wasted <= LIMIT_S and not on_trial:
            return 0.0
        span = record.interval
        record.until, record.interval = now + span, min(2 * span, LONGEST_S)
        record.opened, record.wasted = True, 0.0
        return span
