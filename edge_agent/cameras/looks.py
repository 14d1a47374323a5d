"""One look at one stream: whether it is asked at all, and whose fault it is when it fails."""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence

import structlog

from edge_agent.cameras.board import Entry
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.outage import OutageWatch
from edge_agent.cameras.parents import Parents
from edge_agent.cameras.rtsp_client import Channels, Plan
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import OUTCOME_STATES, UNREACHED, Outcome
from gateway_core.clock import monotonic

log = structlog.get_logger()

_SHARED: frozenset[Outcome] = UNREACHED | {"refused", "timeout"}
_PASSING: frozenset[Outcome] = frozenset({"reset", "timeout"})
"""What may happen to one connection to a device that is well."""
_SHARED_S = 10.0
_SHARE_OF_SWEEP = 0.25
"""For no longer than this part of a sweep one device is asked on one connection."""
MOST_CHANNELS = 128
"""A device with more is asked on a connection for each; recorders have up to 128."""
Take = Callable[[Entry, StreamCheck], Awaitable[None]]


class StreamLooks:
    """Makes the RTSP checks and remembers what they say about the ways to the devices.

    Args:
        settings: Pace and limits.
        logins: Shared with the visits.
        chance: Spreads the descriptions.
        sooner: Is told which feeds to look at at once, to see whose fault a failure is.
    """

    def __init__(
        self,
        settings: PatrolSettings,
        logins: Logins,
        chance: random.Random,
        sooner: Callable[[Collection[str]], None],
    ) -> None:
        self.outage = OutageWatch()
        self.parents = Parents(settings.sweep_s)
        self.gates = Gates(settings, self.parents.size)
        self._settings = settings
        self._logins = logins
        self._chance = chance
        self._sooner = sooner
        self._failed: dict[str, tuple[float, StreamCheck]] = {}
        self._channels: dict[str, frozenset[str]] = {}
        self._refusing: set[str] = set()

    def relist(self, feeds: Collection[Feed]) -> None:
        """Take over a new listing."""
        places: dict[str, set[str]] = {}
        for feed in feeds:
            places.setdefault(feed.place, set()).add(feed.id)
        self._refusing &= places.keys()
        self._channels = {
            place: frozenset(ids)
            for place, ids in places.items()
            if 1 < len(ids) <= MOST_CHANNELS and place not in self._refusing
        }
        self.parents.relist(feeds)
        self.outage.forget_except(places.keys())
        self._failed = {key: value for key, value in self._failed.items() if key in places}

    def channels(self, feed: Feed) -> frozenset[str]:
        """Return the feeds that may be looked at on one connection with this one, itself too."""
        return self._channels.get(feed.place, frozenset())

    async def look(self, entries: Sequence[Entry], take: Take) -> Sequence[Entry]:
        """Look at the streams of one device when there is room for it.

        Args:
            entries: Of one place; the first is the one whose turn it is.
            take: Is given each check.

        Returns:
            Those that were not looked at: the device is slow, or wants a connection for each.
        """
        feed = entries[0].feed
        if self.parents.spared(feed.id, monotonic()):
            for entry in entries:
                await take(entry, self._not_asked(entry.feed))
            return ()
        probe = self.parents.lost(feed.id) is not None
        async with self.gates.hold(feed):
            with Channels(self._logins, self._settings) as channels:
                until = monotonic() + self._settings.sweep_s * _SHARE_OF_SWEEP
                for place, entry in enumerate(entries):
                    if place and (channels.refuses or monotonic() > until):
                        if channels.refuses:
                            self._refuse(feed.place)
                        return entries[place:]
                    if not (probe and place == 0) and self.parents.lost(entry.feed.id) is not None:
                        check = self._not_asked(entry.feed)  # lost while it waited
                    else:
                        check = await self._ask(entry, channels)
                    await take(entry, check)
        return ()

    async def _ask(self, entry: Entry, channels: Channels) -> StreamCheck:
        feed = entry.feed
        failed = self._failed.get(feed.place)
        now = monotonic()
        fresh = failed is not None and now - failed[0] < min(_SHARED_S, self._settings.sweep_s / 6)
        if failed is not None and fresh and not self.parents.thought_alive(feed):
            return failed[1]  # a dead device is asked once for all of its channels
        recent = entry.memory.streams
        healthy = bool(recent) and recent[-1].state == entry.memory.stream.state == "online"
        plan = Plan(describe=not healthy or now >= entry.describe_at, fingerprint=entry.fingerprint)
        check = await channels.check(feed, plan)
        if entry.memory.stream.state != "offline" and check.outcome in _PASSING:
            # Of a hundred connections one may break on its way, and two of three checks would by
            # chance agree about some of ten thousand feeds, also at their first.
            check = await channels.again(feed, plan)
        if check.described:
            spread = self._chance.uniform(0.8, 1.2)
            entry.describe_at = monotonic() + self._settings.describe_s * spread
        if check.fingerprint:
            entry.fingerprint = sys.intern(check.fingerprint)  # cameras of one kind share it
        check = self._blame(feed, check)
        if check.outcome in _SHARED and check.rtt_ms is None:
            self._failed[feed.place] = (monotonic(), check)
        else:
            self._failed.pop(feed.place, None)
        return check

    def _blame(self, feed: Feed, check: StreamCheck) -> StreamCheck:
        """Turn a failure into `network_down` or `parent_lost` where it is not the feed's own."""
        if check.outcome in {"own_limit", "name_unresolved"}:
            return check
        outage, parents = self.outage, self.parents
        was_down = outage.down
        outage.note(feed.place, reached=check.outcome not in UNREACHED)
        if outage.down != was_down:
            event = "network_lost" if outage.down else "network_recovered"
            log.warning(event, last_feed=feed.id, last_outcome=check.outcome)
        if outage.down and check.outcome in UNREACHED:
            return StreamCheck("network_down", detail=check.detail)
        self._sooner(parents.note(feed, check.outcome, monotonic()))
        if OUTCOME_STATES[check.outcome] == "offline" and parents.suspected(feed.id):
            proven = parents.lost(feed.id) is not None
            return StreamCheck("parent_lost", detail=check.detail, proven=proven)
        return check

    def _refuse(self, place: str) -> None:
        log.info("device_shares_no_connection", device=place)
        self._refusing.add(place)
        self._channels.pop(place, None)

    def _not_asked(self, feed: Feed) -> StreamCheck:
        parent = self.parents.lost(feed.id)
        label = parent.label if parent is not None else "its parent"
        detail = f"not asked: nothing of {label} answers"
        return StreamCheck("parent_lost", detail=detail, proven=True)
