"""One look at one stream: whether it is asked at all, and whose fault it is when it fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

import structlog

from edge_agent.cameras.board import Entry
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.outage import OutageWatch
from edge_agent.cameras.parents import Parents
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import OUTCOME_STATES, UNREACHED, Outcome
from gateway_core.clock import monotonic

log = structlog.get_logger()

_SHARED: frozenset[Outcome] = UNREACHED | {"refused", "timeout"}
_SHARED_S = 10.0


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

    def relist(self, feeds: Collection[Feed]) -> None:
        """Take over a new listing."""
        places = {feed.place for feed in feeds}
        self.parents.relist(feeds)
        self.outage.forget_except(places)
        self._failed = {key: value for key, value in self._failed.items() if key in places}

    async def look(self, entry: Entry) -> StreamCheck:
        """Look at a feed's stream when there is room for it."""
        feed = entry.feed
        if self.parents.spared(feed.id, monotonic()):
            return self._not_asked(feed)
        probe = self.parents.lost(feed.id) is not None
        async with self.gates.hold(feed):
            if not probe and self.parents.lost(feed.id) is not None:
                return self._not_asked(feed)  # lost while it waited
            return await self._ask(entry, feed)

    async def _ask(self, entry: Entry, feed: Feed) -> StreamCheck:
        failed = self._failed.get(feed.place)
        now = monotonic()
        fresh = failed is not None and now - failed[0] < min(_SHARED_S, self._settings.sweep_s / 6)
        if failed is not None and fresh and not self.parents.thought_alive(feed):
            return failed[1]  # a dead device is asked once for all of its channels
        recent = entry.memory.streams
        healthy = bool(recent) and recent[-1].state == entry.memory.stream.state == "online"
        plan = Plan(describe=not healthy or now >= entry.describe_at, fingerprint=entry.fingerprint)
        check = await check_stream(feed, plan, self._logins, self._settings)
        if check.described:
            spread = self._chance.uniform(0.8, 1.2)
            entry.describe_at = monotonic() + self._settings.describe_s * spread
        if check.fingerprint:
            entry.fingerprint = check.fingerprint
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
            return StreamCheck("parent_lost", detail=check.detail)
        return check

    def _not_asked(self, feed: Feed) -> StreamCheck:
        parent = self.parents.lost(feed.id)
        label = parent.label if parent is not None else "its parent"
        return StreamCheck("parent_lost", detail=f"not asked: nothing of {label} answers")
