"""A TCP relay that delays, throttles, garbles, falls silent and cuts, drawn from a seed.

Bytes are never dropped or reordered inside a connection: TCP promises that much, and a lost packet
shows as a pause. What a WAN adds on top, and what programs must outlive, is delay, a narrow pipe,
connections that break or fall silent in the middle of anything, and times in which nobody gets
through. A flipped bit is what TCP's weak checksum lets pass once in a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Literal, Self

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.units import Address
from simulators.wan.options import RETRANSMISSION_S, CutKind, Direction, WanOptions

_CHUNK = 16 * 1024
_UNDER_WAY = 64
_CONNECT_S = 10.0

Side = Literal["out", "back"]
"""``out`` is towards the target."""

Tap = Callable[[int, Side, bytes], None]
"""Hears what crosses: number of the connection, direction, bytes."""


class Relay:
    """Listens in one place and passes on to another; a context manager.

    Args:
        listen: Where to listen; port 0 lets the system choose.
        target: Where to pass on to.
        options: What the way is like.
        tap: Hears every piece that was passed on.

    Attributes:
        address: Where it listens, once entered.
        passed: Bytes passed on, both directions together.
        cuts: How often the way was cut.
        resets: How many connections were reset one by one.
    """

    def __init__(
        self, listen: Address, target: Address, options: WanOptions, tap: Tap | None = None
    ) -> None:
        self.address = listen
        self.passed = self.cuts = self.resets = 0
        self._target = target
        self._tap = tap
        dice = random.Random(options.seed)  # noqa: S311  # a simulation, not a secret
        self._dice = random.Random(dice.random())  # noqa: S311
        self._ways: dict[Side, Direction] = {
            "out": Direction(options, dice),
            "back": Direction(options, dice),
        }
        self._state: Literal["whole", "reset", "silent"] = "whole"
        self._mended = asyncio.Event()
        self._connections = 0
        self._open: dict[asyncio.StreamWriter, int] = {}
        self._forgotten: set[int] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            Unavailable: The address is taken or not ours.
        """
        host, port = self.address
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as exc:
            raise Unavailable(f"cannot listen on {self.address}: {exc.strerror or exc}") from exc
        self.address = Address(host, int(self._server.sockets[0].getsockname()[1]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self._mended.set()
        self._break(set(self._open.values()))
        await asyncio.sleep(0)  # lets the broken connections go

    def change(self, options: WanOptions) -> None:
        """Be like this from now on; the dice go on as they are."""
        for way in self._ways.values():
            way.options = options

    def cut(self, how: CutKind = "reset") -> None:
        """Break every connection and let nobody through, or fall silent without telling anyone."""
        self._state = how
        self._mended.clear()
        self.cuts += 1
        if how == "reset":
            self._break(set(self._open.values()))
        else:
            self._forgotten.update(self._open.values())

    def mend(self) -> None:
        """Let everybody through again; what was open during a silence has been forgotten."""
        self._state = "whole"
        self._break(self._forgotten)
        self._forgotten.clear()
        self._mended.set()

    def reset_one(self) -> None:
        """Reset one open connection, drawn by the dice."""
        numbers = sorted(set(self._open.values()) - self._forgotten)
        if numbers and self._state == "whole":
            chosen = self._dice.choice(numbers)
            self.resets += 1
            self._break({chosen})

    def _break(self, connections: set[int]) -> None:
        for writer, number in list(self._open.items()):
            if number in connections:
                _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number, ends = self._connections, [writer]
        self._open[writer] = number
        try:
            if not await self._may_pass():
                return
            async with asyncio.timeout(_CONNECT_S):
                back, there = await asyncio.open_connection(*self._target)
            ends.append(there)
            self._open[there] = number
            if not await self._may_pass():  # meanwhile
                return
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass("out", number, reader, there, tasks))
                tasks.create_task(self._pass("back", number, back, writer, tasks))
        except* (OSError, TimeoutError):
            for each in ends:  # one side is gone: so is the other
                _reset(each)
        finally:
            for each in ends:
                self._open.pop(each, None)
                each.close()

    async def _may_pass(self) -> bool:
        """Whether somebody who has just come gets through; waits in a silence."""
        while self._state == "silent":
            await self._mended.wait()
        return self._state == "whole"

    async def _pass(
        self,
        side: Side,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Read without waiting for the delay, so that it costs time and not throughput."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        tasks.create_task(self._deliver(side, number, under_way, writer))
        way, due = self._ways[side], 0.0
        while True:
            data = await reader.read(way.options.trickle or _CHUNK)
            late = RETRANSMISSION_S if data and way.chance(way.options.loss) else 0.0
            due = max(due, way.through(len(data)) + way.latency() + late)
            await under_way.put((due, way.spoiled(data)))
            if not data:
                return

    async def _deliver(
        self,
        side: Side,
        number: int,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - monotonic())
            while self._state == "silent" or number in self._forgotten:
                await self._mended.wait()
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            self.passed += len(data)
            if self._tap is not None:
                self._tap(number, side, data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, so that the other side hears of it at once."""
    sock: socket.socket | None = writer.transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
