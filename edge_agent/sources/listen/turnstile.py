"""Lets those who wait go on, each at its turn, while the loop runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from edge_agent.sources.listen.turns import Turns

STEP_S = 0.01
"""Seconds between looks at whose turn it is."""

T = TypeVar("T")


class Turnstile(Generic[T]):
    """A line that moves at a rate; addresses take turns, see `turns`.

    Args:
        rate: Who goes on in a second, at most.
        begin: Is called with each whose turn has come.
        take: Takes a place for one of a party; False while it has none to give.
    """

    def __init__(
        self,
        rate: float,
        begin: Callable[[T], None],
        take: Callable[[str], bool] = lambda _party: True,
    ) -> None:
        self._rate = rate
        self._begin = begin
        self._take = take
        self._turns: Turns[T] | None = None  # there is no clock before the loop runs
        self._looking = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._turns) if self._turns is not None else 0

    def enter(self, address: str, who: T) -> bool:
        """Let somebody begin at once, or at its turn; return whether it was at once."""
        loop = asyncio.get_running_loop()
        if self._turns is None:
            self._turns = Turns(self._rate, loop.time(), self._take)
        at_once = self._turns.enter(address, who, loop.time())
        if at_once:
            self._begin(who)
        else:
            self._look_later()
        return at_once

    def leave(self, address: str, who: T) -> None:
        """Wait no more; nothing where it did not wait."""
        if self._turns is not None:
            self._turns.leave(address, who)

    def look(self) -> None:
        """Let those begin whose turn has come, because a place may be free now."""
        if self._turns is not None:
            for who in self._turns.due(asyncio.get_running_loop().time()):
                self._begin(who)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(STEP_S, self._look)

    def _look(self) -> None:
        self._looking = False
        self.look()
        if len(self):
            self._look_later()
