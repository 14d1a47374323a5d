"""What one camera's picture usually is like at an hour of day. Pure.

The last good looks at each hour are kept and nothing else, so that a baseline is bounded (24 hours
of `KEPT` looks), robust (medians of them), and forgets: what was usual a week ago no longer counts.
What is faulty is never learned, and a camera that nobody has seen for `ENOUGH` looks has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from edge_agent.cameras.picture import CELLS
from gateway_core.clock import NS

if TYPE_CHECKING:
    from edge_agent.cameras.picture import Measures

KEPT = 7
"""Looks of one hour of day."""
ENOUGH = 5
"""Looks of an hour and its neighbours together, before anything is said to be unusual."""
_QUICK = 3
"""So many looks of an hour are taken as they come, the rest one a day."""
_A_DAY = 20 * 3600 * NS
HOURS = 24
_NEVER_STILL = 0.35
"""Below this median likeness of its looks a camera has no scene of its own: it is moved about."""


class Sample(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One good look, in 200 bytes; everything as in `Measures` but for what is told here.

    Attributes:
        time: Nanoseconds since 1970.
        sharpness: Binary logarithm.
        focus: Binary logarithm.
    """

    time: int
    sharpness: float
    focus: float
    stripes: float
    chroma: float
    cast_a: float
    cast_b: float
    lights: bytes
    cells: bytes
    edges: bytes


Slot = tuple[Sample, ...]
"""The kept looks of one hour, oldest first."""


class Usual(msgspec.Struct, frozen=True, gc=False):
    """What a camera usually is like at an hour; each value is a median.

    Attributes:
        looks: How many it was learned from.
        sharpness: Binary logarithm.
        focus: Binary logarithm.
        most_stripes: Of all looks.
        least_chroma: Of all looks.
        cast_a: As `Measures`.
        cast_b: As `Measures`.
        cast_spread: Median distance of the looks from that colour.
        lights: As `Measures`.
        cells: As `Measures`.
        edges: As `Measures`.
        likeness: Of the looks to ``edges``.
        still: Whether the looks show one scene at all; a camera on tour has none.
    """

    looks: int
    sharpness: float
    focus: float
    most_stripes: float
    chroma: float
    least_chroma: float
    cast_a: float
    cast_b: float
    cast_spread: float
    lights: bytes
    cells: bytes
    edges: bytes
    likeness: float
    still: bool


def sample(measures: Measures, time: int) -> Sample:
    """Return what is kept of a look."""
    return Sample(
        time=time,
        sharpness=log2(measures.sharpness),
        focus=log2(measures.focus),
        stripes=measures.stripes,
        chroma=measures.chroma,
        cast_a=measures.cast_a,
        cast_b=measures.cast_b,
        lights=measures.lights,
        cells=measures.cells,
        edges=measures.edges,
    )


def log2(value: float) -> float:
    """Return a value on a scale on which half and twice are equally far."""
    return math.log2(max(value, 0.01))


def hour_of(time: int) -> int:
    """Return the hour of day, 0-23, in UTC: which hour it is called matters nothing here."""
    return time // (3600 * NS) % HOURS


def admit(slot: Slot, good: Sample) -> Slot:
    """Return the slot with a good look, or as it was when it has had one today."""
    if len(slot) >= _QUICK and abs(good.time - slot[-1].time) < _A_DAY:
        return slot
    return (*slot, good)[-KEPT:]


def usual(slots: Sequence[Slot]) -> Usual | None:
    """Return what is usual, or None while too little was learned.

    Args:
        slots: Of an hour and of its neighbours, for dusk comes earlier every day.
    """
    looks = [each for slot in slots for each in slot]
    if len(looks) < ENOUGH:
        return None
    cast_a, cast_b = _median(each.cast_a for each in looks), _median(each.cast_b for each in looks)
    edges = _medians([each.edges for each in looks], 2 * CELLS)
    likenesses = [likeness(each.edges, edges) for each in looks]
    return Usual(
        looks=len(looks),
        sharpness=_median(each.sharpness for each in looks),
        focus=_median(each.focus for each in looks),
        most_stripes=max(each.stripes for each in looks),
        chroma=_median(each.chroma for each in looks),
        least_chroma=min(each.chroma for each in looks),
        cast_a=cast_a,
        cast_b=cast_b,
        cast_spread=_median(math.hypot(e.cast_a - cast_a, e.cast_b - cast_b) for e in looks),
        lights=_medians([each.lights for each in looks], CELLS),
        cells=_medians([each.cells for each in looks], CELLS),
        edges=edges,
        likeness=_median(likenesses),
        still=_median(likenesses) >= _NEVER_STILL,
    )


def likeness(one: bytes, other: bytes) -> float:
    """Return how alike two layouts are: their correlation, -1 to 1; 1 for two empty ones."""
    mean, middle = sum(one) / len(one), sum(other) / len(other)
    a, b = [each - mean for each in one], [each - middle for each in other]
    size = math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / size if size else 1.0


def _medians(rows: Sequence[bytes], length: int) -> bytes:
    middle = len(rows) // 2
    return bytes(sorted(row[at] for row in rows)[middle] for at in range(length))


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
