"""Takes in what devices publish to the agent itself; each hears of it only after the commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NoReturn

import structlog

from edge_agent.arrival import Apart, Arrival, Ingest, undivided
from edge_agent.downlink import Downlink
from edge_agent.following import Followed
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.listen import packets as p
from edge_agent.sources.listen.admission import Admission
from edge_agent.sources.listen.conversation import Conversation
from edge_agent.sources.listen.entrance import Entrance
from edge_agent.sources.listen.handshakes import Handshakes
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.inbox import Client, ClientLoad, Word, gathered
from edge_agent.sources.listen.memory import Entries
from edge_agent.sources.listen.outgoing import Outgoing
from edge_agent.sources.listen.packets import Broken
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.listen.transport import LINGER_S, check_open, prepare, serve
from edge_agent.sources.listen.visit import Visit
from gateway_core.clock import Clock
from gateway_core.listening import tcp_sockets
from gateway_core.meter import Meter

log = structlog.get_logger()

FINISH_S = 5.0
LOOK_S = 1.0
AT_ONCE = 2000
"""Connections that are looked at in one step of the loop."""
MOST_KEPT = 64 * 2**20
"""Bytes of packets that have not come whole, of all clients together."""
MOST_LINES = 20
"""Lines of log a second about clients that were sent away; the metrics count all."""
UNCOMMITTED, UNCOMMITTED_BYTES = 16_384, 32 * 2**20


class ListenSource:
    """Serves devices that speak MQTT to the agent itself.

    Args:
        settings: Where to listen and whom to let in.
        ingest: Returns after the commit.
        clock: For the time of receipt.
        meter: Counts.
        saved_state: The spool's state under `state_prefix`, as the last run left it.
        followed: Clients that somebody follows.
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
        followed: Followed,
        apart: Apart = undivided,
    ) -> None:
        self.name = settings.source
        self.opened = asyncio.Event()
        self.ports: list[int] = []
        self.visits: set[Visit] = set()
        most = 2 * settings.max_connections
        prefix = state_prefix(settings)
        sessions = Sessions(prefix, settings.receive_maximum, most, saved_state, clock())
        self.house = House(settings, sessions, Policy(settings.topics, settings.commands), followed)
        self._settings = settings
        self._ingest = ingest
        self._clock = clock
        self._meter = meter
        self._admission = Admission(settings.max_connections, settings.per_address)
        self._line: CommitLine[Word, Entries] = CommitLine(
            self.name,
            self._store,
            sessions,
            meter,
            most_messages=UNCOMMITTED,
            most_bytes=UNCOMMITTED_BYTES,
            apart=apart,
        )
        self._line.on_acknowledged = self._acknowledge
        self._line.on_pressure = self._press
        self._line.on_held = self._hold
        self._by_talk: dict[Client, Visit] = {}
        self._strangers: set[Visit] = set()
        self._halted: OrderedDict[Visit, None] = OrderedDict()
        self._kept = self._lines = self._occasions = 0
        self._handshakes = Handshakes(settings, self, meter)
        self._under_pressure = self._closing = False
        self._tasks: asyncio.TaskGroup | None = None
        self._entrance = Entrance(settings, meter, self._admitted)
        self._outgoing = Outgoing()

    async def run(self) -> NoReturn:
        """Serve until cancelled; then see the commits under way through, for up to 5 seconds.

        Raises:
            ConfigError: An address cannot be bound, or a file cannot be read.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        (await self.reread())()
        sockets = tcp_sockets(settings.listen, f"mqtt_listen.{settings.name}.listen")
        prepare(sockets, settings)
        self.ports = [each.getsockname()[1] for each in sockets]
        async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._line.start(tasks)
            try:
                visit = partial(Visit, self, loop.time)
                for sock in sockets:
                    if settings.tls is not None:
                        task = tasks.create_task(self._handshakes.serve(sock, tasks))
                        stack.callback(task.cancel)
                    else:
                        stack.callback((await serve(sock, visit)).close)
                self.opened.set()
                if settings.open_to_nobody:
                    advice = "give users_file, tls.client_ca_file or anonymous: true"
                    log.warning("listener_lets_nobody_in", source=self.name, advice=advice)
                log.info("mqtt_listening", source=self.name, ports=self.ports)
                while True:
                    await asyncio.sleep(LOOK_S)
                    await self._look(loop.time())
                    check_open(sockets)
            finally:
                await stack.aclose()
                await self._finish()

    async def publish(self, downlink: Downlink) -> str:
        """Send a message to the device that subscribed to its topic; as `Publisher.publish`."""
        session = self.house.sessions.hearer(downlink.address)
        line = session.line if session is not None else None
        visit = self._by_talk.get(line) if isinstance(line, Conversation) else None
        said = await self._outgoing.publish(downlink, visit)
        self._meter.count("tidegate_mqtt_published", source=self.name)
        return said

    async def reread(self) -> Callable[[], None]:
        """Read the users and certificates again; return what makes them count.

        Raises:
            ConfigError: One of the files is wrong; everything goes on as it was.
        """
        users = await asyncio.to_thread(self._entrance.read)
        context = await asyncio.to_thread(self._handshakes.read)

        def adopt() -> None:
            self._handshakes.use(context)
            self._entrance.use(users, self.visits)

        return adopt

    def states(self) -> dict[str, int]:
        """Return how many connections are in each state."""
        strangers, waiting = len(self._strangers), self._entrance.waiting
        return {
            "handshake": strangers - waiting + self._handshakes.under_way,
            "waiting": waiting + self._handshakes.waiting,
            "connected": len(self.visits) - strangers,
            "held": len(self._halted),
            "sessions": len(self.house.sessions),
        }

    # ---- what visits ask of their listener ----

    def place(self, address: str) -> bool:
        """Give a connection a place, or say that there is none."""
        why = "closing" if self._closing else self._admission.enter(address)
        self._meter.count("tidegate_mqtt_listen_connections", source=self.name, result=why or "ok")
        return not why

    def give_back(self, address: str) -> None:
        """Take a place back."""
        self._admission.leave(address)

    def arrived(self, visit: Visit) -> None:
        """Note a connection that has a place."""
        self.visits.add(visit)
        self._strangers.add(visit)
        self._by_talk[visit.talk] = visit

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
        self._halted[visit] = None

    def received(self) -> None:
        """Let what was read be committed."""
        self._line.soon()

    def asked(self, visit: Visit) -> None:
        """Find out who it is that connects."""
        assert self._tasks is not None
        self._entrance.receive(visit, self._tasks)

    def confirmed(self, visit: Visit) -> None:
        """Note what a device acknowledged."""
        self._outgoing.confirmed(visit)

    def keeps(self, change: int) -> bool:
        """Note bytes that are not read yet; return whether there is room for them."""
        self._kept += change
        return self._kept <= MOST_KEPT

    def broke(self, visit: Visit, why: Broken) -> None:
        """Count a connection that had to end."""
        self._meter.count(
            "tidegate_mqtt_listen_closed", source=self.name, reason=f"0x{why.code:02x}"
        )
        self._lines += 1
        if self._lines <= MOST_LINES:
            client, told = visit.talk.client, str(why)[:200]
            log.info("device_disconnected", source=self.name, client=client, why=told)

    def left(self, visit: Visit) -> None:
        """Forget a connection that is gone."""
        self.give_back(visit.address)
        self.visits.discard(visit)
        self._strangers.discard(visit)
        self._halted.pop(visit, None)
        self._by_talk.pop(visit.talk, None)
        self._outgoing.left(visit)
        self._entrance.left(visit)
        self._speak_wills()

    # ---- inside ----

    async def _store(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> Sequence[str | None]:
        verdicts = await self._ingest(arrivals, state)
        if self.house.followed.awaited:
            self.house.followed.stored(arrivals, verdicts)
        return verdicts

    def _acknowledge(self, words: list[Word]) -> None:
        """Send what is stored to whom it concerns, in one write each."""
        for talk, (answer, count) in gathered(words).items():
            visit = self._by_talk.get(talk)
            if visit is not None:
                visit.acknowledge(answer, count)

    def _press(self, pressed: bool) -> None:  # noqa: FBT001  # a callback's only argument
        self._under_pressure = pressed
        while self._halted and not self._under_pressure:  # each in turn, until there is again
            visit, _ = self._halted.popitem(last=False)
            visit.resume()

    def _hold(self, held: bool) -> None:  # noqa: FBT001  # a callback's only argument
        """Let clients of MQTT 5 be told that the disk is full, where that is wanted."""
        if self._settings.when_full == "refuse":
            self._occasions += held
            self.house.refusing = self._occasions if held else 0
            for visit in list(self.visits):
                visit.resume()

    async def _look(self, now: float) -> None:
        """Once a second: close who is silent for too long, store what changed, count."""
        self._lines = 0
        for number, visit in enumerate(list(self.visits), 1):
            self._judge(visit, now)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._speak_wills()
        self.house.end_heard(self._line.open, self._clock())
        self._line.open.due |= self.house.sessions.changed
        self._line.go()
        down, self.house.turned_down = self.house.turned_down, 0
        self._meter.count("tidegate_mqtt_listen_turned_down", down, source=self.name)
        for state, count in self.states().items():
            self._meter.set("tidegate_mqtt_listen_states", count, source=self.name, state=state)

    def _judge(self, visit: Visit, now: float) -> None:
        talk = visit.talk
        if visit.ended:
            if now - visit.ended > LINGER_S:
                visit.abort()
        elif talk.client:
            if 0 < 1.5 * talk.keep_alive < visit.silence(now):
                visit.close(Broken(p.KEEP_ALIVE_TIMEOUT, "silent for too long"))
        elif talk.asked is None and now - visit.since > self._settings.handshake:
            visit.close(Broken(p.UNSPECIFIED, "said not in time who it is"))

    def _admitted(self, visit: Visit) -> None:
        self._strangers.discard(visit)
        self._speak_wills()

    def _speak_wills(self) -> None:
        """Take in what clients left to be said."""
        if self._closing:
            return  # it is the agent that goes, not the devices
        received, followed = self._clock(), self.house.followed
        wills = self.house.sessions.due(received)
        for will in wills:
            arrival = Arrival(self.name, will.topic, will.payload, received)
            self._line.open.arrivals.append(arrival)
            if will.client in followed.clients:
                followed.sent(will.client, None, arrival)
        if wills:
            self._meter.count("tidegate_mqtt_listen_wills", len(wills), source=self.name)
            self._line.go()

    async def _finish(self) -> None:
        self._closing = True
        try:
            async with asyncio.timeout(FINISH_S):
                await self._line.drained()
        except TimeoutError:
            log.warning("commits_abandoned", source=self.name, after_s=FINISH_S)
        finally:
            self.house.followed.abandon(self.name)
        for visit in list(self.visits):
            visit.close(Broken(p.SHUTTING_DOWN, "the agent is ending"))


def state_prefix(settings: ListenSettings) -> str:
    """Return the prefix of this listener's keys in the spool's state."""
    return f"listen/{settings.name}/"
