"""The parts of a running agent: started together, each retried by itself, sources stopped first."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from gateway_core.supervise import Failure, Part, Patience, supervise

log = structlog.get_logger()

SOURCES_STOP_S = 6.0
OTHERS_STOP_S = 3.0
PATIENCE = Patience(first=0.25, longest=10.0)


class Parts:
    """Tasks in one group.

    Args:
        group: Runs them.
        chance: Where the waits between tries are drawn from; see `supervise`.

    Attributes:
        running: Part to whether it is running now; False while it waits to be tried again.
        failures: Part to how it last failed, until it has run for `PATIENCE.steady` again.
    """

    def __init__(self, group: asyncio.TaskGroup, chance: random.Random | None = None) -> None:
        self.running: dict[str, bool] = {}
        self.failures: dict[str, Failure] = {}
        self._group = group
        self._chance = chance
        self._sources: dict[str, asyncio.Task[object]] = {}
        self._others: dict[str, asyncio.Task[object]] = {}

    def start(self, name: str, run: Part, *, source: bool = False) -> None:
        """Run a part under `supervise` from now on.

        Args:
            name: For status and logs.
            run: The part.
            source: Stop it before those that are no sources.
        """
        tasks = self._sources if source else self._others
        tasks[name] = self._group.create_task(
            supervise(name, self._watched(name, run), PATIENCE, self._chance, self.failures),
            name=name,
        )

    async def restart(self, name: str, run: Part) -> None:
        """Stop a source in order and run another in its place."""
        task = self._sources[name]
        task.cancel()
        await asyncio.wait({task}, timeout=SOURCES_STOP_S)
        self.failures.pop(name, None)
        self.start(name, run, source=True)

    async def stop(self, flush: Callable[[], Awaitable[None]]) -> None:
        """Stop the sources, call ``flush``, stop the rest; at most about ten seconds in all."""
        await _end(self._sources, SOURCES_STOP_S)
        await flush()
        await _end(self._others, OTHERS_STOP_S)

    def _watched(self, name: str, run: Part) -> Part:
        async def watched() -> None:
            self.running[name] = True
            try:
                await run()
            finally:
                self.running[name] = False

        return watched


async def _end(tasks: dict[str, asyncio.Task[object]], patience_s: float) -> None:
    for task in tasks.values():
        task.cancel()
    if tasks:
        _, late = await asyncio.wait(tasks.values(), timeout=patience_s)
        for task in late:
            log.warning("part_abandoned", part=task.get_name(), after_s=patience_s)
