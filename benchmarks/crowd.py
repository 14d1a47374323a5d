"""Many MQTT 5 clients in one process: they connect, say what they have, and count PUBACKs."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from typing import cast

import mqtt5

WINDOW = 20
EACH_ADDRESS = 20_000
"""Connections from one source address: ports are fewer than 28,000 on most machines."""


class Client(asyncio.Protocol):
    """One connection that publishes with QoS 1, ``WINDOW`` messages ahead."""

    def __init__(self, name: str, messages: Sequence[tuple[str, bytes]]) -> None:
        self.admitted = asyncio.get_running_loop().create_future()
        self.done = asyncio.get_running_loop().create_future()
        self._name = name
        self._left = len(messages)
        self._packets = [
            mqtt5.PublishPacket(
                topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1 + n % 60_000
            ).write()
            for n, (topic, payload) in enumerate(messages)
        ]
        self._next = 0
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say CONNECT."""
        self._transport = cast("asyncio.Transport", transport)
        connect = mqtt5.ConnectPacket(self._name, keep_alive=600, session_expiry_interval=3600)
        self._transport.write(connect.write())

    def data_received(self, data: bytes) -> None:
        """Take CONNACK, then acknowledgements; go on where there is room."""
        data = self._rest + data if self._rest else data
        at = 0
        if not self.admitted.done():
            if len(data) < 2 or len(data) < 2 + data[1]:
                self._rest = data
                return
            at = 2 + data[1]
            self.admitted.set_result(data[3])
        acknowledged, rest = divmod(len(data) - at, 4)  # PUBACK with success has four bytes
        assert data[at : len(data) - rest : 4] == b"@" * acknowledged, data[at:].hex()
        self._rest = data[len(data) - rest :]
        if acknowledged:
            self._left -= acknowledged
            if not self._left:
                self.done.set_result(None)
            self.speak(acknowledged)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let nobody wait for what will not come."""
        why = exc or ConnectionError(f"{self._name}: closed with {self._left} unacknowledged")
        for each in (self.admitted, self.done):
            if not each.done():
                each.set_exception(why)
                each.exception()  # whoever waits still gets it

    def speak(self, count: int = WINDOW) -> None:
        """Send the next messages."""
        packets = self._packets[self._next : self._next + count]
        self._next += count
        if packets and self._transport is not None:
            self._transport.write(b"".join(packets))

    def close(self) -> None:
        """Be gone."""
        if self._transport is not None:
            self._transport.abort()


async def gather(
    host: str,
    port: int,
    messages: Sequence[Sequence[tuple[str, bytes]]],
    at_once: int = 500,
    first: int = 0,
) -> list[Client]:
    """Connect one client for each list of messages; return when all are admitted.

    Args:
        host: Of the listener.
        port: Likewise.
        messages: What each has to say.
        at_once: Connections that are being made at a time.
        first: Number of the first client.
    """
    wanted = len(messages) + 1024
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < wanted:
        raise SystemExit(f"{wanted} open files are needed: ulimit -n {wanted} first, as root")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    loop, room = asyncio.get_running_loop(), asyncio.Semaphore(at_once)

    async def enter(n: int, mine: Sequence[tuple[str, bytes]]) -> Client:
        async with room:
            _, client = await loop.create_connection(
                lambda: Client(f"sim-env-{first + n:05d}", mine),
                host,
                port,
                local_addr=(f"127.0.0.{1 + n // EACH_ADDRESS}", 0) if host == "127.0.0.1" else None,
            )
            code = await client.admitted
            assert code == 0, code
            return client

    return list(await asyncio.gather(*(enter(n, mine) for n, mine in enumerate(messages))))
