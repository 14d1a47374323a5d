"""The promise: the clients people have, libcoap's and aiocoap, get their readings in."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import pytest

from edge_agent.sources.coap import CoapSource
from edge_agent.sources.settings import CoapSettings
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from tests.fakes.ingest import FakeIngest, supervised

COAP_CLIENT = shutil.which("coap-client") or "coap-client-notls"
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
async def port(ingest: FakeIngest) -> AsyncIterator[int]:
    source = CoapSource(
        CoapSettings.model_validate({"listen": "[::]:0"}),
        ingest=ingest,
        clock=wall_ns,
        meter=Meter(),
    )
    async with supervised(source):
        await source.opened.wait()
        yield source.addresses[0].port


async def _coap_client(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        COAP_CLIENT, "-B", "10", *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


@HOSTS
async def test_coap_client_puts_a_reading(host: str, port: int, ingest: FakeIngest) -> None:
    url = f"coap://{host}:{port}/tg/dev-1/up"
    assert await _coap_client("-m", "put", "-t", "50", "-e", '{"t":21.5}', url) == ""
    (arrival,) = ingest.stored
    assert (arrival.address, arrival.payload) == ("tg/dev-1/up", b'{"t":21.5}')
    assert arrival.content_format == 50


async def test_coap_client_posts_without_confirmation(port: int, ingest: FakeIngest) -> None:
    await _coap_client("-N", "-m", "post", "-e", "x", f"coap://127.0.0.1:{port}/a?q=1")
    assert [(each.address, each.payload) for each in ingest.stored] == [("a", b"x")]


async def test_coap_client_puts_a_large_payload_in_blocks(
    port: int, ingest: FakeIngest, tmp_path: Path
) -> None:
    file = tmp_path / "payload"
    file.write_bytes(bytes(range(256)) * 64)
    url = f"coap://127.0.0.1:{port}/big"
    assert await _coap_client("-m", "put", "-b", "512", "-f", str(file), url) == ""
    assert ingest.payloads() == [file.read_bytes()]


async def test_coap_client_shows_why_a_reading_was_refused(port: int, ingest: FakeIngest) -> None:
    ingest.verdict = lambda _arrival: "unknown_device"
    shown = await _coap_client("-m", "put", "-e", "{}", f"coap://127.0.0.1:{port}/nope")
    assert shown.strip() == "4.04 unknown_device"


@HOSTS
async def test_aiocoap_puts_readings_and_large_payloads(
    host: str, port: int, ingest: FakeIngest
) -> None:
    client = await aiocoap.Context.create_client_context()
    try:
        for payload in (b'{"t":1}', b"z" * 20_000):
            request = aiocoap.Message(
                code=aiocoap.PUT, payload=payload, uri=f"coap://{host}:{port}/tg/dev-2/up"
            )
            async with asyncio.timeout(10):
                answer = await client.request(request).response
            assert str(answer.code) == "2.04 Changed"
    finally:
        await client.shutdown()
    assert ingest.payloads() == [b'{"t":1}', b"z" * 20_000]


async def test_a_payload_that_is_too_large_is_declined_and_its_beginning_kept(
    port: int, ingest: FakeIngest
) -> None:
    client = await aiocoap.Context.create_client_context()
    try:
        request = aiocoap.Message(
            code=aiocoap.PUT, payload=b"z" * 70_000, uri=f"coap://127.0.0.1:{port}/big"
        )
        async with asyncio.timeout(10):
            answer = await client.request(request).response
        assert str(answer.code).startswith("4.13")
    finally:
        await client.shutdown()
    (kept,) = ingest.stored
    assert (kept.address, kept.cut) == ("big", True)
    assert kept.payload == b"z" * len(kept.payload)
    assert 0 < len(kept.payload) < 70_000
