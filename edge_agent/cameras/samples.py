"""Which streams are listened to, and when: those that somebody asks for, and suspicious ones.

Listening costs a session of the camera and megabits of the site's network, so only a few streams
are listened to at once, each suspicious one seldom, and no more are remembered than `MOST_DUE`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from edge_agent.cameras.board import Board, Entry
from edge_agent.cameras.evidence import Evidence, SampleCheck
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.stream_session import take_sample
from gateway_core.clock import monotonic
from gateway_core.meter import Meter

log = structlog.get_logger()

Take = Callable[[Entry, Evidence], Awaitable[None]]
MOST_DUE = 1000
_STEP_S = 0.5


class StreamSamples:
    """Listens to streams.

    Args:
        board: Of the patrol.
        settings: How long, how often and how many at once.
        gates: Shared with the checks.
        logins: Shared with the checks.
        take: Judges what was heard.
        meter: Gets ``tidegate_stream_samples``.
    """

    def __init__(
        self,
        board: Board,
        settings: PatrolSettings,
        gates: Gates,
        logins: Logins,
        take: Take,
        meter: Meter,
    ) -> None:
        self._board = board
        self._settings = settings
        self._gates = gates
        self._logins = logins
        self._take = take
        self._meter = meter
        self._room = asyncio.Semaphore(settings.sample_in_flight)
        self._due: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def suspect(self, feed_id: str) -> None:
        """Listen to a feed soon, unless it was listened to lately."""
        now = monotonic()
        lately = now - self._heard.get(feed_id, -1e9) < self._settings.sample_again_s
        if not lately and feed_id not in self._due and len(self._due) < MOST_DUE:
            self._due[feed_id] = now

    async def listen(self, entry: Entry) -> SampleCheck:
        """Listen to a feed now, or as soon as there is room, and judge it."""
        feed = entry.feed
        async with self._room, self._gates.hold(feed):
            check = await take_sample(feed, self._logins, self._settings)
        if self._board.get(feed.id) is entry:
            self._heard[feed.id] = monotonic()
        result = "not_heard" if check.sample is None else "ok"
        for each in check.faults or (result,):
            self._meter.count("tidegate_stream_samples", result=each)
        await self._take(entry, check)
        return check

    async def run(self) -> None:
        """Listen to what is due until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(_STEP_S)
                now = monotonic()
                if len(self._heard) > MOST_DUE:
                    again_s = self._settings.sample_again_s
                    self._heard = {k: at for k, at in self._heard.items() if now - at < again_s}
                for feed_id in [each for each, at in self._due.items() if at <= now]:
                    if self._room.locked():
                        break
                    del self._due[feed_id]
                    entry = self._board.get(feed_id)
                    if entry is not None and entry.memory.stream.state == "online":
                        group.create_task(self._listen(entry))
                        await asyncio.sleep(0)  # lets it take its room

    async def _listen(self, entry: Entry) -> None:
        check = await self.listen(entry)
        held = {each for seen in entry.memory.samples for each in seen.faults}
        if check.sample is None or not held:
            return
        # A second opinion at once; then now and then until what holds is gone.
        settled = set(check.faults) <= set(entry.memory.verdict.faults) and bool(check.faults)
        wait_s = self._settings.sample_again_s if settled else self._settings.sweep_s
        if len(self._due) < MOST_DUE:
            self._due[entry.feed.id] = monotonic() + wait_s
