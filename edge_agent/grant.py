"""A grant: what may leave of one field. Pure; grants only ever combine towards less.

``none < aggregate < raw``. Two aggregates combine to the longer window, the functions that both
name and the coarser numbers, so the result never tells more than either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from gateway_core.model import Value

Function = Literal["mean", "min", "max", "count", "sum", "last", "first", "p95", "delta"]
"""What an aggregate may tell about its window."""

FUNCTIONS: tuple[Function, ...] = get_args(Function)
"""Every aggregate function, in the order in which its fields are written."""

_UNITS = ((86_400_000_000_000, "d"), (3_600_000_000_000, "h"), (60_000_000_000, "m"))


@dataclass(frozen=True, slots=True)
class Coarseness:
    """How exact a number leaves.

    Attributes:
        decimals: Rounded to so many (negative: tens, hundreds); None for all of them.
        step: Rounded to the nearest multiple first; 0 for as it is.
    """

    decimals: int | None = None
    step: float = 0.0

    def __str__(self) -> str:
        """Return it for people, with a space in front; empty for as it is."""
        step = f" in steps of {self.step:g}" if self.step else ""
        return step if self.decimals is None else f"{step} to {self.decimals} decimals"

    def __call__(self, value: Value) -> Value:
        """Return a number made coarser, of the same type; text, bools and infinities as is."""
        if isinstance(value, bool | str) or not math.isfinite(value):
            return value
        found: int | float = value
        if self.step:
            found = math.floor(value / self.step + 0.5) * self.step
        if self.decimals is not None:
            found = round(found, self.decimals)
        return int(found) if isinstance(value, int) else float(found)

    def coarser(self, other: Coarseness) -> Coarseness:
        """Return what is at least as coarse as both."""
        step = max(self.step, other.step)
        if self.decimals is None or other.decimals is None:
            return Coarseness(other.decimals if self.decimals is None else self.decimals, step)
        return Coarseness(min(self.decimals, other.decimals), step)


EXACT = Coarseness()
"""As it is."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What may leave of one field.

    Attributes:
        raw: Each value may leave.
        every_ns: Otherwise: the window in nanoseconds; 0 when nothing may leave.
        fns: The functions of the window that may leave; empty unless there is a window.
        coarsen: How exact the numbers leave.
        every: The window as somebody wrote it, for example ``5m``.
    """

    raw: bool = False
    every_ns: int = 0
    fns: frozenset[Function] = frozenset()
    coarsen: Coarseness = EXACT
    every: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """The window as it stands in the measurement of an aggregate."""
        return self.every or every_label(self.every_ns)

    @property
    def rank(self) -> int:
        """0 nothing, 1 aggregates, 2 each value."""
        return 2 if self.raw else 1 if self.every_ns and self.fns else 0

    def __str__(self) -> str:
        """Return the grant for people, as ``mean,max every 5m to 1 decimals``."""
        if self.raw:
            return f"raw{self.coarsen}"
        if not self.rank:
            return "none"
        names = ",".join(name for name in FUNCTIONS if name in self.fns)
        return f"{names} every {self.label}{self.coarsen}"


@dataclass(frozen=True, slots=True)
class Thin:
    """How a field is thinned.

    Attributes:
        deadband: A number goes out only if it differs by more; 0 for any change.
        heartbeat_ns: After so long, by the device's time, it goes out in any case.
    """

    deadband: float
    heartbeat_ns: int

    def holds_back(self, known: tuple[int, Value], time: int, value: Value) -> bool:
        """Return whether a value can be left out, given the one that the centre has."""
        then, had = known
        if not 0 <= time - then < self.heartbeat_ns:
            return False
        if isinstance(value, bool | str) or isinstance(had, bool | str):
            return type(value) is type(had) and value == had
        return abs(value - had) <= self.deadband


NONE = Grant()
"""Nothing leaves; what holds for every field that nobody named."""

RAW = Grant(raw=True)
"""Each value leaves as it came."""


def tightest(one: Grant, other: Grant) -> Grant:
    """Return the most that both grants allow."""
    if not one.rank or not other.rank:
        return NONE
    coarsen = one.coarsen.coarser(other.coarsen)
    if one.raw and other.raw:
        return replace(one, coarsen=coarsen)
    if one.raw or other.raw:
        return replace(other if one.raw else one, coarsen=coarsen)
    fns = one.fns & other.fns
    if not fns:
        return NONE
    return replace(max(one, other, key=_window), fns=fns, coarsen=coarsen)


def is_looser(wish: Grant, limit: Grant) -> bool:
    """Tell whether ``wish`` would let out anything that ``limit`` keeps in."""
    return tightest(wish, limit) != (wish if wish.rank else NONE)


def every_label(every_ns: int) -> str:
    """Return a window as people would write it, for example ``5m`` or ``90s``."""
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


def _window(grant: Grant) -> int:
    return grant.every_ns
