"""The sources of one edge as parts: started, told apart by whether they are connected, renewed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from edge_agent.arrival import Apart, Arrival, Ingest, undivided
from edge_agent.commands.waiting import Waiting
from edge_agent.config import EdgeConfig, ListenSection, MqttSection
from edge_agent.downlink import Downlink, NotSent, Publisher
from edge_agent.following import Followed
from edge_agent.parts import Parts
from edge_agent.site import Links
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.listen.source import ListenSource
from edge_agent.sources.listen.source import state_prefix as listen_prefix
from edge_agent.sources.mqtt import MqttSource, state_prefix
from edge_agent.sources.settings import CoapSettings
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter
from gateway_core.spool import Spool


class Broker:
    """One broker's source; a new connection object for each try, because the topics may change.

    Attributes:
        name: Of the source.
        connected: Whether messages can come in through it now.
    """

    def __init__(
        self,
        settings: MqttSection,
        edge: str,
        spool: Spool,
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        apart: Apart = undivided,
    ) -> None:
        self.name = settings.source
        self.topics: Sequence[str] = ()
        self.answers: Sequence[str] = ()
        self.announced: Sequence[str] = ()
        self._settings = settings
        self._edge = edge
        self._spool = spool
        self._ingest = ingest
        self._apart = apart
        self._clock = clock
        self._meter = meter
        self._source: MqttSource | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker let the agent in and subscribed it: without that it would be deaf."""
        return self._source is not None and self._source.ready.is_set()

    @property
    def clients(self) -> Mapping[str, int]:
        """Nothing: the devices are the broker's."""
        return {}

    @property
    def open(self) -> bool:
        """Whether messages can leave through it, and answers to them come back."""
        return self.connected

    @property
    def follows_profiles(self) -> bool:
        """Whether its topics are those of the loaded profiles."""
        return self._settings.subscribe is None

    async def publish(self, downlink: Downlink) -> str:
        """Send a message through the broker; as `Publisher.publish`."""
        if self._source is None:
            raise NotSent(f"{self.name} is not connected")
        await self._source.publish(downlink)
        return ""

    def follow(self, topics: Sequence[str]) -> None:
        """Listen to topics that devices announced as well, on the connection that there is."""
        self.announced = topics
        if self._source is not None:
            self._source.follow(self._all_topics())

    def _all_topics(self) -> list[str]:
        """Return the filters; a topic that one of them covers would come twice by itself."""
        covers = re.compile("|".join(map(_pattern, self.topics)) or "(?!)")
        return [*self.topics, *(each for each in self.announced if not covers.fullmatch(each))]

    async def run(self) -> None:
        """Serve one connection until it ends.

        Raises:
            Unavailable: It ended, or could not be made.
        """
        self._source = MqttSource(
            self._settings,
            edge=self._edge,
            topics=self._all_topics(),
            answers=self.answers,
            ingest=self._ingest,
            clock=self._clock,
            meter=self._meter,
            saved_state=await self._spool.state(state_prefix(self._settings)),
        )
        self._source.apart = self._apart
        try:
            await self._source.run()
        finally:
            self._source = None


class Listener:
    """A door for devices that speak MQTT; a new source for each try, with what the spool remembers.

    Attributes:
        name: Of the source.
    """

    def __init__(
        self,
        settings: ListenSection,
        spool: Spool,
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        followed: Followed,
        apart: Apart = undivided,
    ) -> None:
        self.name = settings.source
        self._settings = settings
        self._spool = spool
        self._ingest = ingest
        self._apart = apart
        self._clock = clock
        self._meter = meter
        self._followed = followed
        self._source: ListenSource | None = None

    @property
    def connected(self) -> bool:
        """Whether its sockets are open."""
        return self._source is not None and self._source.opened.is_set()

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return self._source.ports if self._source is not None else []

    @property
    def open(self) -> bool:
        """Whether messages can leave now; to whom is another question."""
        return self.connected

    @property
    def clients(self) -> Mapping[str, int]:
        """How many connections are in each state."""
        return self._source.states() if self._source is not None else {}

    async def publish(self, downlink: Downlink) -> str:
        """Send a message to a device that is connected here; as `Publisher.publish`."""
        if self._source is None:
            raise NotSent(f"{self.name} is not open")
        return await self._source.publish(downlink)

    async def reread(self) -> Callable[[], None]:
        """Read who may come in again; see `ListenSource.reread`."""
        return await self._source.reread() if self._source is not None else lambda: None

    async def run(self) -> None:
        """Serve until cancelled."""
        self._source = ListenSource(
            self._settings,
            ingest=self._ingest,
            clock=self._clock,
            meter=self._meter,
            saved_state=await self._spool.state(listen_prefix(self._settings)),
            followed=self._followed,
            apart=self._apart,
        )
        try:
            await self._source.run()
        finally:
            self._source = None


