"""A network in memory: connections in order and late, ways that are cut, peers that are gone.

A connection keeps order and loses nothing, as TCP does; a way that is cut holds back what is under
way. Who keeps an eye on the connection (every client here does, see `gateway_core.lifeline`)
gives up after `DEAD_PEER_S`; the other end stays half open until it speaks and is told so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from gateway_core.lifeline import DEAD_PEER_S
from tests.simulation.connection import End, Place
from tests.simulation.loop import LIFE, Life, SimulatedLoop

_MAGIC = b"TGU"


class Door:
    """What a server is given instead of a listening socket."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)

    def getsockname(self) -> Place:
        return self._place

    def close(self) -> None:
        pass


class _Server:
    def __init__(self, network: Network, place: Place) -> None:
        self._network, self._place = network, place
        self.sockets = [Door(*place[:2])]

    def close(self) -> None:
        self._network.listeners.pop(self._place, None)

    async def wait_closed(self) -> None:
        pass


class Network:
    """All ways between hosts.

    Args:
        loop: Whose connections these are.
        chance: For delays, cuts of packets and flips.

    Attributes:
        cut: Pairs of hosts between which nothing passes.
        slow: Pairs of hosts to how many seconds longer everything takes.
        garbled: Pairs of hosts to how likely a piece of an upload is altered.
        echo: Hears what is sent, and may send it again; None where nobody does.
        listeners: Place to factory and life.
        powered: Hosts that run; one that does not answers nothing, not even that.
        tell: Takes lines for the trace.
    """

    def __init__(self, loop: SimulatedLoop, chance: random.Random) -> None:
        self.loop, self.chance = loop, chance
        self.cut: set[frozenset[str]] = set()
        self.slow: dict[frozenset[str], float] = {}
        self.garbled: dict[frozenset[str], float] = {}
        self.listeners: dict[Place, tuple[Callable[[], Any], Life]] = {}
        self.ends: dict[End, None] | Any = _Ordered()
        self.powered: dict[str, Life] = {}
        self.tell: Callable[[str], None] = lambda _line: None
        self.echo: Any = None
        self._sockets: dict[int, tuple[Any, End]] = {}
        loop.network = self

    def delay(self, a: str, b: str) -> float:
        """Return how long one thing takes from one host to another."""
        base = 0.001 + self.chance.expovariate(1 / 0.01)
        if self.chance.random() < 0.02:
            base += self.chance.random() * 2.0  # lost, and sent again
        return base + self.slow.get(frozenset((a, b)), 0.0)

    def listen(self, factory: Callable[[], Any], place: Place) -> _Server:
        life = LIFE.get()
        assert life is not None
        place = (life.host, place[1])
        self.listeners[place] = factory, life
        return _Server(self, place)

    async def connect_socket(self, sock: Any, host: str, port: int) -> None:
        self._sockets[id(sock)] = sock, await self._open(host, port)

    async def attach(self, factory: Callable[[], Any], host: Any, port: Any, sock: Any) -> Any:
        """Give a new connection its protocol at the client's side."""
        if sock is not None:
            kernel, end = self._sockets.pop(id(sock))
            kernel.close()
        else:
            end = await self._open(host, port)
        protocol = factory()
        end.protocol = protocol
        protocol.connection_made(end)
        if end.lost:  # reset before anybody looked
            self.loop.call_soon(protocol.connection_lost, ConnectionResetError())
        return end, protocol

    async def _open(self, host: str, port: int) -> End:
        life = LIFE.get()
        assert life is not None
        way, wait = frozenset((life.host, host)), 1.0
        while True:
            await asyncio.sleep(2 * self.delay(life.host, host))
            if way not in self.cut and host in self.powered:
                break
            await asyncio.sleep(wait)  # a SYN is sent again ever later
            wait *= 2
        found = self.listeners.get((host, port))
        if found is None or not found[1].alive:
            raise ConnectionRefusedError(f"[Errno 111] Connect call failed ('{host}', {port})")
        factory, server = found
        near = End(self, life, (host, port), client=True)
        far = End(self, server, (life.host, 40_000 + self.chance.randrange(20_000)), client=False)
        near.other, far.other = far, near
        for each in (near, far):
            self.ends.add(each)
        self.loop.call_soon(self._accept, far, factory, context=server.context)
        return near

    @staticmethod
    def _accept(end: End, factory: Callable[[], Any]) -> None:
        end.protocol = factory()
        end.protocol.connection_made(end)

    def carry(self, end: End, data: bytes | None) -> None:
        """Send bytes, or the end, from one end to the other."""
        if self.echo is not None and data is not None:
            self.echo.heard(end, data)
        body = self._body(end, data)
        if data is not None and len(data) > 8 and self.chance.random() < 0.05:
            at = self.chance.randrange(1, len(data))
            self._under_way(end, data[:at], body)
            self._under_way(end, data[at:], max(0, body - at) if body >= 0 else -1)
        else:
            self._under_way(end, data, body)

    def _under_way(self, end: End, data: bytes | None, body: int) -> None:
        when = self.loop.time() + self.delay(end.life.host, end.other.life.host)
        end.last = max(end.last + 1e-6, when)  # the loop keeps no order of timers of one instant
        self.loop.call_at(end.last, self._arrive, end, data, body, context=end.other.life.context)

    def _arrive(self, end: End, data: bytes | None, body: int) -> None:
        way = frozenset((end.life.host, end.other.life.host))
        if way in self.cut or end.behind:
            end.behind.append((data, body))
            return
        if data is not None and 0 <= body < len(data):
            data = self._garbled(way, data, body)
        end.other.take(data)

    @staticmethod
    def _body(end: End, data: bytes | None) -> int:
        """Return where in what a client sends an upload's own bytes begin; -1: there are none."""
        if data is None or not end.client:
            return -1
        start = data.find(_MAGIC)
        if start < 0 and end.in_body and not data.startswith((b"POST ", b"GET ")):
            start = 0
        end.in_body = start >= 0
        return start

    def _garbled(self, way: frozenset[str], data: bytes, body: int) -> bytes:
        """Alter a bit of an upload, where the way does that; a seal must notice."""
        if self.chance.random() >= self.garbled.get(way, 0.0):
            return data
        at = self.chance.randrange(body, len(data))
        self.tell(f"a bit of an upload is altered, byte {at - body} of {len(data) - body}")
        return data[:at] + bytes([data[at] ^ 1 << self.chance.randrange(8)]) + data[at + 1 :]

    def reset(self, end: End) -> None:
        """Let the other end know that there is nobody here, if the way allows it."""
        other = end.other
        if frozenset((end.life.host, other.life.host)) not in self.cut and not other.lost:
            self.loop.call_later(
                self.delay(end.life.host, other.life.host),
                other.fail,
                ConnectionResetError(104, "Connection reset by peer"),
                context=other.life.context,
            )

    def part(self, a: str, b: str) -> None:
        """Cut the way between two hosts."""
        way = frozenset((a, b))
        self.cut.add(way)
        self.loop.call_later(
            DEAD_PEER_S, self._give_up, way, [e for e in self.ends if self._on(e, way)]
        )

    def heal(self, a: str, b: str) -> None:
        """Open a way again; what it held back goes on."""
        way = frozenset((a, b))
        self.cut.discard(way)
        for end in [each for each in self.ends if self._on(each, way)]:
            self._go_on(end)

    def _go_on(self, end: End) -> None:
        behind, end.behind = end.behind, []
        for data, body in behind:
            self._under_way(end, data, body)

    @staticmethod
    def _on(end: End, way: frozenset[str]) -> bool:
        return frozenset((end.life.host, end.other.life.host)) == way

    def _give_up(self, way: frozenset[str], ends: list[End]) -> None:
        """Clients end connections over a way that is still cut."""
        if way in self.cut:
            for end in ends:
                if end.client and not end.lost and end.life.alive:
                    end.behind.clear()
                    end.fail(TimeoutError(110, "Connection timed out"))

    def vanish(self, life: Life, *, power: bool) -> None:
        """Take a life's ends and doors away: the system says so, or, without power, nobody does."""
        for place in [p for p, (_, owner) in self.listeners.items() if owner is life]:
            del self.listeners[place]
        self.powered.pop(life.host, None) if power else None
        for end in [each for each in self.ends if each.life is life]:
            if not power:
                self.reset(end)
            elif end.other.client:
                self.loop.call_later(
                    DEAD_PEER_S,
                    end.other.fail,
                    TimeoutError(110, "Connection timed out"),
                    context=end.other.life.context,
                )
            end.lost = True
            self.ends.discard(end)


class _Ordered(dict[End, None]):
    """A set in the order of entry: what happens must not hang on where things lie in memory."""

    def add(self, end: End) -> None:
        self[end] = None

    def discard(self, end: End) -> None:
        self.pop(end, None)
