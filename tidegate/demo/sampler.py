"""How long a message takes from its sender to an answer of the store, measured from outside.

Some devices are followed: as soon as one of their messages is acknowledged, the store is asked
for it again and again until it is there. The latency is the time of that answer minus the time of
sending, so it holds the time of the query and up to one pause between two queries: it is never
shorter than the truth. Messages that never become visible stay in `waiting`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

from gateway_core.clock import NS, Clock, wall_ns
from simulators.sensors.truth import Acknowledged, Key
from tidegate.simulate.store import Store

_PAUSE_S = 0.05
_AHEAD_NS = 60 * NS


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies in milliseconds; None where nothing was measured.

    Args:
        samples: Messages that were followed until they were visible.
        unseen: Messages that were followed and never became visible.
        p50_ms: Half of the samples took no longer.
        p99_ms: 99 of 100 took no longer.
        resolution_ms: Mean time between two looks; a sample is too long by up to that much.
    """

    samples: int
    unseen: int
    p50_ms: float | None
    p99_ms: float | None
    resolution_ms: float | None


class Sampler:
    """Follows some devices; `run` it beside the simulation.

    Args:
        store: Is asked.
        clock: The clock that the senders use.
    """

    def __init__(self, store: Store, clock: Clock = wall_ns) -> None:
        self._store = store
        self._measurement = ""
        self._devices: list[str] = []
        self._followed: frozenset[str] = frozenset()
        self._clock = clock
        self._milliseconds: list[float] = []
        self._looks = 0
        self._looking_ns = 0
        self.waiting: dict[Key, int] = {}

    def follow(self, measurement: str, devices: Collection[str]) -> None:
        """Follow these devices, whose readings go to one measurement, from now on."""
        self._measurement = measurement
        self._devices = sorted(devices)
        self._followed = frozenset(devices)

    def acknowledged(self, message: Acknowledged) -> None:
        """Follow a message, if it is one of a device that is followed."""
        if message.device in self._followed:
            self.waiting[message.device, message.seq] = message.sent_ns

    async def run(self) -> NoReturn:
        """Look until cancelled.

        Raises:
            Unavailable: The store does not answer.
        """
        while True:
            began = self._clock()
            if self.waiting:
                await self.look()
            await asyncio.sleep(_PAUSE_S)
            if self.waiting:
                self._looks += 1
                self._looking_ns += self._clock() - began

    async def look(self) -> None:
        """Ask once for everything that is waited for."""
        since = min(self.waiting.values()) - NS
        until = self._clock() + _AHEAD_NS
        found = await self._store.keys(self._measurement, since, until, self._devices)
        now = self._clock()
        for key in found:
            sent = self.waiting.pop(key, None)
            if sent is not None:
                self._milliseconds.append((now - sent) / 1e6)

    def latency(self) -> Latency:
        """Return what was measured so far."""
        ordered = sorted(self._milliseconds)
        return Latency(
            samples=len(ordered),
            unseen=len(self.waiting),
            p50_ms=quantile(ordered, 0.50),
            p99_ms=quantile(ordered, 0.99),
            resolution_ms=round(self._looking_ns / self._looks / 1e6, 1) if self._looks else None,
        )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the least value that at least ``share`` of the values do not exceed."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)
