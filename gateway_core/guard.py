"""Keep slow and greedy peers from holding the listener: limits on connections and on headers.

aiohttp alone waits for a request's headers without end (Slowloris). `Guard` stands between the
transport and aiohttp's protocol: it counts connections and drops one whose first request has not
come whole in time. Later requests on a connection are bounded by aiohttp's keep-alive timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway_core.units import Address


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer, and all of them, may hold.

    Attributes:
        connections: Open at once.
        per_address: Open at once from one IPv4 address or IPv6 /64.
        header_s: Seconds until the first request's headers must be there.
    """

    connections: int
    per_address: int
    header_s: float


Refused = Callable[[str], None]
"""Counts a connection that was refused, by the reason: ``too_many`` or ``slow_headers``."""


class Guards:
    """All connections of a listener; an instance is a protocol factory."""

    def __init__(
        self, inner: Callable[[], asyncio.Protocol], limits: Limits, refused: Refused
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._refused = refused
        self._open = 0
        self._by_address: Counter[str] = Counter()
        self._waiting: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of one new connection."""
        return Guard(self, self._inner())

    def headers_came(self, transport: asyncio.BaseTransport | None) -> None:
        """Stop the clock of a connection: its first request is being handled."""
        timer = self._waiting.pop(transport, None) if transport is not None else None
        if timer is not None:
            timer.cancel()

    def enter(self, transport: asyncio.Transport, address: str) -> bool:
        """Count a connection in; False when it is one too many."""
        self._open += 1
        self._by_address[address] += 1
        if (
            self._open > self._limits.connections
            or self._by_address[address] > self._limits.per_address
        ):
            self._refused("too_many")
            return False
        loop = asyncio.get_running_loop()
        self._waiting[transport] = loop.call_later(self._limits.header_s, self._late, transport)
        return True

    def leave(self, transport: asyncio.Transport, address: str) -> None:
        """Count a connection out."""
        self._open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        self.headers_came(transport)

    def _late(self, transport: asyncio.Transport) -> None:
        self._waiting.pop(transport, None)
        self._refused("slow_headers")
        transport.abort()


class Guard(asyncio.Protocol):
    """One connection: passes everything on to aiohttp's protocol."""

    def __init__(self, guards: Guards, inner: asyncio.Protocol) -> None:
        self._guards = guards
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._admitted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection or drop it."""
        self._transport = transport = cast("asyncio.Transport", transport)
        self._address = source(transport.get_extra_info("peername"))
        self._admitted = self._guards.enter(transport, self._address)
        if self._admitted:
            self._inner.connection_made(transport)
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        if self._admitted:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received() if self._admitted else None

    def pause_writing(self) -> None:
        """Pass on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out and pass on."""
        assert self._transport is not None
        self._guards.leave(self._transport, self._address)
        if self._admitted:
            self._inner.connection_lost(exc)


def source(peer: object) -> str:
    """Return what connections are counted by: an IPv4 address, or an IPv6 /64."""
    if not isinstance(peer, tuple) or not peer:
        return ""
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return str(peer[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


@contextlib.asynccontextmanager
async def guarded(
    runner: web.AppRunner,
    sockets: Sequence[socket.socket],
    tls: ssl.SSLContext | None,
    limits: Limits,
    refused: Refused,
) -> AsyncIterator[list[Address]]:
    """Answer on sockets, which are closed at the end, after the answers under way.

    Args:
        runner: Of the application; not set up yet.
        sockets: Bound ones.
        tls: Encrypts, or None.
        limits: What peers may hold.
        refused: Counts those who would have more.

    Yields:
        Where it listens, ports filled in.
    """

    @web.middleware
    async def heard(request: web.Request, handler: Handler) -> web.StreamResponse:
        guards.headers_came(request.transport)
        return await handler(request)

    runner.app.middlewares.insert(0, heard)
    await runner.setup()
    assert runner.server is not None
    guards = Guards(runner.server, limits, refused)
    loop, shaken_s = asyncio.get_running_loop(), limits.header_s if tls else None
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        for each in sockets:
            server = await loop.create_server(
                guards, sock=each, ssl=tls, ssl_handshake_timeout=shaken_s
            )
            stack.callback(server.close)
        yield [Address(*each.getsockname()[:2]) for each in sockets]
