"""A device's end of a UDP socket, and what it says."""

from __future__ import annotations

import asyncio
import socket

from edge_agent.sources import coap_message as coap
from edge_agent.sources.coap_message import Message, decode, encode

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
