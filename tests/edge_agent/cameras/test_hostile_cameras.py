"""A hostile device costs a bounded time and memory, and learns no password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge_agent.cameras.evidence import DeviceCheck
from edge_agent.cameras.exchange import Exchange, OnvifError, open_session
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import MAX_SNAPSHOT, Device, OnvifClient
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from simulators.cameras import soap
from tests.fakes.cameras import ScriptedDevice

QUICK = PatrolSettings(answer_s=0.5, snapshot_s=0.5)
LOGIN = Credential("viewer", "hunter2")
CHUNK = b"X" * 65536


@asynccontextmanager
async def client(logins: Logins | None = None) -> AsyncIterator[OnvifClient]:
    logins = logins or Logins()
    async with open_session(8) as session:
        yield OnvifClient(Exchange(session, logins), logins, wall_ns, QUICK)


async def surveyed(device: ScriptedDevice) -> DeviceCheck:
    async with client() as onvif:
        return await survey(onvif, device.feed(LOGIN), Device(), 10.0)


def http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def always(answer: bytes):
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(answer)
            await writer.drain()

    return script


def endless(start: bytes, piece: bytes, pause: float = 0.0):
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


@pytest.mark.parametrize(
    ("script", "faults"),
    [
        (always(http(200, b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope>&x;</Envelope>')), "onvif_malformed"),
        (always(http(200, b'<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;">]><Envelope>&y;</Envelope>')), "onvif_malformed"),
        (always(http(200, b"<Envelope>" + b"<a>" * 60_000)), "onvif_malformed"),
        (always(http(302, b"", b"Location: http://127.0.0.1:1/\r\n")), "onvif_malformed"),
        (always(b"\x00\x01\x02\r\n\r\n"), "onvif_malformed"),
        (always(http(200, b"")), "onvif_malformed"),
        (always(http(401, b"", b'WWW-Authenticate: Basic realm="r"\r\n')), "onvif_auth_failed"),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", CHUNK), "onvif_malformed"),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + CHUNK + b"\r\n"), "onvif_malformed"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: y\r\n", 0.01), "onvif_timeout"),
        (endless(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b" ", 0.01), "onvif_timeout"),
        (endless(b"HTTP/1.1 200 OK\r\nX-A: ", CHUNK), "onvif_malformed"),
    ],
    ids=[
        "external entity",
        "entity bomb",
        "deep",
        "redirect",
        "not http",
        "empty",
        "basic only",
        "100 MB",
        "endless chunks",
        "endless headers",
        "trickle",
        "endless header line",
    ],
)  # fmt: skip
async def test_a_hostile_answer_is_a_fault_and_ends_soon(script, faults: str) -> None:
    async with asyncio.timeout(20), ScriptedDevice(script) as device:
        check = await surveyed(device)

    assert check.faults == (faults,)
    assert b"hunter2" not in device.received
    assert b"Authorization: Basic" not in device.received


async def test_a_password_is_never_sent_in_the_clear_when_a_login_is_refused() -> None:
    denial = b"<Envelope><Fault><faultcode>ter:NotAuthorized</faultcode></Fault></Envelope>"
    async with ScriptedDevice(always(http(400, denial))) as device:
        check = await surveyed(device)

    assert check.faults == ("onvif_auth_failed",)
    assert b"PasswordDigest" in device.received
    assert b"PasswordText" not in device.received
    assert b"hunter2" not in device.received


async def test_refused_tokens_stop_after_two() -> None:
    denial = b"<Envelope><Fault><faultcode>ter:NotAuthorized</faultcode></Fault></Envelope>"
    logins = Logins()
    async with ScriptedDevice(always(http(400, denial))) as device, client(logins) as onvif:
        for _ in range(5):
            await survey(onvif, device.feed(LOGIN), Device(), 10.0)

    assert device.received.count(b"PasswordDigest") == 2


def device_that_points_away(elsewhere: str):
    """A device whose every address names another host."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await request(reader)
            name, _ = soap.operation(body)
            answers = {
                "GetDeviceInformation": "<GetDeviceInformationResponse><Model>x</Model></GetDeviceInformationResponse>",
                "GetServices": f"<Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace><XAddr>http://{elsewhere}/media</XAddr></Service>",
                "GetProfiles": "<GetProfilesResponse><Profiles token='a'/></GetProfilesResponse>",
                "GetStreamUri": f"<Uri>rtsp://{elsewhere}/s</Uri>",
                "GetSnapshotUri": f"<Uri>http://{elsewhere}/snap.jpg</Uri>",
            }
            text = answers.get(name, "<x/>")
            answer = http(200, f"<Envelope><Body>{text}</Body></Envelope>".encode())
            if head.startswith(b"GET"):
                answer = http(302, b"", f"Location: http://{elsewhere}/snap.jpg\r\n".encode())
            writer.write(answer)
            await writer.drain()

    return script


async def test_no_address_of_another_host_is_ever_asked() -> None:
    async with ScriptedDevice(always(http(200, b"gotcha")), "127.0.0.2") as other:
        elsewhere = f"{other.host}:{other.port}"
        async with ScriptedDevice(device_that_points_away(elsewhere)) as device, client() as onvif:
            known = Device()
            check = await survey(onvif, device.feed(LOGIN), known, 10.0)
            with pytest.raises(OnvifError, match="HTTP 302"):
                await onvif.snapshot(device.feed(LOGIN), known, check.snapshot_url)

        assert check.snapshot_url == f"http://127.0.0.1:{device.port}/snap.jpg"
        assert b"POST /media" in device.received
        assert other.connections == 0


async def test_a_snapshot_without_end_is_cut_at_the_cap() -> None:
    script = endless(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", CHUNK)
    async with ScriptedDevice(script) as device, client() as onvif:
        with pytest.raises(OnvifError) as caught:
            await onvif.snapshot(
                device.feed(LOGIN), Device(), f"http://127.0.0.1:{device.port}/snap.jpg"
            )

    assert caught.value.fault in {"onvif_malformed", "onvif_timeout"}
    assert MAX_SNAPSHOT == 8 * 1024 * 1024


async def test_a_device_that_is_not_there_is_unreachable() -> None:
    async with ScriptedDevice(always(b"")) as device:
        feed: Feed = device.feed(LOGIN)
    async with client() as onvif:
        check = await survey(onvif, feed, Device(), 10.0)

    assert check.faults == ("onvif_unreachable",)
