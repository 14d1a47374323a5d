"""TLS before the first packet: each connection in its turn, a bounded number at a time.

A handshake costs more than all that its device says in an hour, and half of one can be had for a
TCP connection. So they wait for turns as CONNECTs do, as bare sockets, and have places: a party
(`turns.party`) may have no more under way than are free. So one has half of them, two a third each.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections import Counter
from dataclasses import dataclass

import structlog

from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.listen.transport import BACKLOG, LINGER_S, encryption
from edge_agent.sources.listen.turns import party
from edge_agent.sources.listen.turnstile import Turnstile
from edge_agent.sources.listen.visit import Desk, Visit
from gateway_core.meter import Meter

log = structlog.get_logger()

AT_ONCE = 512
"""Handshakes under way at a time; a silent peer has its place until the deadline."""

PAUSE_S = 1.0
"""Seconds before the next try when the system has no more sockets to give."""

IN_A_ROW = 64
"""Connections that are accepted before others have the loop."""


@dataclass(frozen=True, slots=True, eq=False)
class Guest:
    """A connection that is not encrypted yet."""

    sock: socket.socket
    address: str


class Handshakes:
    """The handshakes of one listener.

    Args:
        settings: Of the listener.
        desk: Has places, and is told of who is encrypted.
        meter: Counts them by how they ended.
    """

    def __init__(self, settings: ListenSettings, desk: Desk, meter: Meter) -> None:
        self._context: ssl.SSLContext | None = None
        self._settings = settings
        self._desk = desk
        self._meter = meter
        self._held: Counter[str] = Counter()
        self._all = 0
        self._waiting: set[Guest] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._line: Turnstile[Guest] = Turnstile(settings.handshake_rate, self._begin, self._take)

    @property
    def waiting(self) -> int:
        """Connections that wait for their turn."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Handshakes that have begun and have not ended."""
        return self._all

    def read(self) -> ssl.SSLContext | None:
        """Read the certificates; blocks, and raises `ConfigError` for files that are not fit."""
        tls = self._settings.tls
        return encryption(tls) if tls is not None else None

    def use(self, context: ssl.SSLContext | None) -> None:
        """Have handshakes with these certificates from now on."""
        self._context = context

    async def serve(self, sock: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Let connections come in at a bound socket, until cancelled.

        Args:
            sock: Is closed at the end.
            tasks: Run the handshakes.
        """
        self._tasks = tasks
        loop = asyncio.get_running_loop()
        with sock:
            sock.setblocking(False)  # noqa: FBT003
            sock.listen(BACKLOG)
            try:
                for number in itertools.count(1):
                    try:
                        accepted, peer = await loop.sock_accept(sock)
                    except ConnectionError:
                        continue  # it gave up in the backlog
                    except OSError as why:
                        log.warning("accept_failed", source=self._settings.source, why=str(why))
                        await asyncio.sleep(PAUSE_S)
                        continue
                    self._arrived(Guest(accepted, str(peer[0])))
                    if number % IN_A_ROW == 0:
                        await asyncio.sleep(0)
            finally:
                for guest in list(self._waiting):
                    self._line.leave(guest.address, guest)
                    self._gone(guest)

    def _arrived(self, guest: Guest) -> None:
        if not self._desk.place(guest.address):
            guest.sock.close()
            return
        self._waiting.add(guest)
        at_once = self._line.enter(guest.address, guest)
        self._meter.count(
            "tidegate_mqtt_listen_handshake_turns",
            source=self._settings.source,
            result="at_once" if at_once else "waited",
        )

    def _gone(self, guest: Guest) -> None:
        self._waiting.discard(guest)
        self._desk.give_back(guest.address)
        guest.sock.close()

    def _take(self, group: str) -> bool:
        if self._held[group] >= AT_ONCE - self._all:
            return False
        self._held[group] += 1
        self._all += 1
        return True

    def _begin(self, guest: Guest) -> None:
        assert self._tasks is not None
        self._waiting.discard(guest)
        self._tasks.create_task(self._shake(guest))

    async def _shake(self, guest: Guest) -> None:
        loop = asyncio.get_running_loop()
        visit, result = Visit(self._desk, loop.time, placed=True), "gone"
        try:
            await loop.connect_accepted_socket(
                lambda: visit,
                guest.sock,
                ssl=self._context,
                ssl_handshake_timeout=self._settings.handshake,
                ssl_shutdown_timeout=LINGER_S,
            )
            result = "ok"
        except ConnectionAbortedError:
            result = "late"
        except OSError:  # what is wrong with TLS or with the connection
            result = "failed"
        finally:
            name = self._settings.source
            self._meter.count("tidegate_mqtt_listen_handshakes", source=name, result=result)
            self._leave(party(guest.address))
            if not visit.address:  # it never came so far as to give its place back itself
                self._gone(guest)
        self._line.look()

    def _leave(self, group: str) -> None:
        self._all -= 1
        self._held[group] -= 1
        if not self._held[group]:
            del self._held[group]
