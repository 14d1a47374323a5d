"""A pipeline that commits into lists: what a source sees of the real one, under the test's control."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from edge_agent.arrival import Arrival
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.mqtt import MqttSource
from gateway_core.supervise import Patience, supervise


class FakeIngest:
    """Commits arrivals and state together, at once unless told otherwise.

    Attributes:
        stored: Committed arrivals in order.
        state: Committed state; a transaction either changes both or neither.
        commits: Number of transactions.
        trouble: Raised by every call while it is set, and nothing is stored.
        gate: Cleared, commits wait for it.
        on_commit: Called after each commit, before the source hears of it.
        verdict: Gives the rejection code of an arrival, or None.
        calls: How many calls were made, refused ones included.
        sizes: How many arrivals each of them had.
    """

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        self.stored: list[Arrival] = []
        self.state: dict[str, bytes] = dict(state or {})
        self.commits = 0
        self.calls = 0
        self.sizes: list[int] = []
        self.trouble: Exception | None = None
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
        self.sizes.append(len(arrivals))
        async with self._changed:
            self._changed.notify_all()
        if self.trouble is not None:
            raise self.trouble
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


class Killed(Exception):
    """Stands for the agent's end between a commit and the acknowledgement."""


def killed() -> None:
    """End the source as `FakeIngest.on_commit`."""
    raise Killed


@asynccontextmanager
async def supervised(source: MqttSource | CoapSource) -> AsyncIterator[None]:
    """Run a source as the agent does, until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(supervise(source.name, source.run, Patience(0.05, 0.2)))
        yield
        task.cancel()
