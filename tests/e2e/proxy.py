"""A line to the centre that can be cut, and that keeps every byte that crossed it, and when.

It is the relay of `tidegate simulate wan`, on an event loop of its own, so that tests that wait in
the ordinary way can cut, mend and change it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway_core.units import Address
from simulators.wan.options import CutKind, WanOptions
from simulators.wan.relay import Relay, Side


@dataclass
class Stream:
    """What one side said on one connection, and when the last of it came (monotonic)."""

    data: bytearray = field(default_factory=bytearray)
    ends: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Request:
    """One HTTP request with a body; `at` is when its last byte crossed (monotonic)."""

    head: bytes
    body: bytes
    at: float


class Proxy:
    """Between an edge and its collector; a context manager. Cut at first."""

    def __init__(
        self, port: int, to: int, host: str = "127.0.0.1", options: WanOptions | None = None
    ) -> None:
        self._ends = Address(host, port), Address(host, to)
        self._options = options or WanOptions()
        self._streams: dict[tuple[Side, int], Stream] = defaultdict(Stream)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._relay = self._wait(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._wait(self._relay.__aexit__(kind, exc, tb))
        self._wait(_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restore(self) -> None:
        """Let connections through from now on."""
        self._do(self._relay.mend)

    def cut(self, how: CutKind = "reset") -> None:
        """Break every connection and refuse new ones, or fall silent."""
        self._do(lambda: self._relay.cut(how))

    def change(self, options: WanOptions) -> None:
        """Be like this from now on."""
        self._do(lambda: self._relay.change(options))

    @property
    def crossed(self) -> bytes:
        """Everything that the edge sent, connection after connection."""
        return b"".join(bytes(each.data) for each in self.sent)

    @property
    def sent(self) -> list[Stream]:
        """What the edge sent, by connection."""
        return [each for (side, _), each in sorted(self._streams.items()) if side == "out"]

    def requests(self) -> list[Request]:
        """The requests that crossed whole, in the order in which they did."""
        found = [request for stream in self.sent for request in _requests(stream)]
        return sorted(found, key=lambda each: each.at)

    async def _open(self) -> Relay:
        relay = Relay(*self._ends, self._options, self._heard)
        await relay.__aenter__()
        relay.cut()
        return relay

    def _heard(self, number: int, side: Side, data: bytes) -> None:
        stream = self._streams[side, number]
        stream.data += data
        stream.ends.append((len(stream.data), time.monotonic()))

    def _do(self, what: Callable[[], None]) -> None:
        async def done() -> None:
            what()

        self._wait(done())

    def _wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


async def _rest() -> None:
    """Let what still runs on this loop end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.wait(others, timeout=10) if others else None


def _requests(stream: Stream) -> list[Request]:
    found: list[Request] = []
    data, at = bytes(stream.data), 0
    while (end := data.find(b"\r\n\r\n", at)) >= 0:
        head = data[at : end + 4]
        names = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        length = {key.lower(): value for key, value in names.items()}.get(b"content-length", b"0")
        body = data[end + 4 : end + 4 + int(length)]
        if len(body) < int(length):
            break
        at = end + 4 + len(body)
        when = next(moment for size, moment in stream.ends if size >= at)
        found.append(Request(head, body, when))
    return found
