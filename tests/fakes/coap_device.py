"""A device's end of a UDP socket, and what it says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap import CoapSource
from edge_agent.sources.coap_message import Message, decode, encode
from edge_agent.sources.settings import CoapSettings
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from tests.fakes.ingest import FakeIngest, supervised

PATH = ((11, b"tg"), (11, b"a"))


class Device:
    """Sends and receives datagrams as they are."""

    def __init__(self, host: str, port: int) -> None:
        self.port = port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        self._sock.setblocking(False)
        self._sock.connect((host, port))

    def send(self, message: Message | bytes) -> int:
        data = message if isinstance(message, bytes) else encode(message)
        self._sock.send(data)
        return len(data)

    async def receive(self) -> Message:
        return decode(await self.raw())

    async def raw(self) -> bytes:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self._sock, 65_535)

    async def ask(self, message: Message | bytes) -> Message:
        self.send(message)
        return await self.receive()

    def silent(self) -> bool:
        try:
            self._sock.recv(65_535)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._sock.close()


def put(message_id: int, payload: bytes = b"{}", kind: int = coap.CON, **more) -> Message:
    options = tuple(sorted([*PATH, *more.get("options", ())], key=lambda each: each[0]))
    return Message(kind, coap.PUT, message_id, b"\x42", options, payload)


@contextlib.asynccontextmanager
async def heard_by(
    ingest: FakeIngest, meter: Meter | None = None, listen: str = "127.0.0.1:0", **more: object
) -> AsyncIterator[Device]:
    """A device, and the source that hears it; in the end commits that wait go on."""
    source = CoapSource(
        CoapSettings.model_validate({"listen": listen, **more}),
        ingest=ingest,
        clock=wall_ns,
        meter=meter or Meter(),
        chance=random.Random(1),
    )
    async with supervised(source):
        await source.opened.wait()
        each = Device("127.0.0.1", source.addresses[0].port)
        yield each
        each.close()
        ingest.gate.set()
