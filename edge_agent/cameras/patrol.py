"""The patrol: visits every feed once a sweep, judges it, and hands the records on.

Invariants: checks under way, records waiting and everything remembered of a feed are bounded; a
record is let go of only when ``append`` has returned; while records cannot be stored the sweep
waits, and feeds that it does not get to turn stale.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from edge_agent.cameras.alarms import PatrolAlarms
from edge_agent.cameras.board import Board, Entry
from edge_agent.cameras.evidence import Evidence, PictureCheck, StreamCheck
from edge_agent.cameras.feed_status import FeedDetail, FeedStatus, detail_of, status_of
from edge_agent.cameras.instant import Now
from edge_agent.cameras.inventory import Changes, Feed, compare
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.looks import StreamLooks
from edge_agent.cameras.pacing import Allowance, Pace
from edge_agent.cameras.pictures import PictureGrading
from edge_agent.cameras.samples import StreamSamples
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.visits import DeviceVisits
from gateway_core.clock import Clock, monotonic, wall_ns
from gateway_core.meter import Meter
from gateway_core.model import FeedState, Listed, Record
from gateway_core.supervise import Patience, supervise

log = structlog.get_logger()

State = Mapping[str, bytes | None]
Append = Callable[[Sequence[Record], State], Awaitable[Any]]
"""Returns when the records are stored for good, and the state with them (None deletes a key);
raises `Unavailable` when they are not."""
STATE = "camera/"
"""What the keys of the state begin with."""
MAINTENANCE = f"{STATE}maintenance/"

MAX_WAITING = 10_000
"""Records that wait to be stored; when it is full the sweep waits."""
_STEP_S = 0.01
_TICK_S = 5.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is to be stored: a record, or a key of the state, or both."""

    record: Record | None = None
    key: str = ""
    value: bytes | None = None


