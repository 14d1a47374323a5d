"""A grant: what may leave of one field. Pure; grants only ever combine towards less.

``none < aggregate < raw``. Two aggregates combine to the longer window, the functions that both
name and the fewer decimals, so the result never tells more than either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Function = Literal["mean", "min", "max", "count", "sum", "last", "first", "p95", "delta"]
"""What an aggregate may tell about its window."""

FUNCTIONS: tuple[Function, ...] = get_args(Function)
"""Every aggregate function, in the order in which its fields are written."""

_UNITS = ((86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "m"))


@dataclass(frozen=True, slots=True)
class Grant:
    """What may leave of one field.

    Attributes:
        raw: Each value may leave.
        every_ns: Otherwise: the window in nanoseconds; 0 when nothing may leave.
        fns: The functions of the window that may leave; empty unless there is a window.
        decimals: Round to so many decimals before leaving; None for all of them.
    """

    raw: bool = False
    every_ns: int = 0
    fns: frozenset[Function] = frozenset()
    decimals: int | None = None

    @property
    def rank(self) -> int:
        """0 nothing, 1 aggregates, 2 each value."""
        return 2 if self.raw else 1 if self.every_ns and self.fns else 0

    def __str__(self) -> str:
        """Return the grant for people, as ``mean,max every 5m to 1 decimals``."""
        told = "" if self.decimals is None else f" to {self.decimals} decimals"
        if self.raw:
            return f"raw{told}"
        if not self.rank:
            return "none"
        names = ",".join(name for name in FUNCTIONS if name in self.fns)
        return f"{names} every {every_label(self.every_ns)}{told}"


NONE = Grant()
"""Nothing leaves; what holds for every field that nobody named."""

RAW = Grant(raw=True)
"""Each value leaves as it came."""


def tightest(one: Grant, other: Grant) -> Grant:
    """Return the most that both grants allow."""
    if not one.rank or not other.rank:
        return NONE
    decimals = _fewer(one.decimals, other.decimals)
    if one.raw and other.raw:
        return Grant(raw=True, decimals=decimals)
    if one.raw or other.raw:
        part = other if one.raw else one
        return Grant(every_ns=part.every_ns, fns=part.fns, decimals=decimals)
    fns = one.fns & other.fns
    if not fns:
        return NONE
    return Grant(every_ns=max(one.every_ns, other.every_ns), fns=fns, decimals=decimals)


def is_looser(wish: Grant, limit: Grant) -> bool:
    """Tell whether ``wish`` would let out anything that ``limit`` keeps in."""
    return tightest(wish, limit) != (wish if wish.rank else NONE)


def every_label(every_ns: int) -> str:
    """Return a window as it stands in an aggregate's measurement, as ``5m`` or ``90s``."""
    for size, unit in _UNITS:
        if every_ns % size == 0:
            return f"{every_ns // size}{unit}"
    if every_ns % 1_000_000_000 == 0:
        return f"{every_ns // 1_000_000_000}s"
    return f"{every_ns // 1_000_000}ms"


def aggregate_names(field: str, fns: Iterable[Function]) -> list[str]:
    """Return the field names that a field's aggregate carries, as ``temperature_mean``."""
    wanted = set(fns)
    return [f"{field}_{name}" for name in FUNCTIONS if name in wanted]


def _fewer(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
