"""A real agent in this process, so that a test can look at what it stored."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from edge_agent.agent import Agent
from edge_agent.clock.keeper import Machine
from edge_agent.config import load_edge_config
from edge_agent.run import run_agent
from gateway_core.clock import Clock, wall_ns
from gateway_core.model import Listed, Reading, Record
from tests.fakes.broker import Mosquitto, free_port


def write_config(folder: Path, broker: Mosquitto, more: str = "") -> Path:
    """Write the configuration of an edge at a broker; return its file."""
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    file = folder / "edge.yaml"
    file.write_text(
        "edge: {id: e1, area: '3716', data_dir: var}\n"
        f"mqtt: [{{name: site, url: '{broker.url}'}}]\n"
        "profiles: [profiles]\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n" + more
    )
    return file


@contextlib.asynccontextmanager
async def running(
    file: Path, clock: Clock = wall_ns, machine: Machine | None = None
) -> AsyncIterator[Agent]:
    """Run an agent until the block ends; it is connected when the block begins."""
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        config, ready = load_edge_config(file), started.set_result
        group.create_task(
            run_agent(config, stop=stop, ready=ready, clock=clock, machine=machine or Machine())
        )
        agent: Agent = await started
        try:
            await until(lambda: all(each.connected for each in agent._links.sources))
            yield agent
        finally:
            stop.set()


async def until(holds: Callable[[], bool], within_s: float = 20.0) -> None:
    """Return when something holds."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


async def eventually(holds: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Return when something that has to be asked for holds."""
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)


async def stored(agent: Agent) -> list[Record]:
    """Return everything in the agent's spool."""
    found: list[Record] = []
    while batch := await agent._spool.read_after(len(found), 5000):
        found += batch.records
    return found


async def readings(agent: Agent) -> list[Reading]:
    """Return the readings in the agent's spool."""
    return [each for each in await stored(agent) if isinstance(each, Reading)]


async def presence(agent: Agent) -> dict[str, bool | None]:
    """Return what was last announced of each device."""
    return {r.id: r.online for r in await stored(agent) if isinstance(r, Listed)}
