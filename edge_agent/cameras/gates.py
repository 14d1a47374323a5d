"""How many checks may be under way at one device, in one group and in one neighbourhood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from edge_agent.cameras.address import neighbourhood
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.parents import Kind
from edge_agent.cameras.settings import PatrolSettings

Size = Callable[[str, Kind], int]
FEEDS_EACH = 100
"""One check at once for so many feeds of a large group: a tenth of them may be dead, each for
three seconds, and the sweep still gets round."""


class Gates:
    """Lets checks through, narrowest gate first, so that one waiting check holds up no stranger.

    Args:
        settings: The limits.
        size: How many feeds there are in a feed's group or subnet.
    """

    def __init__(self, settings: PatrolSettings, size: Size = lambda _feed, _kind: 1) -> None:
        self._settings = settings
        self._size = size
        self._open: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def hold(self, feed: Feed) -> AsyncIterator[None]:
        """Wait for room at all of a feed's gates and keep it."""
        limits = [
            (f"device {feed.place}", self._settings.per_host),
            (f"group {feed.group}" if feed.group else "", self._room(feed, "group")),
            (f"near {neighbourhood(feed.host)}", self._room(feed, "net")),
        ]
        held: list[str] = []
        try:
            for key, limit in limits:
                if key:
                    await self._enter(key, limit)
                    held.append(key)
            yield
        finally:
            for key in reversed(held):
                self._open[key][0].release()
                self._leave(key)

    def __len__(self) -> int:
        return len(self._open)

    def _room(self, feed: Feed, kind: Kind) -> int:
        settings = self._settings
        least = settings.per_group if kind == "group" else settings.per_neighbourhood
        return max(least, self._size(feed.id, kind) // FEEDS_EACH)

    async def _enter(self, key: str, limit: int) -> None:
        gate, users = self._open.get(key) or (asyncio.Semaphore(limit), 0)
        self._open[key] = (gate, users + 1)
        entered = False
        try:
            await gate.acquire()
            entered = True
        finally:
            if not entered:
                self._leave(key)

    def _leave(self, key: str) -> None:
        gate, users = self._open[key]
        if users > 1:
            self._open[key] = (gate, users - 1)
        else:
            del self._open[key]
