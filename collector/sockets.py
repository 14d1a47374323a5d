"""Listening sockets; ``[::]`` serves IPv4 as well, which asyncio's own do not."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from gateway_core.errors import Unavailable
from gateway_core.units import Address

_BACKLOG = 1024


def listen(addresses: Iterable[Address]) -> list[socket.socket]:
    """Return bound, listening sockets, one for each address.

    Raises:
        Unavailable: An address is taken or not ours; none stays open.
    """
    opened: list[socket.socket] = []
    for address in addresses:
        try:
            opened.append(_open(address))
        except OSError as exc:
            for each in opened:
                each.close()
            raise Unavailable(f"cannot listen on {address}: {exc.strerror or exc}") from exc
    return opened


def port_of(opened: socket.socket) -> int:
    """Return the port that a socket listens on."""
    return int(opened.getsockname()[1])


def _open(address: Address) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, where = found[0]
        opened = socket.socket(family, kind, protocol)
    except OSError:
        if address.host != "::":
            raise
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)  # a system without IPv6
        where = ("", address.port)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if opened.family == socket.AF_INET6:
            everywhere = address.host == "::"
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if everywhere else 1)
        opened.bind(where)
        opened.listen(_BACKLOG)
        opened.setblocking(False)  # noqa: FBT003  # the standard library's own
    except OSError:
        opened.close()
        raise
    return opened
