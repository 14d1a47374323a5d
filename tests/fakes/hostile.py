"""Devices that lie, stall or never end, and a record of every address that this process asked for."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from xml.sax.saxutils import escape

from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.settings import PatrolSettings
from gateway_core.clock import wall_ns
from simulators.cameras import soap
from tests.fakes.cameras import Script

QUICK = PatrolSettings(connect_s=2.0, answer_s=0.5, snapshot_s=0.5)
PATIENT = PatrolSettings(connect_s=30.0, answer_s=30.0, snapshot_s=30.0)
CHUNK = b"X" * 65536
SERVICES = ("ver10/device", "ver10/media", "ver20/media", "ver10/events")

_watchers: list[list[tuple[str, object]]] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect":
        for watcher in _watchers:
            watcher.append(("connect", args[1]))
    elif event == "socket.getaddrinfo":
        for watcher in _watchers:
            watcher.append(("look up", args[0]))


sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[list[tuple[str, object]]]:
    """Yield the list to which every connection and every look-up of a name is added."""
    seen: list[tuple[str, object]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


@asynccontextmanager
async def onvif_client(
    logins: Logins | None = None, settings: PatrolSettings = QUICK
) -> AsyncIterator[OnvifClient]:
    """An ONVIF client with short deadlines."""
    logins = logins or Logins()
    async with open_session(8) as session:
        yield OnvifClient(Exchange(session, logins), logins, wall_ns, settings)


def http(status: int, body: bytes, headers: bytes = b"") -> bytes:
    """One HTTP answer."""
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


def enveloped(body: str) -> bytes:
    """One SOAP answer with HTTP 200."""
    return http(200, f"<Envelope><Body>{body}</Body></Envelope>".encode())


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one HTTP request: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def always(answer: bytes) -> Script:
    """A device that has one answer to everything."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(answer)
            await writer.drain()

    return script


def speaking(answers: Mapping[str, bytes | str], otherwise: bytes = b"") -> Script:
    """A device that answers each operation as a table says; ``GET`` stands for a snapshot."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await request(reader)
            name = "GET" if head.startswith(b"GET") else soap.operation(body)[0]
            answer = answers.get(name, otherwise or http(404, b"<html>no</html>"))
            writer.write(enveloped(answer) if isinstance(answer, str) else answer)
            await writer.drain()

    return script


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Script:
    """A device whose answer never ends."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)

    return script


def silent() -> Script:
    """A device that takes connections and says nothing."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return script


def pointing_to(address: str) -> Script:
    """A device whose every address is this one; ``OWN`` in it stands for its own host and port."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own = "{}:{}".format(*writer.get_extra_info("sockname")[:2])
        await _pointing_to(address.replace("OWN", own))(reader, writer)

    return script


def _pointing_to(address: str) -> Script:
    url = escape(address)
    services = "".join(
        f"<Service><Namespace>http://www.onvif.org/{space}/wsdl</Namespace><XAddr>{url}</XAddr>"
        "</Service>"
        for space in SERVICES
    )
    return speaking(
        {
            "GetDeviceInformation": "<GetDeviceInformationResponse><Model>x</Model>"
            "</GetDeviceInformationResponse>",
            "GetServices": services,
            "GetProfiles": "<GetProfilesResponse><Profiles token='a'/></GetProfilesResponse>",
            "GetStreamUri": f"<Uri>{url}</Uri>",
            "GetSnapshotUri": f"<Uri>{url}</Uri>",
            "CreatePullPointSubscription": f"<SubscriptionReference><Address>{url}</Address>"
            "</SubscriptionReference>",
            "GET": http(302, b"", b"Location: " + _header(address) + b"\r\n"),
        },
        otherwise=http(307, b"", b"Location: " + _header(address) + b"\r\n"),
    )


def streaming_from(address: str, status: int) -> Script:
    """An RTSP device that names this address: as the place to go to, or as the stream's base."""
    url = _header(address)
    sdp = b"v=0\r\na=control:%s\r\nm=video 0 RTP/AVP 96\r\na=control:%s\r\n" % (url, url)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await request(reader)
            cseq = head.partition(b"CSeq: ")[2].partition(b"\r\n")[0]
            asked = head.startswith(b"DESCRIBE")
            code, body = (status, sdp) if asked and status == 200 else (200, b"")
            if asked and status != 200:
                code = status
            writer.write(
                b"RTSP/1.0 %d X\r\nCSeq: %s\r\nLocation: %s\r\nContent-Base: %s\r\n"
                b"Content-Location: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (code, cseq, url, url, url, len(body), body)
            )
            await writer.drain()

    return script


def _header(address: str) -> bytes:
    return address.replace("\r", "").replace("\n", "").encode()[:4096]
