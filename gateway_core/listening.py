"""Sockets to listen on. ``::`` serves IPv4 as well where the system allows it (RFC 3493, 5.3).

asyncio sets ``IPV6_V6ONLY`` on the sockets that it makes itself; hence these are made here.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

from gateway_core.errors import ConfigError, Fault
from gateway_core.units import Address

_BACKLOG = 4096  # thousands of devices reconnect at once after an outage


def tcp_sockets(addresses: Sequence[Address], path: str = "listen") -> list[socket.socket]:
    """Return listening sockets, not blocking, for aiohttp's ``SockSite`` or uvicorn's ``serve``.

    Raises:
        ConfigError: An address cannot be listened on; names it and ``path``.
    """
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            try:
                opened += _open(address)
            except OSError as exc:
                message = f"cannot listen on {address}: {exc.strerror or exc}"
                raise ConfigError(Fault("configuration", 0, 0, path, message)) from exc
    except ConfigError:
        for each in opened:
            each.close()
        raise
    return opened


def _open(address: Address) -> list[socket.socket]:
    """Open every address that the host stands for (``localhost`` is often two)."""
    flags = socket.AI_PASSIVE
    if address.host == "::" and not socket.has_ipv6:
        address = Address("0.0.0.0", address.port)  # noqa: S104  # all was asked for
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
    opened: list[socket.socket] = []
    try:
        for family, _, protocol, _, place in dict.fromkeys(found):
            each = socket.socket(family, socket.SOCK_STREAM, protocol)
            opened.append(each)
            _prepare(each, family, everywhere=address.host == "::")
            free = address.port == 0 and len(opened) > 1  # one port for all of a name's addresses
            port = opened[0].getsockname()[1] if free else place[1]
            each.bind((place[0], port, *place[2:]))
            each.listen(_BACKLOG)
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


def _prepare(each: socket.socket, family: int, *, everywhere: bool) -> None:
    each.setblocking(False)  # noqa: FBT003  # its only parameter
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        with contextlib.suppress(OSError):  # a system that always separates the two
            each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if everywhere else 1)
