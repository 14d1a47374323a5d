"""A UDP relay that loses, doubles, reorders, garbles and delays datagrams, drawn from a seed."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.units import Address
from simulators.wan.options import CutKind, Direction, WanOptions

_MOST_CLIENTS = 4096
_LONGEST_QUEUE_S = 1.0
"""What would wait longer before the narrow pipe is dropped, as a router does."""
_OVERTAKEN_S = 0.05

Place = tuple[Any, ...]
"""A socket address of either family."""


class DatagramRelay:
    """Listens in one place and passes on to another; a context manager.

    Each client gets a port of its own towards the target, so that answers find their way back; the
    one that was silent for longest loses it when there are more than 4,096.

    Args:
        listen: Where to listen; port 0 lets the system choose.
        target: Where to pass on to.
        options: What the way is like.

    Attributes:
        address: Where it listens, once entered.
        passed: Bytes passed on, both directions together.
        lost: Datagrams dropped.
        cuts: How often the way was cut.
    """

    def __init__(self, listen: Address, target: Address, options: WanOptions) -> None:
        self.address = listen
        self.passed = self.lost = self.cuts = 0
        self._target = target
        dice = random.Random(options.seed)  # noqa: S311  # a simulation, not a secret
        self._out, self._back = Direction(options, dice), Direction(options, dice)
        self._whole = True
        self._clients: OrderedDict[Place, _Upstream] = OrderedDict()
        self._front: asyncio.DatagramTransport | None = None
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            Unavailable: The address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        try:
            front, _ = await loop.create_datagram_endpoint(
                lambda: _Front(self), local_addr=(self.address.host, self.address.port)
            )
        except OSError as exc:
            raise Unavailable(f"cannot listen on {self.address}: {exc.strerror or exc}") from exc
        await self._tasks.__aenter__()
        self._front = front
        self.address = Address(self.address.host, int(front.get_extra_info("sockname")[1]))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close everything."""
        self._whole = False
        if self._front is not None:
            self._front.close()
        for upstream in self._clients.values():
            upstream.close()
        self._clients.clear()
        await self._tasks.__aexit__(kind, exc, tb)

    def change(self, options: WanOptions) -> None:
        """Be like this from now on; the dice go on as they are."""
        self._out.options = self._back.options = options

    def cut(self, how: CutKind = "reset") -> None:
        """Let nobody through; there is no connection to reset."""
        del how
        self._whole = False
        self.cuts += 1

    def mend(self) -> None:
        """Let everybody through again."""
        self._whole = True

    def reset_one(self) -> None:
        """Do nothing: there is no connection to reset."""

    def came(self, data: bytes, client: Place) -> None:
        """Pass on what a client said."""
        upstream = self._clients.get(client)
        if upstream is None:
            if len(self._clients) >= _MOST_CLIENTS:
                self._clients.popitem(last=False)[1].close()
            upstream = self._clients[client] = _Upstream(self, client)
            self._tasks.create_task(upstream.open(self._target))
        self._clients.move_to_end(client)
        self._carry(self._out, data, upstream.send)

    def answered(self, data: bytes, client: Place) -> None:
        """Pass on what the target answered to a client."""
        front = self._front
        if front is not None:
            self._carry(self._back, data, lambda each: front.sendto(each, client))

    def _carry(self, way: Direction, data: bytes, send: Callable[[bytes], None]) -> None:
        o = way.options
        queued = o.bytes_per_s is not None and way.backlog_s() > _LONGEST_QUEUE_S
        if not self._whole or queued or way.chance(o.loss):
            self.lost += 1
            return
        due = way.through(len(data)) + way.latency()
        if way.chance(o.reorder):
            due += _OVERTAKEN_S + o.jitter_s
        for _ in range(2 if way.chance(o.duplicate) else 1):
            asyncio.get_running_loop().call_later(
                max(0.0, due - monotonic()), self._arrive, send, way.spoiled(data)
            )

    def _arrive(self, send: Callable[[bytes], None], data: bytes) -> None:
        if self._front is not None and not self._front.is_closing():
            send(data)
            self.passed += len(data)


class _Front(asyncio.DatagramProtocol):
    def __init__(self, relay: DatagramRelay) -> None:
        self._relay = relay

    def datagram_received(self, data: bytes, addr: Place) -> None:
        self._relay.came(data, addr)


class _Upstream(asyncio.DatagramProtocol):
    """One client's port towards the target; keeps what is sent until it is open."""

    def __init__(self, relay: DatagramRelay, client: Place) -> None:
        self._relay = relay
        self._client = client
        self._transport: asyncio.DatagramTransport | None = None
        self._early: list[bytes] = []
        self._closed = False

    async def open(self, target: Address) -> None:
        """Get the port; without one, everything of this client is lost."""
        loop = asyncio.get_running_loop()
        try:
            made, _ = await loop.create_datagram_endpoint(
                lambda: self, remote_addr=(target.host, target.port)
            )
        except OSError:
            self._closed = True
            return
        if self._closed:
            made.close()
            return
        self._transport = made
        for each in self._early:
            self._transport.sendto(each)
        self._early.clear()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.sendto(data)
        elif not self._closed and len(self._early) < 64:
            self._early.append(data)

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: Place) -> None:
        del addr
        self._relay.answered(data, self._client)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there: to the client it is as if the datagram was lost."""
        del exc
