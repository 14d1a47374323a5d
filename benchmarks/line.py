"""One line of the table of costs, and how runs of it become a median."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured figure.

    Attributes:
        step: What was measured.
        value: What was found.
        unit: ``us``, ``/s``, ``ms``, ``s``, ``MB`` or ``bytes``.
        aim: What it has to reach; None where it is only shown.
        beside: The neighbour that did the same in the same run; empty for none.
        theirs: The neighbour's figure, in the same unit.
    """

    step: str
    value: float
    unit: str
    aim: float | None = None
    beside: str = ""
    theirs: float | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the aim is reached; None where there is none."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.unit == "/s" else self.value <= self.aim

    @property
    def ratio(self) -> float | None:
        """How many times better than the neighbour; below 1 it is worse."""
        if not self.theirs:  # 0: less than could be measured
            return None
        return self.value / self.theirs if self.unit == "/s" else self.theirs / self.value


Measure = Callable[[], Sequence[Figure]]


def median(runs: Sequence[Sequence[Figure]]) -> list[tuple[Figure, float, float]]:
    """Return each figure's median, least and greatest value; the neighbour's median beside it."""
    out = []
    for figures in zip(*runs, strict=True):
        values = [each.value for each in figures]
        theirs = [each.theirs for each in figures if each.theirs is not None]
        middle = figures[0]._replace(
            value=statistics.median(values), theirs=statistics.median(theirs) if theirs else None
        )
        out.append((middle, min(values), max(values)))
    return out


def shown(value: float | None, unit: str) -> str:
    """Return a figure for people; a dash where there is none."""
    if value is None:
        return "-"
    text = f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    return f"{text}{unit}" if unit == "/s" else f"{text} {unit}"
