"""Turns: of the commands that would disturb one another, one at a time, in the order of asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Lane:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Turns:
    """Lanes by name; a lane that nobody uses is forgotten."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def __len__(self) -> int:
        """Return how many lanes are used."""
        return len(self._lanes)

    @asynccontextmanager
    async def taken(self, names: Sequence[str], within_s: float) -> AsyncIterator[bool]:
        """Hold lanes within the block.

        Args:
            names: In an order that is the same for everybody, so that no two wait for each other.
            within_s: Longest wait, in seconds.

        Yields:
            Whether it came to that; False when the time was over.
        """
        held: list[asyncio.Lock] = []
        lanes = [self._lanes.setdefault(name, _Lane()) for name in names]
        for lane in lanes:
            lane.users += 1
        try:
            try:
                async with asyncio.timeout(max(0.0, within_s)):
                    for lane in lanes:
                        await lane.lock.acquire()
                        held.append(lane.lock)
            except TimeoutError:
                yield False
            else:
                yield True
        finally:
            for lock in held:
                lock.release()
            for name, lane in zip(names, lanes, strict=True):
                lane.users -= 1
                if not lane.users:
                    del self._lanes[name]