def _pattern(filter_: str) -> str:
    levels = {"+": "[^/]*", "#": ".*"}
    text = "/".join(levels.get(level, re.escape(level)) for level in filter_.split("/"))
    return f"(?:{text})"


class CoapDoor:
    """The CoAP server.

    Attributes:
        name: Of the source.
    """

    def __init__(self, settings: CoapSettings, ingest: Ingest, clock: Clock, meter: Meter) -> None:
        self._source = CoapSource(settings, ingest=ingest, clock=clock, meter=meter)
        self.name = self._source.name

    @property
    def connected(self) -> bool:
        """Whether its sockets are open."""
        return self._source.opened.is_set()

    @property
    def clients(self) -> Mapping[str, int]:
        """Nothing: CoAP knows no connections."""
        return {}

    @property
    def open(self) -> bool:
        """Whether requests can leave through it."""
        return self.connected

    async def publish(self, downlink: Downlink) -> str:
        """Send a request to a device; as `Publisher.publish`."""
        return await self._source.publish(downlink)

    @property
    def ports(self) -> list[int]:
        """Where it listens."""
        return [address.port for address in self._source.addresses]

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._source.run()


class Intake:
    """All sources that bring payloads.

    Args:
        config: Names them.
        spool: Keeps what they must remember.
        ingest: Takes arrivals in.
        links: Is told which are there.
        clock: For the times of receipt.
        meter: Counts.
        waiting: Is shown the messages that commands may wait for.
        apart: Parts what a broker sent, see `Apart`.

    Attributes:
        followed: Clients of the listeners that somebody follows.
    """

    def __init__(
        self,
        config: EdgeConfig,
        spool: Spool,
        ingest: Ingest,
        links: Links,
        clock: Clock,
        meter: Meter,
        waiting: Waiting,
        apart: Apart = undivided,
    ) -> None:
        self._waiting = waiting
        self._ingest = ingest
        self._links = links
        self._clock = clock
        self._brokers = [
            Broker(each, config.edge.id, spool, self.take, clock, meter, apart)
            for each in config.mqtt
        ]
        self.coap = CoapDoor(config.coap, self.take, clock, meter) if config.coap else None
        self.followed = Followed(clock)
        self.listeners = [
            Listener(each, spool, self.take, clock, meter, self.followed, apart)
            for each in config.mqtt_listen
        ]
        self._doors: list[Broker | Listener | CoapDoor] = [*self._brokers, *self.listeners]
        if self.coap is not None:
            self._doors.append(self.coap)
        links.sources = tuple(self._doors)

    def start(self, parts: Parts, topics: Sequence[str], answers: Sequence[str]) -> None:
        """Start every source.

        Args:
            parts: Runs them.
            topics: Filters for brokers without topics of their own.
            answers: Filters of answers to commands, for every broker.
        """
        for broker in self._brokers:
            broker.topics, broker.answers = topics, answers
            parts.start(broker.name, broker.run, source=True)
        for listener in self.listeners:
            parts.start(listener.name, listener.run, source=True)
        if self.coap is not None:
            parts.start(self.coap.name, self.coap.run, source=True)

    async def take(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> Sequence[str | None]:
        """Let arrivals in as `Ingest` does, and note whether their source is heard at all."""
        held = self._links.held
        try:
            verdicts = await self._ingest(arrivals, state)
        except Unavailable as exc:
            if arrivals:
                held[arrivals[0].source] = self._clock()
                self._links.why[arrivals[0].source] = str(exc)
            raise
        if held and arrivals:
            held.pop(arrivals[0].source, None)
            self._links.why.pop(arrivals[0].source, None)
        if self._waiting.topics:
            self._waiting.heard(arrivals)
        return verdicts

    def ways_out(self) -> list[str]:
        """Return the names of the sources that lead out to devices."""
        return [each.name for each in self._doors]

    def publisher(self, source: str) -> Publisher | None:
        """Return the way out through a source, for example ``mqtt:site``; None for no such."""
        return next((each for each in self._doors if each.name == source), None)

    async def reread(self) -> list[Callable[[], None]]:
        """Read again who may come in; return what makes it count.

        Raises:
            ConfigError: A file of a listener is wrong.
        """
        return [await each.reread() for each in self.listeners]

    def follow(self, topics: Sequence[str]) -> None:
        """Listen to announced topics at the brokers whose topics are those of the profiles."""
        for broker in self._brokers:
            if broker.follows_profiles:
                broker.follow(topics)

    async def renew(self, parts: Parts, topics: Sequence[str], answers: Sequence[str]) -> None:
        """Ask for other topics where the profiles name them; what is under way is seen through."""
        for broker in self._brokers:
            followed = topics if broker.follows_profiles else broker.topics
            before = [*broker.topics], [*broker.answers]
            broker.topics, broker.answers = followed, answers
            if before != ([*followed], [*answers]):
                await parts.restart(broker.name, broker.run)
