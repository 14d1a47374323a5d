"""A UDP server socket that answers from the address it was asked at, and only when asked itself.

A machine with several addresses would otherwise answer from the one the route prefers, and the
peer would not know the answer for its own (RFC 7252 section 5.3.2). The address a datagram was
sent to also tells a multicast or broadcast, which is never answered.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

import msgspec

from edge_agent.sources.udp_tray import AT_ONCE, NAME_ROOM, Tray
from gateway_core.errors import ConfigError, Fault
from gateway_core.units import Address

_IP_PKTINFO = 8  # <linux/in.h>; Python names it only from 3.13
_IP_MULTICAST_ALL = 49
_IPV6_MULTICAST_ALL = 29
_MAPPED = bytes(10) + b"\xff\xff"
_RECEIVE_BUFFER = 4 * 2**20
_LONGEST = 65_536 + 448
"""Room for any datagram; no multiple of a page, or all would share a few lines of the cache."""

_SHORT = 16
"""Bytes of the longest datagram of many that are sent at once."""

_PLACES = 16_384
"""Peers that are remembered, each with the address of ours that it spoke to."""

_CONTROL = struct.Struct("@Nii")

Peer = tuple[str, int] | tuple[str, int, int, int]
"""Host and port; for IPv6 flow label and scope as well."""

Local = tuple[tuple[int, int, bytes], ...]
"""Ancillary data that makes an answer leave from the address that was asked."""


class Place(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Where a datagram came from, and at which of our addresses it arrived.

    Attributes:
        peer: Who sent it.
        local: Which of our addresses it came to.
        name: The peer as text that `peer_of` reads.
        label: Peer and address as the kernel is told them.
    """

    peer: Peer
    local: Local
    name: str
    label: bytes


Datagram = tuple[bytes, Place]
"""What came, and where."""


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
        shape = (28, socket.CMSG_SPACE(20)) if self._six else (16, socket.CMSG_SPACE(12))
        self._arrived, self._leaving = Tray(_LONGEST, *shape), Tray(_SHORT, *shape)
        self._places: dict[bytes, Place] = {}
        name = self._sock.getsockname()
        self.address = Address(name[0], name[1])

    @property
    def _six(self) -> bool:
        return self._sock.family == socket.AF_INET6

    def fileno(self) -> int:
        """Return the descriptor, for the event loop."""
        return self._sock.fileno()

    def receive(self) -> list[Datagram]:
        """Return what came for this machine alone; nothing when no more is there."""
        known, find = self._places.get, self._find
        return [
            (data, place)
            for data, label in zip(*self._arrived.receive(self._sock.fileno()), strict=True)
            if (place := known(label) or find(label)) is not None
        ]

    def send(self, data: bytes, peer: Peer, local: Local) -> bool:
        """Send; False if the system would not take it."""
        try:
            self._sock.sendmsg((data,), local, 0, peer)
        except OSError:
            return False
        return True

    def send_all(self, datagrams: Sequence[bytes], places: Sequence[Place]) -> int:
        """Send short datagrams, each to its place; return how many the system took."""
        labels, taken = [place.label for place in places], 0
        for at in range(0, len(datagrams), AT_ONCE):
            some = slice(at, at + AT_ONCE)
            taken += self._leaving.send(self._sock.fileno(), datagrams[some], labels[some])
        return taken

    def _find(self, label: bytes) -> Place | None:
        """Return a place and remember it; None for a datagram to many."""
        size, level, kind = _CONTROL.unpack_from(label, NAME_ROOM)
        data = label[NAME_ROOM + _CONTROL.size : NAME_ROOM + size]
        local = _local(level, kind, data)
        if local is None:
            return None
        if len(self._places) >= _PLACES:
            self._places.clear()
        peer = _peer(label)
        told = label[: NAME_ROOM + _CONTROL.size] + local[2] + label[NAME_ROOM + size :]
        place = Place(peer, (local,), peer_text(peer), told)
        self._places[label] = place
        return place

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


def _peer(label: bytes) -> Peer:
    """Return who stands on a label, as the socket module would."""
    (family,) = struct.unpack_from("=H", label)
    if family == socket.AF_INET:
        port, host = struct.unpack_from("!H4s", label, 2)
        return socket.inet_ntoa(host), port
    port, flow, host = struct.unpack_from("!HI16s", label, 2)
    (scope,) = struct.unpack_from("=I", label, 24)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, scope


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
