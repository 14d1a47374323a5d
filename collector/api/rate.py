"""How many records a second came in, over the last minutes: a ring of samples in memory."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from gateway_core.clock import NS, Clock


class IngestRate:
    """Samples a growing counter.

    Args:
        total: Returns how many records were accepted so far.
        clock: The wall clock.
        every_s: Seconds between two samples.
        keep: Samples kept; 300 at 2 s are ten minutes.
    """

    def __init__(
        self, total: Callable[[], int], clock: Clock, *, every_s: float = 2.0, keep: int = 300
    ) -> None:
        self._total = total
        self._clock = clock
        self._every_s = every_s
        self._samples: deque[tuple[int, int]] = deque(maxlen=keep + 1)

    async def run(self) -> NoReturn:
        """Take a sample every ``every_s`` seconds, for ever."""
        while True:
            self.sample()
            await asyncio.sleep(self._every_s)

    def sample(self) -> None:
        """Take one sample now."""
        self._samples.append((self._clock(), self._total()))

    def per_second(self) -> float | None:
        """Return the rate between the last two samples, or None before there are two."""
        rates = self.series()[1][-1:]
        return rates[0] if rates else None

    def series(self) -> tuple[list[float], list[float]]:
        """Return times (seconds since 1970) and the rates up to each of them."""
        times: list[float] = []
        rates: list[float] = []
        samples = list(self._samples)
        for (before, less), (at, more) in itertools.pairwise(samples):
            if at > before:  # a clock that was set back gives no rate, rather than a wrong one
                times.append(at / NS)
                rates.append((more - less) * NS / (at - before))
        return times, rates
