"""Who says nothing to the admin listener, or would be one too many, is sent away; others are served."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from edge_agent import admin
from gateway_core.meter import Meter
from gateway_core.units import Address


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[int, Meter]]:
    """An admin listener with one route."""

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    application, meter = web.Application(), Meter()
    application.router.add_get("/", hello)
    ports: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
    here = (Address("127.0.0.1", 0),)
    serving = asyncio.create_task(admin.serve_admin(application, here, meter, ports.set_result))
    try:
        yield (await ports)[0], meter
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def ended(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(20):
        try:
            return await reader.read() == b""
        except ConnectionError:
            return True


async def hello(port: int) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        return await answer.text()


async def test_who_says_nothing_is_sent_away_and_who_asks_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin, "HEADERS_S", 0.2)
    async with served() as (port, meter):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        silent[0][1].write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:")
        assert await hello(port) == "hello"
        for reader, writer in silent:
            assert await ended(reader)
            writer.close()
        assert 'refused_total{reason="slow_headers"} 5.0' in meter.render().decode()


async def test_who_is_one_too_many_is_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin, "MOST_PEERS", 2)
    async with served() as (port, meter):
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader)
        for _, each in (*silent, (reader, writer)):
            each.close()
        async with asyncio.timeout(20):
            while True:
                try:
                    assert await hello(port) == "hello"
                    break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.01)
        assert 'refused_total{reason="too_many"}' in meter.render().decode()
