"""A lull: for a moment no sink is sending, so that stores and spool can be seen together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway_core.errors import Unavailable

PATIENCE_S = 60.0


class Lull:
    """Lets sends pass until somebody asks for a lull; then they wait, none of them is cut short."""

    def __init__(self) -> None:
        self._sending = 0
        self._open, self._idle = asyncio.Event(), asyncio.Event()
        self._open.set()
        self._idle.set()

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Hold off a lull while the block runs; wait first while there is one."""
        while not self._open.is_set():
            await self._open.wait()
        self._sending += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._sending -= 1
            if not self._sending:
                self._idle.set()

    @contextlib.asynccontextmanager
    async def held(self, patience_s: float = PATIENCE_S) -> AsyncIterator[None]:
        """Hold a lull while the block runs: what was being sent has arrived, nothing new begins.

        Raises:
            Unavailable: Something is still being sent after ``patience_s``, or somebody else
                holds a lull.
        """
        if not self._open.is_set():
            raise Unavailable("somebody else is taking a snapshot just now; try again later")
        self._open.clear()
        try:
            async with asyncio.timeout(patience_s):
                await self._idle.wait()
            yield
        except TimeoutError as exc:
            raise Unavailable(
                f"a batch has been on its way to a store for {patience_s:.0f} s; "
                "see `tidegate collector status`, mend the store and try again"
            ) from exc
        finally:
            self._open.set()
