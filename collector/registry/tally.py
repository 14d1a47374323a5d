"""What a batch adds to the counts and the times of feeds by area, owner and group. Pure.

Every feed is in three cells, one for each dimension. A feed's time goes to the cells that it is
in when the verdict that ends it comes, so that a feed that moves takes nothing with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from collector.registry.condition import spans

Row = dict[str, Any]
Cell = tuple[str, str, str, str]
"""Dimension (``area``, ``owner``, ``group``), key, edge, condition."""

DIMENSIONS = ("area", "owner", "group")
NS_PER_MS = 1_000_000


@dataclass(slots=True)
class Tally:
    """Sums of one batch.

    Attributes:
        shift_ms: How far the city's clocks are ahead of UTC.
        counts: Cell to how many feeds more it has.
        times: (day, cell) to milliseconds more.
    """

    shift_ms: int = 0
    counts: Counter[Cell] = field(default_factory=Counter)
    times: Counter[tuple[int, Cell]] = field(default_factory=Counter)

    def settle(self, row: Row, until: int) -> None:
        """Enter a feed's time up to ``until`` (nanoseconds), as what it was until now."""
        if row["counted"] is not None:
            start, end = row["counted"] // NS_PER_MS, until // NS_PER_MS
            for day, held, ms in spans(start, end, row["condition"], self.shift_ms):
                for cell in cells(row, held):
                    self.times[day, cell] += ms
        row["counted"] = max(until, row["counted"] or until)

    def compare(self, before: Mapping[Any, tuple[Cell, ...]], after: Mapping[Any, Row]) -> None:
        """Count the feeds that are in other cells after than before."""
        for key, row in after.items():
            new, old = tuple(cells(row, row["condition"])), before.get(key, ())
            if new != old:
                self.counts.subtract(old)
                self.counts.update(new)


def cells(row: Row, held: str) -> Iterator[Cell]:
    """Yield the cells of a feed in a condition; none for one that was never tallied."""
    if held:
        for by in DIMENSIONS:
            yield by, row[by], row["edge"], held
