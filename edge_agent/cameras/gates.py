"""How many checks may be under way at one device, in one group and in one neighbourhood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.cameras.address import neighbourhood
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.settings import PatrolSettings


class Gates:
    """Lets checks through, narrowest gate first, so that one waiting check holds up no stranger."""

    def __init__(self, settings: PatrolSettings) -> None:
        self._settings = settings
        self._open: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def hold(self, feed: Feed) -> AsyncIterator[None]:
        """Wait for room at all of a feed's gates and keep it."""
        limits = [
            (f"device {feed.place}", self._settings.per_host),
            (f"group {feed.group}" if feed.group else "", self._settings.per_group),
            (f"near {neighbourhood(feed.host)}", self._settings.per_neighbourhood),
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
