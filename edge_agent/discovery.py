"""Devices that announce themselves: what they announced decides what is listened to, and how.

Off unless the site says ``discovery: [homeassistant]`` or has a profile of its own that takes
announcements: nobody shall make an agent listen to anything by surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from device_profiles.announced import Announced
from device_profiles.homeassistant.learning import KIND
from device_profiles.profile import Profile
from device_profiles.route import Route
from edge_agent.memory import SpoolMemory
from edge_agent.ways import Ways
from gateway_core.meter import Meter

log = structlog.get_logger()


class Discovery:
    """Follows the announcements in the memory.

    Args:
        memory: Holds them.
        ways: Is told how announced topics are read.
        follow: Is told which topics to listen to as well.
        meter: Shows how many there are.
    """

    def __init__(
        self,
        memory: SpoolMemory,
        ways: Ways,
        follow: Callable[[Sequence[str]], None],
        meter: Meter,
    ) -> None:
        self._memory = memory
        self._ways = ways
        self._follow = follow
        self._meter = meter
        self._profile: Profile | None = None
        self._seen = -1
        self._announced: Announced | None = None
        ways.announced = self.route

    def use(self, profiles: Mapping[str, Profile]) -> None:
        """Take other profiles from now on."""
        takers = [
            profile
            for profile in profiles.values()
            if any(entry.via == KIND for entry in profile.entries)
        ]
        self._profile = takers[0] if takers else None
        self._seen, self._announced = -1, None

    def look(self) -> None:
        """Take up what was announced since the last look."""
        if self._profile is None or self._seen == self._memory.version(KIND):
            return
        self._seen = self._memory.version(KIND)
        keys = self._memory.keys(KIND)
        made = Announced(self._profile, self._memory, keys, self._announced)
        changed = self._announced is None or made.topics() != self._announced.topics()
        self._announced = made
        self._ways.forget()
        self._meter.set("tidegate_announced_topics", len(made.topics()))
        self._meter.set("tidegate_announced_left_out", made.left_out)
        if changed:
            log.info("announcements_taken", announcements=len(keys), topics=len(made.topics()))
            self._follow(sorted(made.topics()))

    def route(self, topic: str) -> Route | None:
        """Return how an announced topic is read; None for any other."""
        return None if self._announced is None else self._announced.route(topic)
