"""A pipeline that commits into lists: what a source sees of the real one, under the test's control."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from edge_agent.arrival import Arrival
from gateway_core.errors import SpoolFull


class FakeIngest:
    """Commits arrivals and state together, at once unless told otherwise.

    Attributes:
        stored: Committed arrivals in order.
        state: Committed state; a transaction either changes both or neither.
        commits: Number of transactions.
        room: While False every call raises `SpoolFull`.
        gate: Cleared, commits wait for it.
        on_commit: Called after each commit, before the source hears of it.
        verdict: Gives the rejection code of an arrival, or None.
        calls: How many calls were made, refused ones included.
    """

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        self.stored: list[Arrival] = []
        self.state: dict[str, bytes] = dict(state or {})
        self.commits = 0
        self.calls = 0
        self.room = True
        self.gate = asyncio.Event()
        self.gate.set()
        self.on_commit: Callable[[], None] = lambda: None
        self.verdict: Callable[[Arrival], str | None] = lambda _arrival: None
        self._changed = asyncio.Condition()

    async def __call__(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        """Commit."""
        self.calls += 1
        async with self._changed:
            self._changed.notify_all()
        if not self.room:
            raise SpoolFull("no room in this test")
        await self.gate.wait()
        self.stored += arrivals
        for key, value in state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        self.commits += 1
        self.on_commit()
        async with self._changed:
            self._changed.notify_all()
        return [self.verdict(each) for each in arrivals]

    async def until(self, count: int, within_s: float = 20.0) -> None:
        """Return when ``count`` arrivals are stored; fail the test if that never happens."""
        await self.when(lambda: len(self.stored) >= count, within_s)

    async def when(self, holds: Callable[[], bool], within_s: float = 20.0) -> None:
        """Return when ``holds`` after some call."""
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(holds)

    def payloads(self) -> list[bytes]:
        """Payloads in the order of commit."""
        return [each.payload for each in self.stored]
