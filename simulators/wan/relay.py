"""A TCP relay that delays, throttles and cuts, drawn from a seed.

Bytes are never changed, dropped or reordered inside a connection: TCP promises that much. What a
WAN adds on top, and what programs must outlive, is delay, a narrow pipe, connections that break in
the middle of anything, and times in which nobody gets through.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.units import Address

_CHUNK = 16 * 1024
_UNDER_WAY = 64
_CONNECT_S = 10.0


@dataclass(frozen=True, slots=True)
class WanOptions:
    """What the way is like.

    Attributes:
        delay_s: Added in each direction.
        bytes_per_s: Of each direction, all connections together; None for any.
        cut_every_s: The way is cut this often on average; 0 for never.
        cut_for_s: For how long on average.
        seed: The same seed cuts at the same times.
    """

    delay_s: float = 0.0
    bytes_per_s: float | None = None
    cut_every_s: float = 0.0
    cut_for_s: float = 5.0
    seed: int = 1


class Relay:
    """Listens in one place and passes on to another; a context manager.

    Args:
        listen: Where to listen; port 0 lets the system choose.
        target: Where to pass on to.
        options: What the way is like.

    Attributes:
        address: Where it listens, once entered.
        passed: Bytes passed on, both directions together.
        cuts: How often the way was cut.
    """

    def __init__(self, listen: Address, target: Address, options: WanOptions) -> None:
        self.address = listen
        self.passed = 0
        self.cuts = 0
        self._target = target
        self._options = options
        self._dice = random.Random(options.seed)  # noqa: S311  # a simulation, not a secret
        self._whole = True
        self._open: set[asyncio.StreamWriter] = set()
        self._free_at = {"out": 0.0, "back": 0.0}
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
        self._break()
        await asyncio.sleep(0)  # lets the broken connections go

    async def run(self, told: Callable[[bool], None]) -> NoReturn:
        """Cut and mend, as often as the options say, until cancelled.

        Args:
            told: Gets False after a cut and True when the way is whole again.
        """
        o = self._options
        while True:
            if not o.cut_every_s:
                await asyncio.Event().wait()
            await asyncio.sleep(self._dice.expovariate(1 / o.cut_every_s))
            self.cut()
            told(False)  # noqa: FBT003  # the one thing it is about
            await asyncio.sleep(self._dice.expovariate(1 / o.cut_for_s) if o.cut_for_s else 0)
            self.mend()
            told(True)  # noqa: FBT003

    def cut(self) -> None:
        """Break every connection and let nobody through."""
        self._whole = False
        self.cuts += 1
        self._break()

    def mend(self) -> None:
        """Let everybody through again."""
        self._whole = True

    def _break(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._open.add(writer)
        try:
            if self._cut_off():
                return
            async with asyncio.timeout(_CONNECT_S):
                back, there = await asyncio.open_connection(*self._target)
            ends.append(there)
            self._open.add(there)
            if self._cut_off():  # meanwhile
                return
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass("out", reader, there, tasks))
                tasks.create_task(self._pass("back", back, writer, tasks))
        except* (OSError, TimeoutError):
            for each in ends:  # one side is gone: so is the other
                each.transport.abort()
        finally:
            self._open.difference_update(ends)
            for each in ends:
                each.close()

    def _cut_off(self) -> bool:
        return not self._whole

    async def _pass(
        self,
        way: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Read without waiting for the delay, so that it costs time and not throughput."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        tasks.create_task(self._deliver(under_way, writer))
        while True:
            data = await reader.read(_CHUNK)
            await under_way.put((self._through(way, len(data)) + self._options.delay_s, data))
            if not data:
                return

    async def _deliver(
        self,
        under_way: asyncio.Queue[tuple[float, bytes]],
        writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(due - monotonic())
            if not data:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            self.passed += len(data)
            await writer.drain()

    def _through(self, way: str, size: int) -> float:
        """Return when ``size`` bytes are through the narrow pipe, behind all that came before."""
        if self._options.bytes_per_s is None:
            return monotonic()
        begins = max(monotonic(), self._free_at[way])
        self._free_at[way] = begins + size / self._options.bytes_per_s
        return self._free_at[way]
