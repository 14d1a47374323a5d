"""Keep a part running while its peer comes and goes: the only retry loop in the code base."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NoReturn

import structlog

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable

log = structlog.get_logger()

Part = Callable[[], Awaitable[object]]
"""Runs until its peer goes away, then raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between tries, in seconds: anything up to a ceiling that doubles.

    Attributes:
        first: Ceiling of the first wait.
        longest: Ceiling of every wait; a run that outlived it starts again at ``first``.
    """

    first: float = 0.5
    longest: float = 60.0


async def supervise(
    name: str,
    run: Part,
    patience: Patience = Patience(),
    chance: random.Random | None = None,
) -> NoReturn:
    """Call ``run`` again after every `Unavailable`, waiting longer each time.

    Waits are drawn evenly from nothing to the ceiling, so that a thousand parts which lost the
    same peer do not come back in the same instant. Any other error passes through: it is a bug,
    the TaskGroup stops the program, and systemd starts it afresh. A ``run`` that returns is
    called again after ``patience.first``.

    Args:
        name: Of the part, for the log: one line when it fails, one when it runs again.
        run: The part.
        patience: The waits.
        chance: Where the waits are drawn from.
    """
    dice = chance or random.Random()  # noqa: S311  # jitter, not a secret
    ceiling, failures, down_at = patience.first, 0, 0.0
    while True:
        began = monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_recovered(name, patience, failures, down_at))
                await run()
                watch.cancel()
        except* Unavailable as caught:
            why = str(caught.exceptions[0])
        else:
            why = ""
        lasted = monotonic() - began
        if lasted > patience.longest or not why:
            ceiling, failures = patience.first, 0
        if why:
            failures += 1
            if failures == 1:
                down_at = monotonic()
                log.warning("part_interrupted", part=name, why=why)
            else:
                log.debug("part_retried", part=name, tries=failures, why=why)
        await asyncio.sleep(dice.uniform(0.0, ceiling) if why else patience.first)
        ceiling = min(2 * ceiling, patience.longest)


async def _recovered(name: str, patience: Patience, failures: int, down_at: float) -> None:
    """Say once that a part which had failed has been running for as long as its last ceiling."""
    if failures:
        await asyncio.sleep(patience.first)
        log.info("part_recovered", part=name, down_s=round(monotonic() - down_at, 3))
