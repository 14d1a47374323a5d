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


async def test_a_silent_cut_tells_nobody_and_has_forgotten_the_connection_when_it_ends() -> None:
    here = Address("127.0.0.1", 0)
    async with echo("127.0.0.1") as target, Relay(here, target, WanOptions()) as relay:
        reader, writer = await asyncio.open_connection(*relay.address)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        relay.cut("silent")
        writer.write(b"two")
        late = asyncio.open_connection(*relay.address)
        late_reader, late_writer = await late  # the system accepts; nobody answers
        late_writer.write(b"late")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.read(1)
        assert relay.passed == 6
        relay.mend()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        assert await late_reader.readexactly(4) == b"late"
        for each in (writer, late_writer):
            each.close()


async def test_a_reset_hits_one_connection_and_spares_the_others() -> None:
    here = Address("127.0.0.1", 0)
    async with echo("127.0.0.1") as target, Relay(here, target, WanOptions(seed=4)) as relay:
        pairs = [await asyncio.open_connection(*relay.address) for _ in range(3)]
        for reader, writer in pairs:
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        relay.reset_one()
        alive = 0
        for reader, writer in pairs:
            with contextlib.suppress(ConnectionResetError):
                writer.write(b"y")
                alive += await reader.read(1) == b"y"
            writer.close()
        assert (alive, relay.resets) == (2, 1)


async def test_bits_are_flipped_as_often_as_asked_and_the_same_ones_with_the_same_seed() -> None:
    async def spoiled(seed: int) -> bytes:
        options = WanOptions(flip_every=1000, seed=seed)
        here = Address("127.0.0.1", 0)
        async with echo("127.0.0.1") as target, Relay(here, target, options) as relay:
            return await sent_and_read(relay.address, bytes(100_000))

    found = await spoiled(1)
    assert len(found) == 100_000
    assert 120 < sum(each.bit_count() for each in found) < 280  # twice 100 on average
    assert await spoiled(2) != found


async def test_a_trickle_and_losses_take_time_and_no_bytes() -> None:
    data = random.Random(2).randbytes(2_000)
    options = WanOptions(trickle=7, jitter_s=0.002)
    clock = asyncio.get_running_loop().time
    async with (
        echo("127.0.0.1") as target,
        Relay(Address("127.0.0.1", 0), target, options) as relay,
    ):
        assert await sent_and_read(relay.address, data) == data
        relay.change(WanOptions(loss=1.0))
        began = clock()
        assert await sent_and_read(relay.address, b"lost and sent again") == b"lost and sent again"
        assert clock() - began > 0.39  # a retransmission time-out each way
