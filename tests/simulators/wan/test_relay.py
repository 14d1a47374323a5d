"""A relay changes no byte, takes its time, and breaks every connection when the way is cut."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from gateway_core.units import Address
from simulators.wan.relay import Relay, WanOptions


@contextlib.asynccontextmanager
async def echo(host: str) -> AsyncIterator[Address]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, 0)
    try:
        yield Address(host, server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def sent_and_read(address: Address, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    try:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            reading = tasks.create_task(reader.read(-1))
        return reading.result()
    finally:
        writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_every_byte_arrives_in_order_both_ways(host: str) -> None:
    data = random.Random(1).randbytes(1_000_000)
    options = WanOptions(delay_s=0.001)
    async with echo(host) as target, Relay(Address(host, 0), target, options) as relay:
        assert await sent_and_read(relay.address, data) == data
        assert relay.passed == 2_000_000


async def test_delay_and_rate_take_at_least_the_time_that_they_say() -> None:
    clock = asyncio.get_running_loop().time
    options = WanOptions(delay_s=0.1, bytes_per_s=100_000)
    here = Address("127.0.0.1", 0)
    async with echo("127.0.0.1") as target, Relay(here, target, options) as relay:
        began = clock()
        assert len(await sent_and_read(relay.address, bytes(20_000))) == 20_000
        assert clock() - began > 0.4  # twice 0.1 s of delay, 0.2 s for 20 kB


async def test_a_cut_breaks_connections_and_lets_nobody_through_until_mended() -> None:
    here = Address("127.0.0.1", 0)
    async with echo("127.0.0.1") as target, Relay(here, target, WanOptions()) as relay:
        reader, writer = await asyncio.open_connection(*relay.address)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        relay.cut()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        writer.close()
        reader, writer = await asyncio.open_connection(*relay.address)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read(1) == b""
        writer.close()
        relay.mend()
        assert await sent_and_read(relay.address, b"three") == b"three"
        assert relay.cuts == 1


async def test_a_way_is_cut_and_mended_in_turn() -> None:
    said: list[bool] = []
    enough = asyncio.Event()

    def told(whole: bool) -> None:
        said.append(whole)
        if len(said) == 4:
            enough.set()

    options = WanOptions(cut_every_s=0.01, cut_for_s=0.01, seed=3)
    here = Address("127.0.0.1", 0)
    async with Relay(here, here, options) as relay, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(relay.run(told))
        await enough.wait()
        running.cancel()
    assert said[:4] == [False, True, False, True]
