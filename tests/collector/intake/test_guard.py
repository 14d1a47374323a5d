"""Slow and greedy peers lose their connections; the others do not notice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from collector.config import IntakeSection
from gateway_core.guard import source
from gateway_core.units import Address
from gateway_core.wire import encode_upload
from tests.fakes.edges import centre, upload


def settings(**more) -> IntakeSection:
    return IntakeSection(listen=(Address("127.0.0.1", 0),), **more)


async def connect(here):
    return await asyncio.open_connection(*here.intake.addresses[0])


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait until the other side is gone, without having said a word."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def _heard(here) -> bool:
    try:
        return (await here.edge.send(upload(1, 1)))[0] == 200
    except aiohttp.ClientError:
        return False


async def test_headers_that_do_not_come_in_time_end_the_connection(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(header_timeout=0.05)) as here:
        reader, writer = await connect(here)
        writer.write(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nX-Slow:")
        assert await ended(reader)
        assert (await here.edge.send(upload(1, 1)))[0] == 200
        writer.close()
        metrics = here.meter.render().decode()
    assert 'connections_refused_total{reason="slow_headers"} 1.0' in metrics


async def test_a_body_that_does_not_come_in_time_is_refused(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(body_timeout=0.05)) as here:
        reader, writer = await connect(here)
        writer.write(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nTGU")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()
        assert await here.stored() == []


async def test_a_connection_outlives_the_header_deadline_once_it_has_spoken(tmp_path: Path) -> None:
    body = encode_upload(upload(1, 1))
    head = b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with centre(tmp_path, settings(header_timeout=0.2)) as here:
        reader, writer = await connect(here)
        for _ in range(2):
            writer.write(head + body)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"}")
            await asyncio.sleep(0.25)  # longer than a fresh connection would be given
        writer.close()


async def test_one_address_cannot_hold_all_connections(tmp_path: Path) -> None:
    async with centre(tmp_path, settings(connections_per_address=2)) as here:
        first, second, third = [await connect(here) for _ in range(3)]
        assert await ended(third[0])
        for _, writer in (first, second, third):
            writer.close()
        async with asyncio.timeout(10):
            while not await _heard(here):
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (("192.0.2.7", 5), "192.0.2.7"),
        (("::ffff:192.0.2.7", 5, 0, 0), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::/64"),
        (None, ""),
        ("", ""),
    ],
)
def test_ipv6_is_counted_by_network_because_a_host_has_as_many_addresses_as_it_likes(
    peer, expected
) -> None:
    assert source(peer) == expected
