"""Devices for the camera tests: scripted ones that do exactly what a test says, and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Self

from edge_agent.cameras.address import RtspAddress, bracketed
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.patrol import Patrol
from edge_agent.cameras.settings import PatrolSettings
from gateway_core.errors import SpoolFull
from gateway_core.meter import Meter
from gateway_core.model import FeedHealth, Record
from simulators.cameras.camera import Device
from simulators.cameras.fleet import CameraFleet
from simulators.cameras.options import FleetOptions

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedDevice:
    """Listens on a free port, plays a script on each connection and keeps what it was sent."""

    def __init__(self, script: Script, host: str = "127.0.0.1") -> None:
        self._script = script
        self.host = host
        self.port = 0
        self.connections = 0
        self.received = bytearray()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._script(_Recording(reader, self.received), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def feed(self, credential: Credential | None = None, *, host: str = "", **more: object) -> Feed:
        """A feed whose stream, and whose ONVIF service, is this device; it may have a name."""
        host = host or self.host
        url = f"rtsp://{bracketed(host)}:{self.port}/live"
        address = RtspAddress(url, host, self.port)
        return Feed(
            id="gate-1",
            host=host,
            rtsp=address,
            onvif_port=self.port,
            credential=credential,
            **more,
        )


class _Recording:
    """A stream reader that keeps a copy of what it read."""

    def __init__(self, reader: asyncio.StreamReader, copy: bytearray) -> None:
        self._reader = reader
        self._copy = copy

    async def readuntil(self, separator: bytes) -> bytes:
        data = await self._reader.readuntil(separator)
        self._copy += data
        return data

    async def readexactly(self, count: int) -> bytes:
        data = await self._reader.readexactly(count)
        self._copy += data
        return data

    async def read(self) -> bytes:
        data = await self._reader.read()
        self._copy += data
        return data


def answering(*answers: bytes) -> Script:
    """A script that gives these answers to the first requests and then only listens."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    await reader.readexactly(int(line.partition(b":")[2]))
            writer.write(answer)
            await writer.drain()
        await reader.read()

    return script


@asynccontextmanager
async def fleet_and_feeds(
    folder: Path, **options: object
) -> AsyncIterator[tuple[CameraFleet, dict[str, Feed]]]:
    """A started fleet on free ports, and its feeds as the feeds file gives them."""
    path = folder / "feeds.csv"
    options = {"rtsp_port": 0, "mix": {}, "count": 4, **options}
    async with CameraFleet(FleetOptions(feeds_file=path, **options)) as fleet:
        yield fleet, load_feeds(path)


def set_up(device: Device, **changes: object) -> None:
    """Give a simulated device the traits that a test is about."""
    for name, value in changes.items():
        setattr(device, name, value)


class HandClock:
    """A wall clock that moves only when told to."""

    def __init__(self, now: int = 1_800_000_000_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> int:
        self.now += int(seconds * 1_000_000_000)
        return self.now


class Recorder:
    """Stores records like a spool, can be full for a while, and wakes whoever waits for one."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.state: dict[str, bytes] = {}
        self.full = False
        self.refused = 0
        self._changed = asyncio.Condition()

    async def append(self, records: Sequence[Record], state: Mapping[str, bytes | None]) -> None:
        async with self._changed:
            if self.full:
                self.refused += 1
            else:
                self.records.extend(records)
                for key, value in state.items():
                    self.state.pop(key, None)
                    if value is not None:
                        self.state[key] = value
            self._changed.notify_all()
        if self.full:
            raise SpoolFull("the disk budget is used up")

    def latest(self) -> dict[str, FeedHealth]:
        """The last health record of each feed."""
        return {each.feed: each for each in self.records if isinstance(each, FeedHealth)}

    def states(self) -> dict[str, str]:
        """The last recorded state of each feed."""
        return {feed: record.state for feed, record in self.latest().items()}

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until what was stored satisfies a condition."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)


@asynccontextmanager
async def patrolling(
    feeds: dict[str, Feed],
    recorder: Recorder,
    *,
    recalled: Mapping[str, bytes] | None = None,
    **settings: float | str,
) -> AsyncIterator[Patrol]:
    """A running patrol with a short sweep, which takes up what another one kept."""
    # Nothing here depends on speed: a loaded machine only takes longer to come to the truth.
    quick: dict[str, Any] = {"sweep_s": 0.4, "stale_sweeps": 100.0, "onvif_s": 600.0, **settings}
    patrol = Patrol(
        "bz-edge-01",
        feeds,
        recorder.append,
        settings=PatrolSettings(**quick),
        meter=Meter(),
        chance=Random(1),
    )
    patrol.recall(recalled or {})
    async with asyncio.TaskGroup() as group:
        task = group.create_task(patrol.run())
        try:
            yield patrol
        finally:
            task.cancel()
