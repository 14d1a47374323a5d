"""What one running agent is made of, for those who ask about it: admin, status, tap, replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from device_profiles.profile import Profile
from edge_agent.clock.keeper import Keeper
from edge_agent.clock.step import Step
from edge_agent.commands.dispatcher import Dispatcher
from edge_agent.config import EdgeConfig
from edge_agent.following import Followed
from edge_agent.pipeline import Pipeline
from edge_agent.refill import Refill
from edge_agent.registry import Registry
from edge_agent.replay import Replayed
from edge_agent.retired import Retired
from edge_agent.rules import Rules
from edge_agent.versions.life import Life
from gateway_core.clock import NS, Clock
from gateway_core.meter import Meter
from gateway_core.model import FeedState, SystemState
from gateway_core.spool import Spool
from gateway_core.supervise import Failure

if TYPE_CHECKING:
    from edge_agent.balance import Balances
    from edge_agent.cameras.patrol import Patrol


class Source(Protocol):
    """What a source tells about itself."""

    @property
    def name(self) -> str:
        """Its name, for example ``mqtt:site``."""

    @property
    def connected(self) -> bool:
        """Whether messages can come in through it now."""

    @property
    def clients(self) -> Mapping[str, int]:
        """How many devices that are connected to it are in each state; empty where none can be."""


HELD_NS = 30 * NS
"""A source tries again within seconds: after so long without trouble there is none."""


@dataclass(slots=True)
class Links:
    """Since when each source is connected; made from looking at them now and then.

    Attributes:
        since: Source to nanoseconds; a source that is not connected is not in it.
        held: Sources whose messages the spool did not take, and when it last did not. Through
            them nothing is heard either, and that is no device's fault.
        why: Those sources, and why it did not.
    """

    sources: tuple[Source, ...] = ()
    since: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def look(self, now: int) -> None:
        """Note which sources are connected at ``now`` (nanoseconds since 1970)."""
        for source in self.sources:
            refused = self.held.get(source.name)
            if not source.connected or (refused is not None and now - refused < HELD_NS):
                self.since.pop(source.name, None)
            elif source.name not in self.since:
                self.since[source.name] = now

    def clock_stepped(self, step: Step) -> None:
        """Follow a clock that was set."""
        self.since.update({name: step.shown(at) for name, at in self.since.items()})
        self.held.update({name: step.shown(at) for name, at in self.held.items()})


@dataclass(slots=True)
class Growth:
    """How fast a number grows, from looking at it every few seconds.

    Attributes:
        looks: Instant (nanoseconds) and number, of about the last minute unless said otherwise.
    """

    looks: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=12))

    def look(self, number: int, now: int) -> None:
        """Note the number."""
        self.looks.append((now, number))

    def rate(self, number: int, now: int) -> float:
        """Return its growth a second since the oldest look; 0 before there is one."""
        if not self.looks or now <= self.looks[0][0]:
            return 0.0
        then, before = self.looks[0]
        return (number - before) / ((now - then) / NS)


@dataclass(slots=True)
class Rates:
    """What grows at an edge.

    Attributes:
        head: The spool's last number.
        hour: The same, over an hour.
        alarms: Alarms appended, over an hour.
        backlog: What the uplink has not settled.
    """

    head: Growth = field(default_factory=Growth)
    hour: Growth = field(default_factory=lambda: Growth(deque(maxlen=720)))
    alarms: Growth = field(default_factory=lambda: Growth(deque(maxlen=720)))
    backlog: Growth = field(default_factory=Growth)

    def look(self, spool: Spool, consumer: str | None, now: int) -> None:
        """Note all of them; ``consumer`` is the uplink, where there is one."""
        self.head.look(spool.head, now)
        self.hour.look(spool.head, now)
        self.alarms.look(spool.alarms_appended, now)
        if consumer is not None:
            self.backlog.look(spool.outstanding(consumer)[0], now)

    def arriving(self, head: int, now: int) -> float:
        """Return the records a second that come in: of the last minute or hour, which is more.

        Where devices speak every five minutes, most minutes are silent and the hour is not.
        """
        return max(self.head.rate(head, now), self.hour.rate(head, now))


@dataclass(slots=True)
class Site:
    """The parts of a running agent.

    Attributes:
        started: When it started, nanoseconds since 1970.
        running: Part to whether it is running now; False while it waits to be tried again.
        failures: Part to how it last failed; see `edge_agent.parts.Parts`.
        systems: Gives the state of each watched system.
        feeds: Gives how many feeds are in each state.
        patrol: Watches the feeds; None on an edge without cameras.
        ledger_head: Gives the hash of the egress ledger's newest entry; empty without an uplink.
        life: Of the versions of profiles; reads devices.csv and the profiles again.
        replay: Tries refused payloads again: reason, since, limit, profile.
        refill: Sends a window again; None without an uplink.
        dispatcher: Takes commands to devices.
        retired: Tells which devices have a profile that is deprecated or withdrawn.
        followed: Clients of the MQTT listeners that somebody follows.
        profiles: Gives the profiles that are loaded.
        balances: Close the books once a day.
        keeper: Knows how far the clock is to be trusted.
    """

    config: EdgeConfig
    spool: Spool
    registry: Registry
    pipeline: Pipeline
    rules: Rules
    meter: Meter
    links: Links
    rates: Rates
    clock: Clock
    started: int
    running: dict[str, bool]
    failures: dict[str, Failure]
    systems: Callable[[], Mapping[str, SystemState]]
    feeds: Callable[[], Mapping[FeedState, int]]
    patrol: Patrol | None
    ledger_head: Callable[[], str]
    life: Life
    replay: Callable[[str | None, int, int, str | None], Awaitable[Replayed]]
    refill: Refill | None
    dispatcher: Dispatcher
    retired: Callable[[], list[Retired]]
    followed: Followed
    profiles: Callable[[], Mapping[str, Profile]]
    balances: Balances
    keeper: Keeper