class Patrol:
    """Watches the feeds of one edge.

    Args:
        edge: The edge's id.
        feeds: By id, from `feeds_file.load_feeds`.
        append: Stores records.
        settings: Pace and limits.
        clock: Wall clock, for the records.
        meter: Gets ``tidegate_feed_checks``, ``tidegate_feed_coverage``, ``tidegate_feeds``,
            ``tidegate_feed_extra_checks``, ``tidegate_feed_parents_lost``,
            ``tidegate_pictures`` and ``tidegate_stream_samples``.
        chance: Order and jitter.
        baselines: Where to keep what pictures usually are like; None keeps it in memory.
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
        baselines: Path | None = None,
    ) -> None:
        self._edge = edge
        self._append = append
        self._settings = settings = settings or PatrolSettings()
        self._clock = clock
        self._meter = meter or Meter()
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._board = Board(edge, settings)
        self._pace = Pace(settings.sweep_s, self._chance)
        self._extra = Allowance(settings.extra_share, settings.extra_burst)
        self._logins = Logins()
        self._looks = StreamLooks(settings, self._logins, self._chance, self._at_once)
        self._alarms = PatrolAlarms(edge, settings)
        self._outbox: asyncio.Queue[_Kept] = asyncio.Queue(MAX_WAITING)
        self._to_list: list[Feed] = []
        self._to_forget: list[str] = []
        self._unsent: list[_Kept] = []
        self.pictures = PictureGrading(baselines, clock, self._meter)
        self._visits = DeviceVisits(
            settings,
            self._looks.gates,
            self._logins,
            self._take,
            self._clock,
            self._meter,
            self.pictures,
        )
        self._samples = StreamSamples(
            self._board, settings, self._looks.gates, self._logins, self._take, self._meter
        )
        self.replace(feeds)

    async def run(self) -> None:
        """Patrol until cancelled."""
        async with self._visits.open() as visits, asyncio.TaskGroup() as group:
            group.create_task(supervise("feed_records", self._write, Patience(0.5, 10.0)))
            group.create_task(self._keep_time())
            group.create_task(self._samples.run())
            group.create_task(visits.run(self._board, self._looks.outage, self._chance))
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
                    entries = [entry, *self._companions(entry)]
                    for each in entries:
                        each.busy = True
                    group.create_task(self._visit(entries, room))

    def replace(self, feeds: Mapping[str, Feed]) -> Changes:
        """Take over a new listing; a changed credential may be tried at once."""
        changes = compare(self._board.feeds(), feeds)
        now = self._clock()
        for feed in changes.removed:
            self._board.remove(feed.id)
            self._pace.discard(feed.id)
            self._to_forget.append(MAINTENANCE + feed.id)
        for feed in (*changes.added, *changes.changed):
            self._board.put(feed, now)
            self._to_list.append(feed)
        added, sweep_s = [feed.id for feed in changes.added], self._settings.sweep_s
        self._pace.spread(added, monotonic(), sweep_s, lambda key: feeds[key].place)
        self._logins.forget_except(feeds.values())
        self._looks.relist(feeds.values())
        self._visits.relist(changes)
        return changes

    def recall(self, state: Mapping[str, bytes]) -> None:
        """Take up what `Append` was told to keep, before `run`."""
        for label in self._alarms.recall(state):
            self._looks.parents.presume_lost(label, monotonic())
        self._logins.recall(state, self._board.feeds().values(), self._now())
        for key in state:
            if key.startswith(MAINTENANCE):
                entry = self._board.get(key.removeprefix(MAINTENANCE))
                if entry is not None:
                    entry.maintenance = True
                else:
                    self._to_forget.append(key)

    async def maintain(self, feed_id: str, *, on: bool) -> bool:
        """Mark a feed as being worked on, or end that; return, once stored, whether it is listed.

        Raises:
            Unavailable: It cannot be stored; nothing was changed.
        """
        entry = self._board.get(feed_id)
        if entry is None:
            return False
        await self._append((), {MAINTENANCE + feed_id: b"1" if on else None})
        entry.maintenance = on
        record = self._board.look_again(entry, self._clock())
        if record is not None:
            await self._outbox.put(_Kept(record))
        return True

    async def sample(self, feed_id: str) -> bool:
        """Listen to a feed's packets for a few seconds; return whether it is listed."""
        entry = self._board.get(feed_id)
        if entry is not None:
            await self._samples.listen(entry)
        return entry is not None

    def states(self) -> dict[FeedState, int]:
        """Return how many feeds are in each state."""
        return dict(self._board.states())

    def coverage(self) -> float | None:
        """Return the share of feeds judged within the last sweep; None without feeds."""
        return self._board.coverage(self._clock())

    def rows(self) -> Iterator[FeedStatus]:
        """Yield the state of every feed."""
        return map(status_of, self._board.entries())

    def detail(self, feed_id: str) -> FeedDetail | None:
        """Return what explains a feed's verdict; None when it is not listed."""
        entry = self._board.get(feed_id)
        if entry is None:
            return None
        parent, now = self._looks.parents.lost(feed_id), monotonic()
        return detail_of(
            entry,
            parent=parent.label if parent is not None else "",
            login=self._logins.permit(entry.feed, now),
            next_check_s=self._pace.due_in(feed_id, now),
        )

    def _companions(self, entry: Entry) -> Iterator[Entry]:
        """Yield the other channels of a device whose turn is not long off, and give them theirs."""
        now, sweep_s = monotonic(), self._settings.sweep_s
        for feed_id in sorted(self._looks.channels(entry.feed) - {entry.feed.id}):
            other, wait_s = self._board.get(feed_id), self._pace.due_in(feed_id, now)
            if other is not None and not other.busy and wait_s is not None and wait_s < sweep_s / 2:
                self._pace.set(feed_id, now + sweep_s)
                yield other

    async def _visit(self, entries: Sequence[Entry], room: asyncio.Semaphore) -> None:
        left: Sequence[Entry] = ()
        try:
            left = await self._looks.look(entries, self._looked)
        finally:
            for entry in entries:
                entry.busy = False
            room.release()
        for entry in left:
            within_s = self._chance.uniform(0, self._settings.sweep_s / 2)
            self._pace.set(entry.feed.id, monotonic() + within_s)

    async def _looked(self, entry: Entry, check: StreamCheck) -> None:
        self._meter.count("tidegate_feed_checks", result=check.outcome)
        for key, value in self._logins.changes(self._now()):
            await self._outbox.put(_Kept(None, key, value))
        await self._take(entry, check)
        if entry.memory.unsettled():
            self._sooner(entry.feed.id, self._settings.again_sweeps * self._settings.sweep_s)

    def _at_once(self, feed_ids: Collection[str]) -> None:
        for feed_id in feed_ids:
            self._sooner(feed_id, 0.0)

    def _sooner(self, feed_id: str, within_s: float) -> None:
        """Let a feed have its turn sooner, as far as the extra turns go."""
        now = monotonic()
        per_s = len(self._board) / self._settings.sweep_s
        if self._pace.comes_after(feed_id, now + within_s) and self._extra.take(now, per_s):
            self._pace.set(feed_id, now + within_s)
            self._meter.count("tidegate_feed_extra_checks")

    async def _take(self, entry: Entry, evidence: Evidence) -> None:
        if self._board.get(entry.feed.id) is not entry:
            return  # taken off the list meanwhile
        record = self._board.note(entry, evidence, self._clock())
        if _suspicious(evidence):
            self._samples.suspect(entry.feed.id)
        if record is not None:
            await self._outbox.put(_Kept(record))

    async def _keep_time(self) -> None:
        while True:
            while self._to_list:
                await self._outbox.put(_Kept(self._listed(self._to_list.pop())))
            while self._to_forget:
                await self._outbox.put(_Kept(None, self._to_forget.pop()))
            now = self._now()
            for record in list(self._board.tick(now.wall)):
                await self._outbox.put(_Kept(record))
            coverage = self._board.coverage(now.wall)
            if coverage is not None:
                self._meter.set("tidegate_feed_coverage", coverage)
            await self._raise_alarms(coverage, now)
            await asyncio.sleep(min(_TICK_S, self._settings.sweep_s / 4))

    async def _raise_alarms(self, coverage: float | None, now: Now) -> None:
        looks = self._looks
        down, parents = looks.outage.down, looks.parents
        self._meter.set("tidegate_feed_parents_lost", len(parents.all_lost()))
        for alarm in self._alarms.look(parents, network_down=down, coverage=coverage, now=now):
            log.warning(alarm.rule, about=alarm.device, state=alarm.state)
            await self._outbox.put(_Kept(alarm, *self._alarms.keep(alarm)))

    def _now(self) -> Now:
        return Now(self._clock(), monotonic())

    def _listed(self, feed: Feed) -> Listed:
        return Listed(
            edge=self._edge,
            kind="feed",
            id=feed.id,
            time=self._clock(),
            name=feed.name,
            area=feed.area or self._settings.area,
            lat=feed.lat,
            lon=feed.lon,
            group=feed.group,
            gb_code=feed.gb_code,
        )

    async def _write(self) -> None:
        while True:
            if not self._unsent:
                self._unsent.append(await self._outbox.get())
            while len(self._unsent) < 1000 and not self._outbox.empty():
                self._unsent.append(self._outbox.get_nowait())
            records = tuple(each.record for each in self._unsent if each.record is not None)
            await self._append(records, {each.key: each.value for each in self._unsent if each.key})
            self._unsent.clear()


def _suspicious(evidence: Evidence) -> bool:
    """Whether the packets may tell why: a bad picture can come from a bad way or encoder."""
    return isinstance(evidence, PictureCheck) and bool(evidence.faults)
