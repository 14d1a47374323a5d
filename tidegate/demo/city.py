"""The city: starts every process of the demo, and knows when all of it is ready."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway_core.clock import monotonic
from gateway_core.errors import GatewayError, Unavailable
from simulators.systems.estate import Estate
from tidegate.demo.children import Children
from tidegate.demo.plan import Plan, console_url, find_broker
from tidegate.demo.sites import Site, lay_out, write_centre, write_site
from tidegate.remote import ask
from tidegate.simulate.store import Store

_READY_S = 90.0
_LOOK_S = 0.1


class City:
    """All parts but the sensors.

    Args:
        plan: What it is made of.
        folder: Where it works.
        port: Of the console.
        children: Start and end its processes.

    Attributes:
        centre: The collector.
        sites: The edges.
        estate: The simulated systems; entered and left by the caller.
        url: The console.
        store: The collector from outside.
    """

    def __init__(self, plan: Plan, folder: Path, port: int, children: Children) -> None:
        self._plan = plan
        self._folder = folder
        self._children = children
        self._broker = find_broker() if plan.broker else None
        self.centre, self.sites = lay_out(plan, folder, port, brokers=self._broker is not None)
        self.estate = Estate(plan.systems, host=plan.loopback)
        self.url = console_url(plan, port)
        self.store = Store(self.url)

    async def start(self) -> None:
        """Start every process; those that need nothing of others first.

        Raises:
            GatewayError: A program cannot be started.
        """
        feeds = await self._cameras()
        write_centre(self.centre)
        await self._children.start(
            "collector", _module("collector", self.centre.config), self.centre.folder
        )
        if feeds is not None:
            await _until("the simulated cameras", _exists(feeds))
        for n, site in enumerate(self.sites):
            write_site(self._plan, n, site, self.centre, feeds, self.estate)
            if self._broker is not None and site.brokered:
                serve = [self._broker, "-c", str(site.broker_config)]
                await self._children.start(f"{site.name}-broker", serve, site.folder)
            await self._children.start(site.name, _module("edge_agent", site.config), site.folder)

    def doors(self) -> str:
        """Return in words how sensors reach the edges."""
        ways = ("straight to the agent", "through mosquitto")
        return "MQTT: " + ", ".join(f"{s.name} {ways[s.brokered]}" for s in self.sites)

    async def ready(self) -> None:
        """Wait until the console answers and every edge listens to its sensors.

        Raises:
            GatewayError: It takes longer than 90 s.
        """
        await _until("the collector", _answers(self.store.status))
        for site in self.sites:
            await _until(site.name, _answers(functools.partial(self._listening, site)))

    async def edge_status(self, site: Site) -> dict[str, Any]:
        """Return what an edge says of itself."""
        found: dict[str, Any] = msgspec.json.decode(await ask("GET", f"http://{site.admin}/status"))
        return found

    async def residual(self) -> int:
        """Return what no books can explain, at the edges and at the centre."""
        centre = await self.store.status()
        edges = [await self.edge_status(site) for site in self.sites]
        theirs = sum(abs(edge["residual"]) for edge in edges)
        return int(abs(centre["totals"]["residual"]) + theirs)

    async def _listening(self, site: Site) -> None:
        status = await self.edge_status(site)
        if not all(source["connected"] for source in status["sources"]):
            raise Unavailable(f"{site.name} does not hear its sensors yet")

    async def _cameras(self) -> Path | None:
        if not self._plan.feeds:
            return None
        folder = self._folder / "cameras"
        folder.mkdir(parents=True, exist_ok=True)
        feeds = folder / "feeds.csv"
        feeds.unlink(missing_ok=True)
        address = "::1" if ":" in self._plan.loopback else "127.10.0.1"
        command = [
            *(sys.executable, "-m", "tidegate.simulate", "cameras", "--feeds-csv", str(feeds)),
            *("--count", str(self._plan.feeds), "--address", address, "--port", "0"),
            *("--change-every", "5s", "--truth", str(folder / "truth.jsonl")),
        ]
        await self._children.start("cameras", command, folder)
        return feeds


def _module(name: str, config: Path) -> list[str]:
    return [sys.executable, "-m", name, "--config", str(config)]


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await asyncio.to_thread(path.exists)

    return look


def _answers(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        try:
            await call()
        except GatewayError:
            return False
        return True

    return look


async def _until(what: str, look: Callable[[], Awaitable[bool]]) -> None:
    deadline = monotonic() + _READY_S
    while not await look():
        if monotonic() > deadline:
            raise GatewayError(f"{what} was not ready within {_READY_S:g} s")
        await asyncio.sleep(_LOOK_S)
