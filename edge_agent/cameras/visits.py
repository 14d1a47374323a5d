"""The slower beat: each device asked over ONVIF, and one picture of each feed graded."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from edge_agent.cameras.board import Board, Entry
from edge_agent.cameras.events import EventWatch, takes
from edge_agent.cameras.evidence import Evidence
from edge_agent.cameras.exchange import Exchange, OnvifError, open_session
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.inventory import Changes, Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.outage import OutageWatch
from edge_agent.cameras.pacing import Pace
from edge_agent.cameras.pictures import PictureGrading
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import Clock, monotonic
from gateway_core.meter import Meter

log = structlog.get_logger()

_DeviceKey = tuple[str, int | None, Credential | None]
Take = Callable[[Entry, Evidence], Awaitable[None]]
FIRST_ROUND_S = 0.06
"""Seconds for each feed in the first round, so that a small site knows its pictures soon, and a
large one does not spend half a core on them."""
_STEP_S = 0.05
_GONE = frozenset({"onvif_unreachable", "onvif_timeout"})


class DeviceVisits:
    """Visits the devices that have an ONVIF port; the rest is left to RTSP.

    Args:
        settings: Pace and limits.
        gates: Shared with the RTSP checks.
        logins: Shared with the RTSP checks.
        take: Judges what a visit brought back.
        clock: Wall clock.
        meter: Gets ``tidegate_pictures`` and what `EventWatch` counts.
        pictures: Grades what a visit fetched.
    """

    def __init__(
        self,
        settings: PatrolSettings,
        gates: Gates,
        logins: Logins,
        take: Take,
        clock: Clock,
        meter: Meter,
        pictures: PictureGrading,
    ) -> None:
        self._settings = settings
        self._gates = gates
        self._logins = logins
        self._take = take
        self._clock = clock
        self._meter = meter
        self._pictures = pictures
        self._devices: dict[_DeviceKey, Device] = {}
        self._pace: Pace | None = None
        self._new: list[Feed] = []
        self._gone: list[str] = []
        self._client: OnvifClient | None = None
        self._listening: OnvifClient | None = None
        self._events: EventWatch | None = None

    def relist(self, changes: Changes) -> None:
        """Take over a new listing."""
        self._new += (feed for feed in (*changes.added, *changes.changed) if feed.onvif_port)
        self._gone += (feed.id for feed in (*changes.removed, *changes.changed))
        if self._events is not None:
            self._events.drop((*changes.removed, *changes.changed))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[DeviceVisits]:
        """Hold the HTTP session and the grading."""
        async with AsyncExitStack() as stack:
            session = open_session(self._settings.onvif_in_flight)
            exchange = Exchange(await stack.enter_async_context(session), self._logins)
            self._client = OnvifClient(exchange, self._logins, self._clock, self._settings)
            await stack.enter_async_context(self._pictures.open())
            if self._settings.events:
                # Apart, because a device may keep a question for events waiting for a while.
                session = open_session(2 * self._settings.event_listeners)
                exchange = Exchange(await stack.enter_async_context(session), self._logins)
                self._listening = OnvifClient(exchange, self._logins, self._clock, self._settings)
            yield self

    async def run(self, board: Board, outage: OutageWatch, chance: random.Random) -> None:
        """Visit until cancelled."""
        self._pace = pace = Pace(self._settings.onvif_s, chance)
        room = asyncio.Semaphore(self._settings.onvif_in_flight)
        await self._pictures.forget_except(board.feeds().keys())
        async with asyncio.TaskGroup() as group:
            if self._listening is not None:
                self._events = EventWatch(
                    self._listening,
                    self._settings,
                    takes(board, self._take),
                    clock=self._clock,
                    meter=self._meter,
                    chance=chance,
                )
                group.create_task(self._events.run())
            while True:
                if self._update(pace, board):
                    await self._pictures.forget_except(board.feeds().keys())
                wait = pace.wait(monotonic())
                await asyncio.sleep(max(_STEP_S, min(1.0 if wait is None else wait, 1.0)))
                while feed_id := pace.take(monotonic()):
                    entry = board.get(feed_id)
                    if entry is None or outage.down:
                        continue
                    if entry.memory.stream.state in {"unknown", "offline"}:
                        self._again_soon(feed_id)
                        continue
                    await room.acquire()
                    group.create_task(self._visit(entry, room))

    def _update(self, pace: Pace, board: Board) -> bool:
        """Take over what was listed anew; return whether feeds may be gone."""
        gone = bool(self._gone)
        if gone:
            for feed_id in self._gone:
                pace.discard(feed_id)
            self._gone.clear()
            listed = {_device_key(feed) for feed in board.feeds().values()}
            self._devices = {key: kept for key, kept in self._devices.items() if key in listed}
        if self._new:
            within = min(
                self._settings.onvif_s,
                max(self._settings.sweep_s, FIRST_ROUND_S * len(self._new)),
            )
            pace.spread([feed.id for feed in self._new], monotonic(), within)
            self._new.clear()
        return gone

    def _again_soon(self, feed_id: str) -> None:
        """Come back for a second opinion, which a verdict needs, before the round is over."""
        if self._pace is not None:
            soon = min(2 * self._settings.sweep_s, self._settings.onvif_s)
            self._pace.set(feed_id, monotonic() + soon)

    async def _visit(self, entry: Entry, room: asyncio.Semaphore) -> None:
        assert self._client is not None
        feed = entry.feed
        device = self._devices.setdefault(_device_key(feed), Device())
        try:
            async with self._gates.hold(feed):
                check = await survey(self._client, feed, device, self._settings.skew_limit_s)
                jpeg = await self._fetch(feed, device, check.snapshot_url)
            if check.changed:
                log.info("device_replaced", feed=feed.id, identity=check.identity)
            if _stream_fails(entry) and not _GONE.isdisjoint(check.faults):
                # That the device is gone is said already, and by whom it is decided.
                self._again_soon(feed.id)
                return
            await self._take(entry, check)
            if self._events is not None and check.profile:
                self._events.want(feed, device, check.profile)
            if check.changed:  # another camera shows another picture
                await self._pictures.forget((feed.id,))
            picture = await self._pictures.grade(entry, jpeg) if jpeg else None
            if picture is not None:
                await self._take(entry, picture)
            seen = {*check.faults, *(picture.faults if picture is not None else ())}
            if entry.memory.stream.state == "online" and seen != set(entry.memory.verdict.faults):
                self._again_soon(feed.id)
        finally:
            room.release()

    async def _fetch(self, feed: Feed, device: Device, url: str) -> bytes:
        assert self._client is not None
        if not url or not self._pictures.available:
            return b""
        try:
            return await self._client.snapshot(feed, device, url)
        except OnvifError as exc:
            self._meter.count("tidegate_pictures", result=exc.fault)
            return b""


def _stream_fails(entry: Entry) -> bool:
    streams = entry.memory.streams
    return bool(streams) and streams[-1].state in {"offline", "unknown"}


def _device_key(feed: Feed) -> _DeviceKey:
    return feed.host, feed.onvif_port, feed.credential
