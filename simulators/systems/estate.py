"""A seeded set of systems in one process: half speak HTTP, half only accept connections.

Each listens at a port of its own on loopback. A system that is down refuses connections (its
port is closed) or, for HTTP, answers 503; which of the two is drawn from the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

MARK = "sim-"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nup\n"
_DOWN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nConnection: close\r\n\r\ndown\n"
_REQUEST_S = 5.0


@dataclass(slots=True)
class SimulatedSystem:
    """One system.

    Attributes:
        id: Begins with ``sim-``.
        http: Whether it speaks HTTP.
        host: Loopback address.
        port: Where it listens; 0 before it was started.
        up: Whether it answers well now.
    """

    id: str
    http: bool
    host: str
    port: int = 0
    up: bool = True
    refuses: bool = False
    server: asyncio.Server | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """What systems.yaml says: a URL or ``host:port``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/health" if self.http else f"{host}:{self.port}"


class Estate:
    """All systems; a context manager that starts and stops them.

    Args:
        count: Number of systems.
        seed: Two estates of one seed fail alike.
        host: Loopback address to listen on; ``::1`` works too.
    """

    def __init__(self, count: int, seed: int = 1, host: str = "127.0.0.1") -> None:
        self._rng = random.Random(seed)  # noqa: S311  # a simulation, not a secret
        self.systems = [
            SimulatedSystem(f"{MARK}system-{n:03d}", n % 2 == 1, host) for n in range(1, count + 1)
        ]

    async def __aenter__(self) -> Self:
        """Start every system, up."""
        for system in self.systems:
            await self._open(system)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close every port."""
        for system in self.systems:
            await self._close(system)

    async def flip(self) -> SimulatedSystem:
        """Take one system down or bring one back, drawn from the seed, and return it."""
        system = self._rng.choice(self.systems)
        await self.set(system, up=not system.up)
        return system

    async def set(self, system: SimulatedSystem, *, up: bool) -> None:
        """Bring a system to a state."""
        system.up = up
        system.refuses = not up and (not system.http or self._rng.random() < 0.5)
        if system.refuses:
            await self._close(system)
        elif system.server is None:
            await self._open(system)

    def write(self, path: Path, every: str = "10s", part: slice = slice(None)) -> None:
        """Write the systems.yaml that makes an edge watch them all, or only a part of them."""
        path.write_text(_yaml(self.systems[part], every), encoding="utf-8")

    async def _open(self, system: SimulatedSystem) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                if system.http:
                    async with asyncio.timeout(_REQUEST_S):
                        await reader.readuntil(b"\r\n\r\n")
                    writer.write(_OK if system.up else _DOWN)
                    await writer.drain()
            writer.close()

        system.server = await asyncio.start_server(answer, system.host, system.port)
        system.port = system.server.sockets[0].getsockname()[1]

    async def _close(self, system: SimulatedSystem) -> None:
        if system.server is not None:
            system.server.close()
            system.server = None


def _yaml(systems: Sequence[SimulatedSystem], every: str) -> str:
    lines = ["# simulated systems", "systems:"]
    for system in systems:
        kind = "http" if system.http else "tcp"
        target = f'"{system.target}"'
        lines.append(f"  - {{id: {system.id}, kind: {kind}, target: {target}, every: {every}}}")
    return "\n".join(lines) + "\n"
