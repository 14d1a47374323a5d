"""A UDP server socket that answers from the address it was asked at, and only when asked itself.

A machine with several addresses would otherwise answer from the one the route prefers, and the
peer would not know the answer for its own (RFC 7252 section 5.3.2). The address a datagram was
sent to also tells a multicast or broadcast, which is never answered.
"""

from __future__ import annotations

import socket

from gateway_core.errors import ConfigError, Fault
from gateway_core.units import Address

_IP_PKTINFO = 8  # <linux/in.h>; Python names it only from 3.13
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_MAPPED = bytes(10) + b"\xff\xff"
_RECEIVE_BUFFER = 4 * 2**20
_LOCALS = 1024
"""Addresses of this machine, with the interface of each, that are remembered."""

Peer = tuple[str, int] | tuple[str, int, int, int]
"""Host and port; for IPv6 flow label and scope as well."""

Local = tuple[tuple[int, int, bytes], ...]
"""Ancillary data that makes an answer leave from the address that was asked."""


Datagram = tuple[bytes, Peer, Local]
"""What came: the bytes, from whom, and at which of our addresses."""


class UdpSocket:
    """A bound, non-blocking socket; ``::`` takes IPv4 too.

    Raises:
        ConfigError: The address cannot be bound.
    """

    def __init__(self, address: Address) -> None:
        try:
            self._sock = _bound(address)
        except OSError as exc:
            raise ConfigError(
                Fault("", 0, 0, "coap.listen", f"cannot listen on udp {address}: {exc.strerror}")
            ) from exc
        self._buffer = bytearray(65_535)
        self._buffers = (self._buffer,)
        self._view = memoryview(self._buffer)
        self._locals: dict[tuple[int, int, bytes], Local] = {}
        self._space = socket.CMSG_SPACE(20)
        name = self._sock.getsockname()
        self.address = Address(name[0], name[1])

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._sock.fileno()

    def receive(self) -> Datagram | None:
        """Return the next datagram meant for this machine alone, or None when there is no more."""
        while True:
            try:
                size, ancillary, _flags, peer = self._sock.recvmsg_into(self._buffers, self._space)
            except OSError:
                return None
            local = self._local(ancillary[0]) if ancillary else ()
            if local is not None:
                return bytes(self._view[:size]), peer, local

    def send(self, data: bytes, peer: Peer, local: Local) -> bool:
        """Send; False if the system would not take it."""
        try:
            self._sock.sendmsg((data,), local, 0, peer)
        except OSError:
            return False
        return True

    def _local(self, told: tuple[int, int, bytes]) -> Local | None:
        """Return what to answer with, or None for a datagram to many; each is found out once."""
        known = self._locals.get(told)
        if known is not None:
            return known
        found = _local(*told)
        if found is None:
            return None
        if len(self._locals) >= _LOCALS:
            self._locals.clear()
        self._locals[told] = (found,)
        return self._locals[told]

    def close(self) -> None:
        """Close it."""
        self._sock.close()


def peer_text(peer: Peer) -> str:
    """Return a peer as text that `peer_of` reads: ``[fe80::1%2]:5683``."""
    host, port = peer[0], peer[1]
    scope = f"%{peer[3]}" if len(peer) == 4 and peer[3] else ""
    return str(Address(host.partition("%")[0] + scope, port))


def peer_of(text: str) -> Peer | None:
    """Return the peer of a text; None for what is none."""
    host, _, port = text.rpartition(":")
    host, _, scope = host.strip("[]").partition("%")
    if not host or not port.isdecimal():
        return None
    if ":" not in host:
        return host, int(port)
    return host, int(port), 0, int(scope) if scope.isdecimal() else 0


def _bound(address: Address) -> socket.socket:
    host = address.host
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # noqa: S104  # what everywhere means on a machine without IPv6
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.getaddrinfo(host, address.port, family, socket.SOCK_DGRAM)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.setblocking(False)  # noqa: FBT003
        sock.bind(found[0][4])
    except OSError:
        sock.close()
        raise
    return sock


def _local(level: int, kind: int, data: bytes) -> tuple[int, int, bytes] | None:
    """Return what to answer with, or None for a datagram to many."""
    if level == socket.IPPROTO_IPV6:
        v4 = data[12:16] if data[:12] == _MAPPED else b""
        if data[0] == 0xFF or _to_many(v4):
            return None
        link_local = data[0] == 0xFE and data[1] & 0xC0 == 0x80
        return level, kind, data if link_local else data[:16] + bytes(4)
    if _to_many(data[8:12]):
        return None
    return level, kind, bytes(4) + data[4:]


def _to_many(v4: bytes) -> bool:
    return bool(v4) and (v4[0] & 0xF0 == 0xE0 or v4 == b"\xff\xff\xff\xff")
