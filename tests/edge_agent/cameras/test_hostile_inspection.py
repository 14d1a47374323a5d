"""The closer look at a camera asks that camera alone, and ends, whatever client is behind it."""

from __future__ import annotations

import pytest

from edge_agent.cameras.inspect import inspect_device
from edge_agent.cameras.inventory import Credential
from gateway_core.errors import Unavailable
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.hostile import CHUNK, always, endless, http, pointing_to, silent, watched
from tests.fakes.hostile_addresses import ELSEWHERE, HOST
from tests.fakes.hostile_documents import XML

LOGIN = Credential("viewer", "hunter2")
SOAP = b"Content-Type: application/soap+xml\r\n"


@pytest.mark.parametrize("form", ELSEWHERE, ids=lambda form: repr(form)[:48])
async def test_nobody_else_is_asked(form: str) -> None:
    async with ScriptedDevice(always(http(200, b"gotcha")), "127.0.0.2") as other:
        address = form.replace("EVIL", f"{other.host}:{other.port}")
        async with ScriptedDevice(pointing_to(address), HOST) as device:
            with watched() as asked, pytest.raises(Unavailable):
                await inspect_device(HOST, device.port, LOGIN)

        assert set(asked) == {("connect", (HOST, device.port))}
        assert other.connections == 0
        assert b"hunter2" not in device.received


@pytest.mark.parametrize("name", XML)
async def test_a_hostile_document_is_refused(name: str) -> None:
    async with ScriptedDevice(always(http(200, XML[name][0], SOAP)), HOST) as device:
        with watched() as asked, pytest.raises(Unavailable):
            await inspect_device(HOST, device.port)

    assert set(asked) == {("connect", (HOST, device.port))}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (endless(b"HTTP/1.1 200 OK\r\n\r\n", CHUNK), "more than 1048576 bytes"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: y\r\n" * 9_000), "Too many headers"),
        (silent(), "no answer within 0.5 s"),
    ],
    ids=["endless body", "endless headers", "silence"],
)
async def test_an_answer_without_end_is_left(script, why: str) -> None:
    deadline_s = 0.5 if "within" in why else 30.0
    async with ScriptedDevice(script, HOST) as device:
        with pytest.raises(Unavailable, match=why):
            await inspect_device(HOST, device.port, deadline_s=deadline_s)
