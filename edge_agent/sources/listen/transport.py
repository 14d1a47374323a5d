"""What lies below a listener's connections: the options of its sockets, and encryption."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Iterable

from edge_agent.sources.listen.settings import ListenSettings, TlsSettings
from gateway_core.errors import Unavailable
from gateway_core.tls import server_context

LINGER_S = 5.0
"""Seconds in which a client that is sent away may read why."""

BACKLOG = 4096
"""Connections that the system holds until they are looked at."""

FILES_BESIDE = 1024
"""Open files that the rest of the agent may need."""


def prepare(sockets: list[socket.socket], settings: ListenSettings) -> None:
    """Set what accepted sockets inherit, and allow for as many as may come."""
    for sock in sockets:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # who asks for no keep alive
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, round(settings.keep_alive))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + FILES_BESIDE
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(
    sock: socket.socket,
    visit: Callable[[], asyncio.Protocol],
) -> asyncio.Server:
    """Let connections come in at a bound socket."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(visit, sock=sock, backlog=BACKLOG)


def encryption(tls: TlsSettings) -> ssl.SSLContext:
    """Return what TLS needs.

    Raises:
        ConfigError: A file cannot be read, or is not fit for it.
    """
    return server_context(tls.cert_file, tls.key_file, tls.client_ca_file, "mqtt_listen.tls")


def check_open(sockets: Iterable[socket.socket]) -> None:
    """See that an event loop which ran into trouble has not closed a listening socket and gone on.

    Raises:
        Unavailable: It has.
    """
    if any(each.fileno() < 0 for each in sockets):
        raise Unavailable("a listening socket was closed")
