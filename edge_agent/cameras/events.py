"""The passive beat: what the devices say by themselves becomes evidence of the feeds it is about.

Invariants: at most `PatrolSettings.event_listeners` devices are listened to, the rest waits for its
next visit; what is said counts for the feeds that it names, or for the only one there is; evidence
is renewed while the device is listened to and ends by itself when it is not.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import structlog

from edge_agent.cameras.board import Board
from edge_agent.cameras.evidence import EventCheck, Evidence
from edge_agent.cameras.exchange import OnvifError
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.listener import Listener
from edge_agent.cameras.notifications import Notification
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.settings import PatrolSettings
from gateway_core.clock import NS, Clock
from gateway_core.meter import Meter

log = structlog.get_logger()

HOLDS_S = 900.0
"""Evidence not repeated for so long is no longer so."""
REPEAT_S = 300.0

Take = Callable[[str, Evidence], Awaitable[None]]


@dataclass(slots=True)
class _Listened:
    """One device that is listened to.

    Attributes:
        feeds: The feeds known to be its, each with what the device calls its video source.
        sent: What was last said of each, and when.
    """

    listener: Listener
    feeds: dict[str, frozenset[str]] = field(default_factory=dict)
    sent: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None


class EventWatch:
    """Listens to the devices that have events.

    Args:
        client: On connections of its own.
        settings: Limits and waits.
        take: Judges what is said of a feed.
        clock: Wall clock.
        meter: Gets ``tidegate_feed_events`` and ``tidegate_feed_event_listeners``.
        chance: Spreads the retries.
    """

    def __init__(
        self,
        client: OnvifClient,
        settings: PatrolSettings,
        take: Take,
        *,
        clock: Clock,
        meter: Meter,
        chance: random.Random,
    ) -> None:
        self._client = client
        self._settings = settings
        self._take = take
        self._clock = clock
        self._meter = meter
        self._chance = chance
        self._devices: dict[str, _Listened] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await asyncio.get_running_loop().create_future()

    def want(self, feed: Feed, device: Device, profile: str) -> None:
        """Listen to a device that was just visited, if it has events and there is room.

        Args:
            feed: Whose device.
            device: As the visit left it.
            profile: The token of the feed's own media profile; may be empty.
        """
        if self._group is None or "events" not in device.paths:
            return
        key = f"{feed.host} {feed.onvif_port}"
        listened = self._devices.get(key)
        if listened is None:
            if len(self._devices) >= self._settings.event_listeners:
                self._meter.count("tidegate_feed_events", result="no_room")
                return
            listened = self._begin(key, feed, device)
        found = (each.sources for each in device.profiles if each.token == profile)
        listened.feeds[feed.id] = next(found, frozenset())

    def drop(self, feeds: Collection[Feed]) -> None:
        """Stop listening for feeds that are no longer listed, or in another way."""
        gone = {feed.id for feed in feeds}
        for key, listened in list(self._devices.items()):
            if not gone.isdisjoint(listened.feeds) and listened.task is not None:
                listened.task.cancel()
                self._devices.pop(key)  # the others are heard again after their next visit
        self._count()

    def _begin(self, key: str, feed: Feed, device: Device) -> _Listened:
        async def told(heard: list[Notification]) -> None:
            await self._tell(listened, heard)

        listener = Listener(
            self._client,
            feed,
            device,
            settings=self._settings,
            clock=self._clock,
            chance=self._chance,
            told=told,
        )
        listened = self._devices[key] = _Listened(listener)
        assert self._group is not None
        listened.task = self._group.create_task(self._listen(key, listened))
        self._count()
        return listened

    async def _listen(self, key: str, listened: _Listened) -> None:
        try:
            why: Exception = await listened.listener.run()
        except OnvifError as exc:
            why = exc
        except Exception as exc:  # one device must not end the listening to all
            log.exception("event_listener_broke", device=key)
            why = exc
        log.info("events_not_listened_to", device=key, why=str(why)[:200])
        if self._devices.get(key) is listened:
            del self._devices[key]
        self._count()

    async def _tell(self, listened: _Listened, heard: list[Notification]) -> None:
        """Turn what stands now into evidence of each feed that it is about."""
        alone = _one_source(listened)
        for each in heard:
            known = alone or any(not each.source.isdisjoint(one) for one in listened.feeds.values())
            result = str(each.fault) if each.on else "ended"
            self._meter.count("tidegate_feed_events", result=result if known else "no_feed")
        now = self._clock()
        for feed_id, sources in list(listened.feeds.items()):
            faults = listened.listener.standing.faults(sources, alone=alone)
            before, at = listened.sent.get(feed_id, (None, 0))
            due = bool(faults) and now - at >= REPEAT_S * NS
            if faults == before and not due:
                continue
            listened.sent[feed_id] = (faults, now)
            await self._take(feed_id, EventCheck(faults, now + int(HOLDS_S * NS)))

    def _count(self) -> None:
        self._meter.set("tidegate_feed_event_listeners", len(self._devices))


def _one_source(listened: _Listened) -> bool:
    """Whether a device has but one video source, so that it can speak of nothing else."""
    sources = {each.sources for each in listened.listener.device.profiles}
    return (sources <= {frozenset()} and len(listened.feeds) == 1) or (
        len(sources) == 1 and frozenset() not in sources
    )


def takes(board: Board, take: Callable[..., Awaitable[None]]) -> Take:
    """Return what judges evidence of a feed by its id; of one that is gone it says nothing."""

    async def taken(feed_id: str, evidence: Evidence) -> None:
        entry = board.get(feed_id)
        if entry is not None:
            await take(entry, evidence)

    return taken
