"""What an edge tells the collector of itself beside its uploads: backlog, oldest record, residual.

Headers of the request, read by the collector's intake. They hold counts and one instant, nothing
that a device said. An upload that accounts for nothing new carries them when there is nothing to
send, so that a quiet edge is not taken for one that is gone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import NoReturn

from gateway_core.clock import monotonic
from gateway_core.spool import Spool

RUN_HEADER = "Tidegate-Run"
STATE_RUN = "uplink/run"
"""Spool state: which run of the agent sends."""
BEAT_S = 15.0
"""Longest silence towards the collector while it can be reached; it calls an edge stale at 90 s."""
_FRESH_S = 2.0
_COUNT_SHARE = 50
"""Counting a deep backlog takes long: it may take one part in so many of the reader's time."""


class SelfReport:
    """Reads the spool's books for one consumer, at most every two seconds.

    Args:
        spool: Whose books.
        consumer: Whose backlog.
    """

    def __init__(self, spool: Spool, consumer: str) -> None:
        self._spool = spool
        self._consumer = consumer
        self._run: dict[str, str] = {}
        self._headers: dict[str, str] = {}
        self._read_at = -_FRESH_S
        self._residual = 0
        self._count_at = 0.0
        self.said_at = 0.0

    async def begin(self) -> None:
        """Begin a run of the agent, which every request names beside the run before it.

        A disk that was copied holds the same earlier run: so the collector notices two agents.

        Raises:
            Unavailable: The disk failed.
        """
        before = (await self._spool.state(STATE_RUN)).get(STATE_RUN, b"").decode("ascii", "replace")
        run = secrets.token_hex(8)
        await self._spool.append((), source="uplink", state={STATE_RUN: run.encode()})
        self._run = {RUN_HEADER: f"{run};{before}"}

    async def headers(self) -> dict[str, str]:
        """Return the headers of the next request."""
        self.said_at = monotonic()
        if self.said_at - self._read_at < _FRESH_S:
            return self._headers
        if self.said_at >= self._count_at:
            self._residual = (await self._spool.books()).residual
            took = monotonic() - self.said_at
            self._count_at = self.said_at + max(_FRESH_S, _COUNT_SHARE * took)
        self._read_at = self.said_at
        self._headers = found = {"Tidegate-Residual": str(self._residual), **self._run}
        if not self._spool.knows(self._consumer):
            return found
        waiting, _ = self._spool.outstanding(self._consumer)
        found["Tidegate-Backlog"] = str(waiting)
        oldest = await self._spool.read_beyond(self._consumer, 0, 1) if waiting else None
        if oldest is not None:
            record = oldest.records[0]
            found["Tidegate-Oldest"] = str(getattr(record, "received", record.time))
        return found

    async def run(self, beat: Callable[[], Awaitable[None]]) -> NoReturn:
        """Call ``beat`` whenever nothing was said for `BEAT_S`, for ever.

        Raises:
            Unavailable: As ``beat`` does; run it under `supervise`.
        """
        while True:
            held = self._headers.get("Tidegate-Backlog", "0") != "0"
            patience = _FRESH_S if held else BEAT_S  # a figure that is out of date is mended soon
            quiet = monotonic() - self.said_at
            if quiet >= patience:
                await beat()
                quiet = 0.0
            await asyncio.sleep(min(patience - quiet, _FRESH_S))
