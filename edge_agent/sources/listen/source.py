"""Takes in what devices publish to the agent itself; each hears of it only after the commit."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Mapping
from typing import NoReturn

import structlog

from edge_agent.arrival import Apart, Arrival, Ingest, undivided
from edge_agent.downlink import Downlink
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.admission import Admission
from edge_agent.sources.listen.conversation import ClientLoad, Conversation, House, Word
from edge_agent.sources.listen.entrance import Entrance
from edge_agent.sources.listen.memory import Mark
from edge_agent.sources.listen.outgoing import Outgoing
from edge_agent.sources.listen.packets import Broken
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings, TlsSettings
from edge_agent.sources.listen.visit import Visit
from gateway_core.clock import Clock
from gateway_core.errors import ConfigError, Fault
from gateway_core.listening import tcp_sockets
from gateway_core.meter import Meter

log = structlog.get_logger()

FINISH_S = 5.0
LOOK_S = 1.0
UNCOMMITTED, UNCOMMITTED_BYTES = 16_384, 32 * 2**20


class ListenSource:
    """Serves devices that speak MQTT to the agent itself.

    Args:
        settings: Where to listen and whom to let in.
        ingest: Returns after the commit.
        clock: For the time of receipt.
        meter: Counts.
        saved_state: The spool's state under `state_prefix`, as the last run left it.
        apart: Parts a batch, see `Apart`.

    Attributes:
        opened: Set once the sockets are bound.
        ports: Where it listens, with the ports that port 0 became.
        visits: The connections.
        house: What conversations share.
    """

    def __init__(
        self,
        settings: ListenSettings,
        *,
        ingest: Ingest,
        clock: Clock,
        meter: Meter,
        saved_state: Mapping[str, bytes],
        apart: Apart = undivided,
    ) -> None:
        self.name = settings.source
        self.opened = asyncio.Event()
        self.ports: list[int] = []
        self.visits: set[Visit] = set()
        most = 2 * settings.max_connections
        prefix = state_prefix(settings)
        sessions = Sessions(prefix, settings.receive_maximum, most, saved_state, clock())
        self.house = House(settings, sessions, Policy(settings.topics, settings.commands))
        self._settings = settings
        self._ingest = ingest
        self._clock = clock
        self._meter = meter
        self._admission = Admission(settings.max_connections, settings.per_address)
        self._line: CommitLine[Word, Mark] = CommitLine(
            self.name,
            ingest,
            sessions,
            meter,
            most_messages=UNCOMMITTED,
            most_bytes=UNCOMMITTED_BYTES,
            apart=apart,
        )
        self._line.on_acknowledged = self._acknowledge
        self._line.on_pressure = self._press
        self._by_talk: dict[Conversation, Visit] = {}
        self._halted: set[Visit] = set()
        self._under_pressure = False
        self._closing = False
        self._tasks: asyncio.TaskGroup | None = None
        self._entrance = Entrance(settings, meter)
        self._outgoing = Outgoing(sessions)

    async def run(self) -> NoReturn:
        """Serve until cancelled; then see the commits under way through, for up to 5 seconds.

        Raises:
            ConfigError: An address cannot be bound, or a file cannot be read.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        await asyncio.to_thread(self._entrance.read)
        context = await asyncio.to_thread(_context, settings.tls) if settings.tls else None
        sockets = tcp_sockets(settings.listen, f"mqtt_listen.{settings.name}.listen")
        self.ports = [each.getsockname()[1] for each in sockets]
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._line.start(tasks)
            try:
                for sock in sockets:
                    server = await loop.create_server(
                        lambda: Visit(self, loop.time), sock=sock, ssl=context, backlog=4096
                    )
                    stack.callback(server.close)
                self.opened.set()
                if settings.open_to_nobody:
                    advice = "give users_file, tls.client_ca_file or anonymous: true"
                    log.warning("listener_lets_nobody_in", source=self.name, advice=advice)
                log.info("mqtt_listening", source=self.name, ports=self.ports)
                while True:
                    await asyncio.sleep(LOOK_S)
                    self._look(loop.time())
            finally:
                await stack.aclose()
                await self._finish()

    async def publish(self, downlink: Downlink) -> str:
        """Send a message to the device that subscribed to its topic; as `Publisher.publish`."""
        await self._outgoing.publish(downlink, self.visits)
        self._meter.count("tidegate_mqtt_published", source=self.name)
        return ""

    def states(self) -> dict[str, int]:
        """Return how many connections are in each state."""
        found = Counter("connected" if each.talk.client else "handshake" for each in self.visits)
        found["held"] = len(self._halted)
        return {**found, "sessions": len(self.house.sessions)}

    # ---- what visits ask of their listener ----

    def arrived(self, visit: Visit) -> bool:
        """Give a connection a place, or say that there is none."""
        why = "closing" if self._closing else self._admission.enter(visit.address)
        self._meter.count("tidegate_mqtt_listen_connections", source=self.name, result=why or "ok")
        if why:
            return False
        self.visits.add(visit)
        self._by_talk[visit.talk] = visit
        return True

    def load(self) -> ClientLoad:
        """Return what the next commit will store."""
        return self._line.open

    def now(self) -> int:
        """Return nanoseconds since 1970."""
        return self._clock()

    def pressed(self) -> bool:
        """Return whether clients must wait for the disk."""
        return self._under_pressure or self._closing

    def held(self, visit: Visit) -> None:
        """Note who waits for pressure to go."""
        self._halted.add(visit)

    def received(self) -> None:
        """Let what was read be committed."""
        self._line.go()

    def asked(self, visit: Visit) -> None:
        """Find out who it is that connects."""
        assert self._tasks is not None
        self._entrance.receive(visit, self._tasks)

    def confirmed(self, visit: Visit) -> None:
        """Note what a device acknowledged."""
        self._outgoing.confirmed(visit)

    def broke(self, visit: Visit, why: Broken) -> None:
        """Count a connection that had to end."""
        self._meter.count(
            "tidegate_mqtt_listen_closed", source=self.name, reason=f"0x{why.code:02x}"
        )
        log.info(
            "device_disconnected", source=self.name, client=visit.talk.client, why=str(why)[:200]
        )

    def left(self, visit: Visit) -> None:
        """Give a place back."""
        self._admission.leave(visit.address)
        self.visits.discard(visit)
        self._halted.discard(visit)
        self._by_talk.pop(visit.talk, None)
        self._outgoing.left(visit)

    # ---- inside ----

    def _acknowledge(self, words: list[Word]) -> None:
        """Send what is stored to whom it concerns, in one write each."""
        answers: dict[Conversation, list[bytes]] = {}
        for talk, answer in words:
            answers.setdefault(talk, []).append(answer)
        for talk, parts in answers.items():
            visit = self._by_talk.get(talk)
            if visit is not None:
                visit.acknowledge(b"".join(parts), len(parts))

    def _press(self, pressed: bool) -> None:  # noqa: FBT001  # a callback's only argument
        self._under_pressure = pressed
        if not pressed:
            halted, self._halted = self._halted, set()
            for visit in halted:
                visit.resume()

    def _look(self, now: float) -> None:
        """Once a second: close who is silent for too long, and take in the wills that are due."""
        handshake = self._settings.handshake
        for visit in list(self.visits):
            talk = visit.talk
            if not talk.client:
                if now - visit.since > handshake:
                    visit.close(Broken(p.UNSPECIFIED, "said not in time who it is"))
            elif 0 < 1.5 * talk.keep_alive < now - visit.heard and visit not in self._halted:
                visit.close(Broken(p.KEEP_ALIVE_TIMEOUT, "silent for too long"))
        received = self._clock()
        for _, will in self.house.sessions.due(received):
            self._line.open.arrivals.append(Arrival(self.name, will.topic, will.payload, received))
            self._meter.count("tidegate_mqtt_listen_wills", source=self.name)
        self._line.go()
        for state, count in self.states().items():
            self._meter.set("tidegate_mqtt_listen_states", count, source=self.name, state=state)

    async def _finish(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(FINISH_S):
                await self._line.drained()
        except TimeoutError:
            log.warning("commits_abandoned", source=self.name, after_s=FINISH_S)
        for visit in list(self.visits):
            visit.talk.left(self._clock())
            visit.close(Broken(p.SHUTTING_DOWN, "the agent is ending"))


def state_prefix(settings: ListenSettings) -> str:
    """Return the prefix of this listener's keys in the spool's state."""
    return f"listen/{settings.name}/"


def _context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.client_ca_file is not None:
            context.load_verify_locations(tls.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as exc:
        message = f"cannot be used: {exc}"
        raise ConfigError(Fault(tls.cert_file, 0, 0, "mqtt_listen.tls", message)) from exc
    return context
