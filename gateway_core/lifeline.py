"""Connections on which a peer that went away without a word is an error within seconds.

TCP alone waits for a quarter of an hour for an answer to what it sent, and for ever when it has
nothing to send. The kernel can be told to look: it asks a silent peer, and gives up when neither
data nor an answer came. A peer that is merely slow answers, and keeps its connection.
"""

from __future__ import annotations

import socket

DEAD_PEER_S = 10
"""After so long without a sign of life a connection is at an end."""

_FIRST_S, _EACH_S = 3, 2  # so that a question is out when the time is over


def watched(sock: socket.socket) -> socket.socket:
    """Have the kernel end a connection whose peer gives no sign of life for `DEAD_PEER_S`."""
    for level, option, value in OPTIONS:
        sock.setsockopt(level, option, value)
    return sock


OPTIONS: list[tuple[int, int, int]] = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _FIRST_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _EACH_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, (DEAD_PEER_S - _FIRST_S) // _EACH_S),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (DEAD_PEER_S - 1) * 1000),
]
"""Level, option and value, for libraries that set them themselves."""


def watched_socket(info: tuple[object, ...]) -> socket.socket:
    """Make the socket of an address, for aiohttp's ``socket_factory``."""
    family, kind, protocol, _, _ = info
    return watched(socket.socket(family, kind, protocol))  # type: ignore[arg-type]  # AddrInfo
