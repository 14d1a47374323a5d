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
from gateway_core.exhaustion import end_now, is_of_exhaustion

log = structlog.get_logger()

Part = Callable[[], Awaitable[object]]
"""Runs until its peer goes away, then raises `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How a part failed.

    Attributes:
        why: The words of its last failure.
        tries: How often it failed in a row.
        at: When it last failed, in seconds of `gateway_core.clock.monotonic`.
    """

    why: str
    tries: int
    at: float


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between tries, in seconds: anything up to a ceiling that doubles.

    Attributes:
        first: Ceiling of the first wait.
        longest: Ceiling of every wait.
        steady: A run of so long was well, and the next wait starts again at ``first``. Longer than
            any peer is given to answer: who waits for one that never does is not well.
    """

    first: float = 0.5
    longest: float = 60.0
    steady: float = 60.0


async def supervise(
    name: str,
    run: Part,
    patience: Patience = Patience(),
    chance: random.Random | None = None,
    failures: dict[str, Failure] | None = None,
) -> NoReturn:
    """Call ``run`` again after every `Unavailable`, waiting longer each time.

    Waits are drawn evenly from nothing to the ceiling, so that a thousand parts which lost the
    same peer do not come back in the same instant. Any other error passes through: it is a bug,
    the TaskGroup stops the program, and systemd starts it afresh. When memory ran out the program
    ends at once. A ``run`` that returns is
    called again after ``patience.first``.

    Args:
        name: Of the part, for the log: one line when it fails, one when it has run for
            ``patience.steady`` again.
        run: The part.
        patience: The waits.
        chance: Where the waits are drawn from.
        failures: Holds, under the part's name, how it failed, until it has run for
            ``patience.steady`` again.
    """
    dice = chance or random.Random()  # noqa: S311  # jitter, not a secret
    outage = _Outage(name, {} if failures is None else failures)
    ceiling = patience.first
    while True:
        began = monotonic()
        steady = asyncio.get_running_loop().call_later(patience.steady, outage.end)
        try:
            await run()
            wait = patience.first
        except Unavailable as exc:
            if monotonic() - began > patience.steady:
                ceiling = patience.first
            outage.enter(str(exc))
            wait = dice.uniform(0.0, ceiling)
            ceiling = min(2 * ceiling, patience.longest)
        except asyncio.CancelledError:
            raise
        except BaseException as exc:
            if is_of_exhaustion(exc):
                end_now()  # an orderly end would need memory
            raise
        finally:
            steady.cancel()
        await asyncio.sleep(wait)


class _Outage:
    """One line when a part fails, one when it has run for long again; in between it is silent."""

    def __init__(self, name: str, failures: dict[str, Failure]) -> None:
        self._name = name
        self._failures = failures
        self._tries = 0
        self._since = 0.0

    def enter(self, why: str) -> None:
        """The part failed."""
        self._tries += 1
        now = monotonic()
        self._failures[self._name] = Failure(why, self._tries, now)
        if self._tries == 1:
            self._since = now
            log.warning("part_interrupted", part=self._name, why=why)
        else:
            log.debug("part_retried", part=self._name, tries=self._tries, why=why)

    def end(self) -> None:
        """The part has run for long."""
        if self._tries:
            down_s = round(monotonic() - self._since, 3)
            log.info("part_recovered", part=self._name, tries=self._tries, after_s=down_s)
            self._tries = 0
            del self._failures[self._name]
