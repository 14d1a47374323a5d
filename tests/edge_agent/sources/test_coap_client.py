"""The promise: a CoAP device is asked where it was heard, once in effect, and its answer is final.

The device is aiocoap's, which serves and sends through one socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Self

import aiocoap
import pytest
from aiocoap import resource

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.coap_message import ACK, CON, EMPTY, NON, RST, Message, decode, encode
from edge_agent.sources.settings import CoapSettings
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter
from tests.fakes.ingest import FakeIngest, supervised
from tests.fakes.ports import free_port


class Actuator(resource.Resource):
    """Does as it is told, or says no."""

    def __init__(self, delay_s: float = 0.0) -> None:
        super().__init__()
        self.got: list[tuple[str, bytes, int | None]] = []
        self.code = aiocoap.CHANGED
        self._delay_s = delay_s

    async def render_put(self, request: aiocoap.Message) -> aiocoap.Message:
        self.got.append((request.code.name, request.payload, request.opt.content_format))
        await asyncio.sleep(self._delay_s)
        return aiocoap.Message(code=self.code, payload=b"busy" if self.code.class_ > 3 else b"")

    render_post = render_put


@contextlib.asynccontextmanager
async def edge() -> AsyncIterator[tuple[CoapSource, FakeIngest]]:
    ingest = FakeIngest()
    settings = CoapSettings.model_validate({"listen": "[::1]:0"})
    source = CoapSource(settings, ingest=ingest, clock=wall_ns, meter=Meter())
    async with supervised(source):
        await source.opened.wait()
        yield source, ingest


@contextlib.asynccontextmanager
async def device(source: CoapSource, ingest: FakeIngest, actuator: Actuator) -> AsyncIterator[str]:
    """A device that has spoken; yields where it was heard."""
    site = resource.Site()
    site.add_resource(["valve", "set"], actuator)
    context = await aiocoap.Context.create_server_context(
        site, bind=("::1", free_port("::1")), transports=["udp6"]
    )
    try:
        uri = f"coap://{source.addresses[0]}/tg/valve-1"
        hello = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=b"{}")
        answer = await context.request(hello).response
        assert answer.code == aiocoap.CHANGED
        yield ingest.stored[-1].peer
    finally:
        await context.shutdown()


@pytest.mark.parametrize("method", ["post", "put"])
async def test_a_request_reaches_the_device_where_it_was_heard(method: str) -> None:
    actuator = Actuator()
    async with edge() as (source, ingest), device(source, ingest, actuator) as peer:
        downlink = Downlink("valve/set", b'{"open":true}', 60.0, 50, peer, method)  # type: ignore[arg-type]
        assert await source.publish(downlink) == "2.04"
    assert actuator.got == [(method.upper(), b'{"open":true}', 50)]


async def test_an_answer_that_comes_on_its_own_later_is_taken() -> None:
    actuator = Actuator(delay_s=1.0)
    async with edge() as (source, ingest), device(source, ingest, actuator) as peer:
        assert await source.publish(Downlink("valve/set", b"1", 60.0, 0, peer)) == "2.04"
    assert len(actuator.got) == 1


async def test_a_device_that_says_no_refuses() -> None:
    actuator = Actuator()
    actuator.code = aiocoap.METHOD_NOT_ALLOWED
    async with edge() as (source, ingest), device(source, ingest, actuator) as peer:
        with pytest.raises(Undeliverable) as found:
            await source.publish(Downlink("valve/set", b"1", 60.0, 0, peer))
    assert (found.value.code, found.value.detail) == (
        "device_refused",
        "the device answered 4.05 busy",
    )


async def test_a_device_that_was_never_heard_is_not_asked() -> None:
    async with edge() as (source, _):
        with pytest.raises(NotSent):
            await source.publish(Downlink("valve/set", b"1"))


class Bytes:
    """A device of bytes, for what a library would not do."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.sock.bind(("::1", 0))
        self.sock.setblocking(False)
        self.peer = f"[::1]:{self.sock.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    async def next(self) -> tuple[Message, tuple[str, int]]:
        data, address = await asyncio.get_running_loop().sock_recvfrom(self.sock, 2048)
        return decode(data), address


async def test_a_lost_request_is_sent_again_as_it_was_and_the_device_sees_one() -> None:
    with Bytes() as bare:
        async with edge() as (source, _):
            asked = asyncio.ensure_future(source.publish(Downlink("a", b"1", 60.0, 0, bare.peer)))
            first, _ = await bare.next()
            again, address = await bare.next()
            assert first == again
            bare.sock.sendto(encode(Message(ACK, 0x44, again.message_id, again.token)), address)
            assert await asked == "2.04"


async def test_nothing_is_sent_again_after_the_time_to_live() -> None:
    with Bytes() as bare:
        async with edge() as (source, _):
            with pytest.raises(Unavailable) as found:
                await source.publish(Downlink("a", b"1", 1.0, 0, bare.peer))
        first, _ = await bare.next()
        with pytest.raises(BlockingIOError):
            bare.sock.recvfrom(2048)
    assert (first.kind, isinstance(found.value, NotSent)) == (CON, False)


async def test_a_reset_is_a_no_and_a_strangers_answer_is_none() -> None:
    with Bytes() as bare, Bytes() as stranger:
        async with edge() as (source, _):
            asked = asyncio.ensure_future(source.publish(Downlink("a", b"1", 60.0, 0, bare.peer)))
            asking, address = await bare.next()
            answer = encode(Message(ACK, 0x44, asking.message_id, asking.token))
            stranger.sock.sendto(answer, address)
            bare.sock.sendto(encode(Message(NON, 0x44, 7, b"othr")), address)
            await asyncio.sleep(0.2)
            assert not asked.done()
            bare.sock.sendto(encode(Message(RST, EMPTY, asking.message_id)), address)
            with pytest.raises(Undeliverable):
                await asked
