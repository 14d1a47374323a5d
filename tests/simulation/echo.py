"""A way that says things twice: uploads that come again later, on a connection of their own."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.simulation.connection import End, Place
from tests.simulation.loop import Life
from tests.simulation.network import Network


class _Deaf(asyncio.Protocol):
    """Says its piece and hears nothing."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport


class Echo:
    """Repeats what one host uploads to a place, some of it, up to half a minute later.

    Args:
        network: Carries it.
        host: Whose uploads.
        place: To where.
        chance: Which of them, when, and how often.
    """

    def __init__(self, network: Network, host: str, place: Place, chance: random.Random) -> None:
        self._network, self._place, self._chance = network, place, chance
        self._life = Life("echo", host)
        self._host = host
        self._held: dict[int, bytes] = {}

    def heard(self, end: End, data: bytes) -> None:
        """Listen to what a client sends."""
        if not end.client or end.life.host != self._host or end.peer != self._place:
            return
        if end.life is self._life:
            return
        begins = data.startswith(b"POST /v1/batches")
        held = data if begins else self._held.get(id(end), b"") + data
        self._held[id(end)] = held
        head, blank, body = held.partition(b"\r\n\r\n")
        size = _length(head)
        if not blank or len(body) < size or size == 0:
            return
        del self._held[id(end)]
        for _ in range(self._chance.choice([0, 1, 1, 3])):
            loop = self._network.loop
            loop.call_later(
                30 * self._chance.random(), self._begin, held, context=self._life.context
            )

    def _begin(self, request: bytes) -> None:
        self._network.loop.create_task(self._repeat(request), context=self._life.context)

    async def _repeat(self, request: bytes) -> None:
        try:
            transport, _ = await self._network.attach(_Deaf, *self._place, None)
        except OSError:
            return
        self._network.tell(f"an upload of {len(request)} bytes comes again")
        transport.write(request)
        await asyncio.sleep(20)
        transport.abort()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
