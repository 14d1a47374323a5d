"""Datagrams are lost, doubled, overtaken and garbled as often as asked, and each finds its sender."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from gateway_core.units import Address
from simulators.wan.datagrams import DatagramRelay
from simulators.wan.options import WanOptions


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        self.heard.put_nowait(data)

    async def until(self, last: bytes) -> list[bytes]:
        found = []
        async with asyncio.timeout(30):
            while (data := await self.heard.get()) != last:
                found.append(data)
        return found


@contextlib.asynccontextmanager
async def through(host: str, options: WanOptions, clients: int = 1) -> AsyncIterator[tuple]:
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, 0))
    target = Address(host, server.get_extra_info("sockname")[1])
    async with DatagramRelay(Address(host, 0), target, options) as relay:
        pairs = [
            await loop.create_datagram_endpoint(Client, remote_addr=tuple(relay.address))
            for _ in range(clients)
        ]
        yield relay, pairs
        for transport, _ in pairs:
            transport.close()
    server.close()


async def said(options: WanOptions, count: int = 500) -> tuple[DatagramRelay, list[int]]:
    """What came back of numbered datagrams; the last one is said when the way is clean again."""
    async with through("127.0.0.1", options) as (relay, [(transport, client)]):
        for n in range(count):
            transport.sendto(b"%d" % n)
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        relay.change(WanOptions())
        transport.sendto(b"end")
        return relay, [int(each) for each in await client.until(b"end")]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_each_client_gets_its_own_answers(host: str) -> None:
    async with through(host, WanOptions(), clients=3) as (relay, pairs):
        for n, (transport, _) in enumerate(pairs):
            transport.sendto(b"from %d" % n)
        async with asyncio.timeout(30):
            heard = [await client.heard.get() for _, client in pairs]
        assert heard == [b"from 0", b"from 1", b"from 2"]
        assert relay.passed == 36


async def test_the_lost_share_is_lost_and_counted() -> None:
    relay, found = await said(WanOptions(loss=0.2, seed=5))
    assert 0.55 < len(found) / 500 < 0.73  # 0.8 each way
    assert relay.lost == 500 - len(found)
    assert sorted(set(found)) == sorted(found)


async def test_doubled_datagrams_come_twice_and_overtaken_ones_late() -> None:
    _, found = await said(WanOptions(duplicate=0.3, reorder=0.1, seed=6))
    assert set(found) == set(range(500))
    assert sum(n > 1 for n in Counter(found).values()) > 150
    assert found != sorted(found)


async def test_a_cut_lets_nothing_through_until_mended() -> None:
    async with through("127.0.0.1", WanOptions()) as (relay, [(transport, client)]):
        relay.cut()
        transport.sendto(b"unheard")
        while not relay.lost:
            await asyncio.sleep(0.01)
        relay.mend()
        transport.sendto(b"heard")
        assert await client.until(b"heard") == []


async def test_what_would_wait_too_long_before_a_narrow_pipe_is_dropped() -> None:
    async with through("127.0.0.1", WanOptions(bytes_per_s=1000)) as (relay, [(transport, _)]):
        for _ in range(50):
            transport.sendto(bytes(100))
        while relay.lost < 35:  # one second of 1,000 bytes waits, the rest goes
            await asyncio.sleep(0.01)
