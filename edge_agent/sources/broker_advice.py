"""Asks a broker how it is set up and says what should be otherwise, for ``tidegate doctor``."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edge_agent.arrival import Arrival
from edge_agent.sources.mqtt import MqttSource
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Refused, Terms
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

VERSION = "$SYS/broker/version"
DROPPED = "$SYS/broker/publish/messages/dropped"
ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """What a broker tells of itself.

    Attributes:
        terms: What it granted.
        version: As it names itself, for example ``mosquitto version 2.0.11``; empty if it does not.
        dropped: Messages it threw away since it started, or None where it does not say.
    """

    terms: Terms
    version: str = ""
    dropped: int | None = None

    @property
    def mosquitto(self) -> bool:
        """Whether it is a mosquitto."""
        return self.version.startswith("mosquitto")


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to look at.

    Attributes:
        level: ``warning`` for what loses messages or secrets, ``note`` for what should be known.
        key: Stable, for tests and translations.
        text: Cause and what to do.
    """

    level: Literal["warning", "note"]
    key: str
    text: str


async def ask_broker(
    settings: MqttSettings, edge: str, *, within_s: float = ANSWER_S
) -> BrokerFacts:
    """Connect with a session of its own, read what the broker says of itself, and leave.

    Raises:
        Unavailable: It cannot be reached or refuses the agent; the text says what to do.
    """
    visit = settings.model_copy(
        update={
            "name": f"{settings.name}-doctor",
            "subscribe": (VERSION, DROPPED),
            "shared_group": None,
            "qos": 0,
            "session_expiry": 0.0,
        }
    )
    heard: dict[str, bytes] = {}
    complete = asyncio.Event()

    async def listen(
        arrivals: Sequence[Arrival], _state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        heard.update((each.address, each.payload) for each in arrivals)
        if len(heard) == 2:
            complete.set()
        return [None] * len(arrivals)

    source = MqttSource(
        visit,
        edge=edge,
        topics=(),
        ingest=listen,
        clock=wall_ns,
        meter=Meter(),
        saved_state={},
    )
    trouble: list[Unavailable] = []

    async def stay() -> None:
        try:
            await source.run()
        except Unavailable as why:
            trouble.append(why)
            complete.set()

    try:
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
            staying = tasks.create_task(stay())
            await complete.wait()
            staying.cancel()
    except TimeoutError:
        pass  # not every broker says everything
    if trouble and (source.terms is None or not isinstance(trouble[0], Refused)):
        raise trouble[0]
    if source.terms is None:
        raise Unavailable("the broker did not answer")
    dropped = heard.get(DROPPED, b"")
    return BrokerFacts(
        source.terms,
        heard.get(VERSION, b"").decode("utf-8", "replace"),
        int(dropped) if re.fullmatch(rb"[0-9]{1,18}", dropped) else None,
    )


def advise(settings: MqttSettings, facts: BrokerFacts) -> list[Advice]:
    """Return what should be otherwise, the gravest first; empty where nothing should."""
    found = [*_on_loss(settings, facts), *_on_limits(settings, facts)]
    host = settings.address.host
    if settings.username is not None and not settings.tls and not _own(host):
        text = "the password crosses the network in the clear: use an mqtts:// url and ca_file"
        found.append(Advice("warning", "plain_password", text))
    return sorted(found, key=lambda each: each.level == "note")


def _on_loss(settings: MqttSettings, facts: BrokerFacts) -> list[Advice]:
    found: list[Advice] = []
    if facts.dropped:
        text = (
            f"the broker has thrown away {facts.dropped} messages since it started: raise "
            "max_queued_messages (mosquitto: 1,000 by default) so that it holds what comes "
            "while an agent is away"
        )
        found.append(Advice("warning", "dropped", text))
    if settings.qos == 0 or facts.terms.qos == 0:
        text = "with QoS 0 nothing is kept while the agent is away; allow and ask for QoS 1"
        found.append(Advice("warning", "qos", text))
    granted = facts.terms.session_expiry
    if granted is not None and granted < settings.session_expiry:
        text = f"the broker keeps messages for an absent agent for {granted} s only"
        found.append(Advice("warning", "session_expiry", text))
    return found


def _on_limits(settings: MqttSettings, facts: BrokerFacts) -> list[Advice]:
    found: list[Advice] = []
    if settings.shared_group is not None and not facts.terms.shared:
        text = "the broker has no shared subscriptions: leave shared_group out"
        found.append(Advice("warning", "shared", text))
    if not facts.mosquitto:
        return found
    if not facts.dropped:
        text = (
            "mosquitto drops beyond max_queued_messages (1,000 by default) while the agent is "
            "away: set it to what a long absence brings, and persistence true"
        )
        found.append(Advice("note", "queue", text))
    if settings.version == "3.1.1":
        text = (
            "mosquitto sends max_inflight_messages (20 by default) at a time to a 3.1.1 client: "
            "set it to some thousands, or use version: 5, where the agent says how many"
        )
        found.append(Advice("note", "inflight", text))
    else:
        text = (
            f"mosquitto leaves out messages longer than max_packet ({settings.max_packet} bytes) "
            "without telling anyone: set its max_packet_size no higher, so that the publisher "
            "hears of it"
        )
        found.append(Advice("note", "packet_size", text))
    return found


def _own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
