"""How far one consumer has come. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway_core.intervals import Intervals


@dataclass(slots=True)
class Position:
    """One consumer's cursor.

    Attributes:
        settled: Everything up to it is settled.
        ahead: What is settled beyond it; never touches it, for then the cursor would have moved.
    """

    settled: int
    ahead: Intervals

    def settle(self, first: int, last: int) -> int:
        """Settle ``first`` to ``last``; return how many of them were not yet."""
        first = max(first, self.settled + 1)
        if first == self.settled + 1 and not self.ahead:  # in order: the common case
            new = max(0, last - self.settled)
            self.settled = max(last, self.settled)
            return new
        new = self.ahead.add(first, last)
        head = next(iter(self.ahead), None)
        if head and head[0] == self.settled + 1:
            self.settled = head[1]
            self.ahead.drop_below(self.settled + 1)
        return new

    def unsettled(self, first: int, last: int) -> int:
        """Return how many of ``first`` to ``last`` are still to be settled."""
        first = max(first, self.settled + 1)
        return max(0, last - first + 1 - self.ahead.overlap(first, last)) if last >= first else 0

    def next_run(self, head: int, above: int = 0) -> tuple[int, int] | None:
        """Return the first stretch above ``above``, up to ``head``, that is still to be settled."""
        first = max(self.settled, above) + 1
        for low, high in self.ahead:
            if high < first:
                continue
            if low > first:
                return (first, min(low - 1, head)) if first <= head else None
            first = high + 1
        return (first, head) if first <= head else None

    def runs(self, head: int) -> list[tuple[int, int]]:
        """Return every stretch up to ``head`` that is still to be settled, ascending."""
        return self.ahead.missing(self.settled + 1, head)

    @property
    def front(self) -> int:
        """The highest number that is settled: where the consumer is while a backlog waits."""
        front = self.settled
        for _, front in self.ahead:  # noqa: B007 - the last one is wanted
            pass
        return front

    def copy(self) -> Position:
        """Return a position that changes on its own."""
        return Position(self.settled, Intervals(self.ahead))
