"""Datagrams that are received and sent many at a time are those of the one-by-one calls."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from edge_agent.sources.udp_socket import Place, UdpSocket, peer_of
from edge_agent.sources.udp_tray import AT_ONCE
from gateway_core.units import Address


@contextlib.contextmanager
def server(host: str) -> Iterator[UdpSocket]:
    sock = UdpSocket(Address(host, 0))
    try:
        yield sock
    finally:
        sock.close()


@contextlib.contextmanager
def device(host: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind((host, 0))
        yield sock


@pytest.mark.parametrize(
    ("bound", "host", "peer_host"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("::1", "::1", "::1"),
        ("::", "::1", "::1"),
        ("::", "127.0.0.1", "::ffff:127.0.0.1"),
    ],
)
def test_many_come_whole_and_in_order_and_are_answered(
    bound: str, host: str, peer_host: str
) -> None:
    with server(bound) as sock, device(host) as asking:
        said = [b"%d" % n * (n * 7 % 400) for n in range(2 * AT_ONCE + 3)]
        for each in said:
            asking.sendto(each, (host, sock.address.port))
        came = [sock.receive() for _ in range(4)]
        assert [len(each) for each in came] == [AT_ONCE, AT_ONCE, 3, 0]
        datagrams = [pair for each in came for pair in each]
        assert [data for data, _ in datagrams] == said
        port = asking.getsockname()[1]
        (place,) = {place for _, place in datagrams}
        assert place.peer[:2] == (peer_host, port)
        assert peer_of(place.name) == place.peer
        answers = [b"%d" % n for n in range(len(said))]
        assert sock.send_all(answers, [place] * len(said)) == len(said)
        assert [asking.recv(100) for _ in said] == answers


def test_the_longest_datagram_comes_whole_between_short_ones() -> None:
    said = [b"a", bytes(65_507), b"b", b"", b"c"]
    with server("127.0.0.1") as sock, device("127.0.0.1") as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        for each in said:
            asking.sendto(each, ("127.0.0.1", sock.address.port))
        assert [data for data, _ in sock.receive()] == said


def test_one_that_the_system_does_not_take_holds_up_no_other() -> None:
    with server("127.0.0.1") as sock, device("127.0.0.1") as asking:
        asking.sendto(b"hello", ("127.0.0.1", sock.address.port))
        ((_, place),) = sock.receive()
        nowhere = Place(place.peer, place.local, place.name, bytes(len(place.label)))
        sent = sock.send_all([b"1", b"no", b"2"], [place, nowhere, place])
        assert sent == 2
        assert [asking.recv(100), asking.recv(100)] == [b"1", b"2"]
