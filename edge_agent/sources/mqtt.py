"""Takes in what a broker has for this edge; the broker hears of it only after the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NoReturn, Protocol

import msgspec
import structlog

from edge_agent.arrival import Apart, Ingest, undivided
from edge_agent.downlink import Downlink, NotSent
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.mqtt5_link import Link5
from edge_agent.sources.redelivery import Redelivery
from edge_agent.sources.settings import MqttSettings
from edge_agent.sources.terms import Refused, Terms, subscribe_refused
from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

FINISH_S = 5.0
UNCOMMITTED_BYTES = 32 * 2**20


class Subscribed(msgspec.Struct, frozen=True):
    """What the broker's session is subscribed to, kept in the spool's state."""

    qos: int
    filters: list[str]


NOTHING = Subscribed(0, [])


class Link(Protocol):
    """One connection to a broker, of either version."""

    async def connect(self) -> Terms: ...  # noqa: D102  # as Link5

    async def subscribe(self, filters: Sequence[str]) -> list[int]: ...  # noqa: D102

    async def unsubscribe(self, filters: Sequence[str]) -> None: ...  # noqa: D102

    async def publish(self, downlink: Downlink) -> None: ...  # noqa: D102

    async def lost(self) -> Unavailable: ...  # noqa: D102

    def halt(self) -> None: ...  # noqa: D102

    async def close(self) -> None: ...  # noqa: D102


class MqttSource:
    """One broker's messages.

    Args:
        settings: Of the broker.
        edge: The edge's id, part of the client id.
        topics: Filters to subscribe to where the settings name none.
        answers: Filters to subscribe to whatever the settings name, and never as shared ones:
            what answers this agent's messages is for no other.
        ingest: Returns after the commit.
        clock: For the time of receipt.
        meter: Counts messages and connections.
        saved_state: The spool's state under ``mqtt/<name>/``, as the last run left it.

    Attributes:
        terms: What the broker granted at the latest connection; None before the first.
        ready: Set while connected and subscribed.
        apart: Parts a batch, see `Apart`; set it before `run`.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        edge: str,
        topics: Sequence[str],
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        saved_state: Mapping[str, bytes],
        answers: Sequence[str] = (),
    ) -> None:
        self.name = settings.source
        self.terms: Terms | None = None
        self.ready = asyncio.Event()
        self._settings = settings
        self._client_id = settings.client_id(edge)
        self._answers = list(answers)
        self._filters = self._wanted = self._chosen(topics)
        self._changed = asyncio.Event()
        self._ingest = ingest
        self.apart: Apart = undivided
        self._clock = clock
        self._meter = meter
        self._prefix = state_prefix(settings)
        self._redelivery = Redelivery(self._prefix, 4 * settings.receive_maximum, saved_state)
        self._subscribed = self._recalled(saved_state.get(self._filters_key))
        self._complaint = ""
        self._linked: Link | None = None
        # Whether this process saw every filter granted in the session that the broker has. What
        # an earlier process saw does not count: a source that trusts it may be connected and deaf.
        self._complete = False

    def _recalled(self, saved: bytes | None) -> Subscribed:
        """Return what was subscribed to before; nothing where a bad disk left it unreadable."""
        try:
            return msgspec.json.decode(saved, type=Subscribed) if saved else NOTHING
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            log.error("filters_unread", source=self.name, why=str(exc))  # noqa: TRY400 - not a bug
            return NOTHING

    async def run(self) -> NoReturn:
        """Serve one connection until it ends, then see every commit through.

        Cancelled, it stops reading, waits up to five seconds for the commits under way,
        acknowledges them and says goodbye. Use a new source after that.

        Raises:
            Unavailable: The connection ended, or could not be made.
        """
        line: CommitLine[int, int] = CommitLine(
            self.name,
            self._ingest,
            self._redelivery,
            self._meter,
            most_messages=max(2 * self._settings.receive_maximum, 8192),
            most_bytes=max(UNCOMMITTED_BYTES, 4 * self._settings.max_packet),
            apart=self.apart,
        )
        link = self._link(line)
        trouble = Unavailable("the connection ended")
        try:
            async with asyncio.TaskGroup() as tasks:
                line.start(tasks)
                try:
                    trouble = await self._serve(link, line)
                except Unavailable as why:
                    trouble = why
                except asyncio.CancelledError:
                    await self._finish(link, line)
                    raise
                self._left()
                await line.drained()
        finally:
            self._left()
            await link.close()
        self._complain(trouble)
        raise trouble

    def _chosen(self, topics: Sequence[str]) -> list[str]:
        return list(dict.fromkeys([*self._settings.filters(list(topics)), *self._answers]))

    def follow(self, topics: Sequence[str]) -> None:
        """Subscribe to other topics from now on, without a new connection."""
        self._wanted = self._chosen(topics)
        self._changed.set()

    async def publish(self, downlink: Downlink) -> None:
        """Send a message of QoS 1 and return after the broker's PUBACK.

        Raises:
            NotSent: Not connected, or too much is under way: nothing left.
            Unavailable: It left, and the broker did not confirm it.
            Undeliverable: The broker refuses it, or (MQTT 5) has nobody to give it to.
        """
        if self._linked is None:
            raise NotSent(f"{self.name} is not connected")
        await self._linked.publish(downlink)
        self._meter.count("tidegate_mqtt_published", source=self.name)

    async def _serve(self, link: Link, line: CommitLine[int, int]) -> Unavailable:
        if not self._filters:
            raise Refused(
                "nothing to subscribe to: no profile names a topic and subscribe is empty"
            )
        self.terms = terms = await link.connect()
        self._meter.count("tidegate_mqtt_connects", source=self.name)
        await self._renew(terms, link, line)
        await self._subscribe(terms, link, line)
        self._complaint = ""
        self._linked = link
        self.ready.set()
        self._meter.set("tidegate_mqtt_connected", 1, source=self.name)
        log.info(
            "broker_connected",
            source=self.name,
            session_present=terms.session_present,
            filters=len(self._filters),
            remembered=len(self._redelivery),
        )
        return await self._attend(terms, link, line)

    async def _attend(self, terms: Terms, link: Link, line: CommitLine[int, int]) -> Unavailable:
        """Return why the connection ended; until then subscribe to what is wanted beside."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                lost = tasks.create_task(link.lost())
                changed = tasks.create_task(self._changed.wait())
                await asyncio.wait({lost, changed}, return_when=asyncio.FIRST_COMPLETED)
                lost.cancel()
                changed.cancel()
            if not lost.cancelled():
                return lost.result()
            self._changed.clear()
            self._filters = self._wanted
            surplus = [each for each in self._subscribed.filters if each not in self._filters]
            if surplus:
                await link.unsubscribe(surplus)
                log.info("topics_unsubscribed", source=self.name, filters=len(surplus))
            self._complete = False
            await self._subscribe(terms, link, line, kept=self._subscribed.filters)

    async def _renew(self, terms: Terms, link: Link, line: CommitLine[int, int]) -> None:
        """Bring what is remembered in line with what the broker has, before anything depends on it.

        A memory of an earlier session would take new messages for known ones; a subscription of
        an earlier configuration would go on delivering.
        """
        state: dict[str, bytes | None] = {}
        if not terms.session_present:
            if len(self._redelivery):
                log.warning("session_lost", source=self.name, forgotten=len(self._redelivery))
            state = self._redelivery.forget()
            self._subscribed = NOTHING
            self._complete = False
        surplus = [each for each in self._subscribed.filters if each not in self._filters]
        if surplus:
            await link.unsubscribe(surplus)
            log.info("topics_unsubscribed", source=self.name, filters=surplus)
        if state:
            await line.store(state)

    async def _subscribe(
        self, terms: Terms, link: Link, line: CommitLine[int, int], kept: Sequence[str] = ()
    ) -> None:
        """Subscribe to all filters but those that this connection has."""
        if self._settings.version == "3.1.1" and self._complete:
            return  # subscribing again would bring every retained message again
        if not terms.shared and any(each.startswith("$share/") for each in self._filters):
            raise Refused("the broker has no shared subscriptions: leave shared_group out")
        if not terms.wildcards and any("+" in each or "#" in each for each in self._filters):
            raise Refused("the broker allows no wildcards: list whole topics under subscribe")
        asked = [each for each in self._filters if each not in kept]
        granted = [each for each in self._filters if each in kept]
        codes = await link.subscribe(asked) if asked else []
        for each, code in zip(asked, codes, strict=True):
            if code >= 0x80:
                log.error(
                    "subscription_refused",
                    source=self.name,
                    filter=each,
                    why=subscribe_refused(code),
                )
                continue
            granted.append(each)
            if code < self._settings.qos:
                log.warning("subscription_weakened", source=self.name, filter=each, qos=code)
        refused = len(self._filters) - len(granted)
        self._meter.set("tidegate_mqtt_filters_refused", refused, source=self.name)
        self._complete = not refused
        if not granted:
            raise Refused(f"the broker refuses every topic: {subscribe_refused(codes[0])}")
        if self._subscribed != Subscribed(self._settings.qos, granted):
            self._subscribed = Subscribed(self._settings.qos, granted)
            await line.store({self._filters_key: msgspec.json.encode(self._subscribed)})

    def _left(self) -> None:
        self._linked = None
        self.ready.clear()
        self._meter.set("tidegate_mqtt_connected", 0, source=self.name)

    async def _finish(self, link: Link, line: CommitLine[int, int]) -> None:
        link.halt()
        try:
            async with asyncio.timeout(FINISH_S):
                await line.drained()
        except TimeoutError:
            log.warning("commits_abandoned", source=self.name, after_s=FINISH_S)

    def _complain(self, trouble: Unavailable) -> None:
        """Say once, loudly, what only a person can mend; it is tried again ever more slowly."""
        if isinstance(trouble, Refused) and str(trouble) != self._complaint:
            self._complaint = str(trouble)
            log.error("broker_refused", source=self.name, why=self._complaint)

    def _link(self, line: CommitLine[int, int]) -> Link:
        settings, client_id = self._settings, self._client_id
        if settings.version == "5":
            return Link5(settings, client_id, line, self._redelivery, self._clock)
        # its library costs 7 MB: only an edge with such a broker pays for it
        from edge_agent.sources.mqtt311_link import Link311

        return Link311(settings, client_id, line, self._redelivery, self._clock)

    @property
    def _filters_key(self) -> str:
        return f"{self._prefix}filters"


def state_prefix(settings: MqttSettings) -> str:
    """Return the prefix of this broker's keys in the spool's state."""
    return f"mqtt/{settings.name}/"
