"""The patrol: visits every feed once a sweep, judges it, and hands the records on.

Invariants: checks under way, records waiting and everything remembered of a feed are bounded; a
record is let go of only when ``append`` has returned; while records cannot be stored the sweep
waits, and feeds that it does not get to turn stale.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from edge_agent.cameras.board import Board, Entry, FeedStatus
from edge_agent.cameras.evidence import Evidence, StreamCheck
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.inventory import Changes, Feed, compare
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.outage import OutageWatch
from edge_agent.cameras.pacing import Pace
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import UNREACHED, Outcome
from edge_agent.cameras.visits import DeviceVisits
from gateway_core.clock import Clock, monotonic, wall_ns
from gateway_core.meter import Meter
from gateway_core.model import FeedState, Listed, Record
from gateway_core.supervise import Patience, supervise

log = structlog.get_logger()

Append = Callable[[Sequence[Record]], Awaitable[Any]]
"""Returns when the records are stored for good; raises `Unavailable` when they are not."""

MAX_WAITING = 10_000
"""Records that wait to be stored; when it is full the sweep waits."""
_STEP_S = 0.01
_TICK_S = 5.0
_SHARED: frozenset[Outcome] = UNREACHED | {"refused", "timeout"}
_SHARED_S = 10.0


class Patrol:
    """Watches the feeds of one edge.

    Args:
        edge: The edge's id.
        feeds: By id, from `inventory.load_feeds`.
        append: Stores records.
        settings: Pace and limits.
        clock: Wall clock, for the records.
        meter: Gets ``tidegate_feed_checks``, ``tidegate_feed_coverage``, ``tidegate_feeds`` and
            ``tidegate_pictures``.
        chance: Order and jitter.
    """

    def __init__(
        self,
        edge: str,
        feeds: Mapping[str, Feed],
        append: Append,
        *,
        settings: PatrolSettings | None = None,
        clock: Clock = wall_ns,
        meter: Meter | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._edge = edge
        self._append = append
        self._settings = settings = settings or PatrolSettings()
        self._clock = clock
        self._meter = meter or Meter()
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._board = Board(edge, settings)
        self._pace = Pace(settings.sweep_s, self._chance)
        self._gates = Gates(settings)
        self._logins = Logins()
        self._outage = OutageWatch()
        self._failed: dict[str, tuple[float, StreamCheck]] = {}
        self._outbox: asyncio.Queue[Record] = asyncio.Queue(MAX_WAITING)
        self._to_list: list[Feed] = []
        self._unsent: list[Record] = []
        self._visits = DeviceVisits(
            settings, self._gates, self._logins, self._take, self._clock, self._meter
        )
        self.replace(feeds)

    async def run(self) -> None:
        """Patrol until cancelled."""
        async with self._visits.open() as visits, asyncio.TaskGroup() as group:
            group.create_task(supervise("feed_records", self._write, Patience(0.5, 10.0)))
            group.create_task(self._keep_time())
            group.create_task(visits.run(self._board, self._outage, self._chance))
            room = asyncio.Semaphore(self._settings.in_flight)
            while True:
                wait = self._pace.wait(monotonic())
                if wait is None or wait > 0:
                    # Feeds that fall due within a hundredth of a second set out together.
                    await asyncio.sleep(max(_STEP_S, min(wait or 1.0, 1.0)))
                while feed_id := self._pace.take(monotonic()):
                    entry = self._board.get(feed_id)
                    if entry is None:
                        continue
                    if entry.busy:
                        self._meter.count("tidegate_feed_checks", result="busy")
                        continue
                    await room.acquire()
                    entry.busy = True
                    group.create_task(self._visit(entry, room))

    def replace(self, feeds: Mapping[str, Feed]) -> Changes:
        """Take over a new listing; a changed credential may be tried at once."""
        changes = compare(self._board.feeds(), feeds)
        now = self._clock()
        for feed in changes.removed:
            self._board.remove(feed.id)
            self._pace.discard(feed.id)
        for feed in (*changes.added, *changes.changed):
            self._board.put(feed, now)
            self._to_list.append(feed)
        self._pace.spread([feed.id for feed in changes.added], monotonic(), self._settings.sweep_s)
        self._logins.forget_except(feeds.values())
        places = {feed.place for feed in feeds.values()}
        self._outage.forget_except(places)
        self._failed = {key: value for key, value in self._failed.items() if key in places}
        self._visits.relist(changes)
        return changes

    def maintain(self, feed_id: str, *, on: bool) -> bool:
        """Mark a feed as being worked on, or end that; return whether it is listed."""
        entry = self._board.get(feed_id)
        if entry is not None:
            entry.maintenance = on
        return entry is not None

    def states(self) -> dict[FeedState, int]:
        """Return how many feeds are in each state."""
        return dict(self._board.states())

    def coverage(self) -> float | None:
        """Return the share of feeds judged within the last sweep; None without feeds."""
        return self._board.coverage(self._clock())

    def rows(self) -> Iterator[FeedStatus]:
        """Yield the state of every feed."""
        return self._board.rows()

    async def _visit(self, entry: Entry, room: asyncio.Semaphore) -> None:
        feed = entry.feed
        try:
            async with self._gates.hold(feed):
                check = await self._check(entry, feed)
            self._meter.count("tidegate_feed_checks", result=check.outcome)
            await self._take(entry, check)
        finally:
            entry.busy = False
            room.release()

    async def _check(self, entry: Entry, feed: Feed) -> StreamCheck:
        failed = self._failed.get(feed.place)
        now = monotonic()
        if failed is not None and now - failed[0] < min(_SHARED_S, self._settings.sweep_s / 6):
            return failed[1]  # a dead NVR is asked once for all of its channels
        recent = entry.memory.streams
        healthy = bool(recent) and recent[-1].state == entry.memory.stream.state == "online"
        plan = Plan(describe=not healthy or now >= entry.describe_at, fingerprint=entry.fingerprint)
        check = await check_stream(feed, plan, self._logins, self._settings)
        if check.described:
            self._describe_later(entry)
        if check.fingerprint:
            entry.fingerprint = check.fingerprint
        check = self._doubt(feed, check)
        if check.outcome in _SHARED and check.rtt_ms is None:
            self._failed[feed.place] = (monotonic(), check)
        else:
            self._failed.pop(feed.place, None)
        return check

    def _describe_later(self, entry: Entry) -> None:
        spread = self._chance.uniform(0.8, 1.2)
        entry.describe_at = monotonic() + self._settings.describe_s * spread

    def _doubt(self, feed: Feed, check: StreamCheck) -> StreamCheck:
        """Turn a failure to reach a host into `network_down` while nobody is reached."""
        if check.outcome in {"own_limit", "name_unresolved"}:
            return check
        was_down = self._outage.down
        self._outage.note(feed.place, reached=check.outcome not in UNREACHED)
        if self._outage.down != was_down:
            event = "network_lost" if self._outage.down else "network_recovered"
            log.warning(event, last_feed=feed.id, last_outcome=check.outcome)
        if self._outage.down and check.outcome in UNREACHED:
            return StreamCheck("network_down", detail=check.detail)
        return check

    async def _take(self, entry: Entry, evidence: Evidence) -> None:
        if self._board.get(entry.feed.id) is not entry:
            return  # taken off the list meanwhile
        record = self._board.note(entry, evidence, self._clock())
        if record is not None:
            await self._outbox.put(record)

    async def _keep_time(self) -> None:
        while True:
            while self._to_list:
                await self._outbox.put(self._listed(self._to_list.pop()))
            now = self._clock()
            for record in list(self._board.tick(now)):
                await self._outbox.put(record)
            coverage = self._board.coverage(now)
            if coverage is not None:
                self._meter.set("tidegate_feed_coverage", coverage)
            await asyncio.sleep(min(_TICK_S, self._settings.sweep_s / 4))

    def _listed(self, feed: Feed) -> Listed:
        return Listed(
            edge=self._edge,
            kind="feed",
            id=feed.id,
            time=self._clock(),
            name=feed.name,
            area=feed.area,
            lat=feed.lat,
            lon=feed.lon,
        )

    async def _write(self) -> None:
        while True:
            if not self._unsent:
                self._unsent.append(await self._outbox.get())
            while len(self._unsent) < 1000 and not self._outbox.empty():
                self._unsent.append(self._outbox.get_nowait())
            await self._append(tuple(self._unsent))
            self._unsent.clear()
