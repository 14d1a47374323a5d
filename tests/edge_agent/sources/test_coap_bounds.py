"""What the CoAP server remembers of addresses is bounded; who is beyond the bound is served as well."""

from __future__ import annotations

import random
import socket

import pytest

from edge_agent.sources import coap_message as coap
from edge_agent.sources import udp_socket
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.coap_message import Message, encode
from edge_agent.sources.settings import CoapSettings
from edge_agent.sources.udp_socket import UdpSocket
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from gateway_core.units import Address
from tests.fakes.ingest import FakeIngest, supervised


async def test_names_of_peers_are_bounded_and_each_arrival_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp_socket, "_PLACES", 4)
    ingest = FakeIngest()
    source = CoapSource(
        CoapSettings.model_validate({"listen": "127.0.0.1:0"}),
        ingest=ingest,
        clock=wall_ns,
        meter=Meter(),
        chance=random.Random(1),
    )
    async with supervised(source):
        await source.opened.wait()
        (desk,) = source._desks
        socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(10)]
        for number, sock in enumerate([*socks, *socks]):
            path = ((11, b"tg"), (11, b"a"))
            said = Message(coap.NON, coap.PUT, number, b"\x42", path, b"%d" % number)
            sock.sendto(encode(said), ("127.0.0.1", source.addresses[0].port))
            await ingest.until(number + 1)
            assert len(desk._sock._places) <= 4
        names = [f"127.0.0.1:{sock.getsockname()[1]}" for sock in socks]
        for sock in socks:
            sock.close()
    assert [each.peer for each in ingest.stored] == [*names, *names]


def test_addresses_that_were_asked_are_bounded_and_each_is_answered_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(udp_socket, "_PLACES", 4)
    server = UdpSocket(Address("0.0.0.0", 0))  # every address of loopback is ours
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.settimeout(10)
        device.bind(("127.0.0.1", 0))
        for number in [*range(1, 10), *range(1, 10)]:
            asked = (f"127.0.0.{number}", server.address.port)
            device.sendto(b"hello", asked)
            ((data, place),) = server.receive()
            assert (data, place.peer) == (b"hello", device.getsockname())
            assert server.send(b"answer", place.peer, place.local)
            assert device.recvfrom(100) == (b"answer", asked)
            assert server.send_all([b"short"], [place]) == 1
            assert device.recvfrom(100) == (b"short", asked)
            assert len(server._places) <= 4
    server.close()
