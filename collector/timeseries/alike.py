"""Readings that look alike, as columns: a batch is judged a column at a time, not a cell. Pure.

Nearly every reading of a batch has the same fields as thousands of others and is plainly good. What
is judged here is judged for all of them at once; whatever is not plainly good goes the long way,
reading by reading, which says why (decision 18).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar

from collector.timeseries.series import (
    INT_MAX,
    INT_MIN,
    OWN_TAGS,
    TIME_MAX,
    TIME_MIN,
    Unwritable,
    check_string,
)
from gateway_core.model import Reading, Record

T = TypeVar("T")

FEWEST = 8
"""Of fewer readings than this columns cost more than they save."""
_SERIES = 100_000
"""Series whose look is remembered; about 500 bytes each. At the limit all are forgotten."""
_TAGS = object()
_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What all readings have in common that look alike.

    Attributes:
        measurement: Of all of them.
        names: Their fields, in the order in which each has them.
        plain: Whether no field is called like a tag.
    """

    measurement: str
    names: tuple[str, ...]
    plain: bool


@dataclass(slots=True)
class Alike(Generic[T]):
    """Readings of one measurement with the same fields and the same tag keys, in their order.

    Attributes:
        look: What they have in common.
        places: Where each stands in the batch.
        readings: As many.
        series: What stands for the series of each.
    """

    look: Look
    places: Sequence[int]
    readings: Sequence[Reading]
    series: Sequence[T]

    def times(self) -> list[int] | None:
        """Return the instants; None if a store cannot hold one of them."""
        times = [each.time for each in self.readings]
        return times if min(times) >= TIME_MIN and max(times) <= TIME_MAX else None

    def columns(self) -> list[tuple[Sequence[Any], type]] | None:
        """Return the cells of each field and their one type; None unless all are plainly good."""
        out: list[tuple[Sequence[Any], type]] = []
        for cells in zip(*[each.fields.values() for each in self.readings], strict=True):
            kinds = set(map(type, cells))
            kind = kinds.pop()
            if kinds or not _good(cells, kind):
                return None
            out.append((cells, kind))
        return out


class Looks(Generic[T]):
    """Knows what the readings of a series look like: one look-up for each reading parts a batch.

    Args:
        place: Returns what stands for a reading's series; raises `Unwritable` where none can.
    """

    def __init__(self, place: Callable[[Reading], T]) -> None:
        self._place = place
        self._known: dict[_Key, tuple[Look, T]] = {}
        self._looks: dict[_Key, Look] = {}

    def forget(self) -> None:
        """Ask for every series again."""
        self._known.clear()
        self._looks.clear()

    def part(self, records: Sequence[Record]) -> tuple[list[Alike[T]], list[int]]:
        """Part a batch.

        Returns:
            Readings by what they look like, and the places of all other records.
        """
        readings: Sequence[Any] = records
        places: Sequence[int] = range(len(records))
        others: list[int] = []
        if set(map(type, records)) != {Reading}:
            places = [at for at, each in enumerate(records) if type(each) is Reading]
            others = [at for at, each in enumerate(records) if type(each) is not Reading]
            readings = [records[at] for at in places]
        known = self._known
        found = [
            known.get(
                _tagged(r) if r.tags else (r.measurement, r.edge, r.device, r.profile, *r.fields)
            )
            for r in readings
        ]
        if None in found:
            found = [each or self._learn(r) for each, r in zip(found, readings, strict=True)]
        looks = {each and each[0] for each in found}
        if len(looks) == 1 and len(found) >= FEWEST and (look := looks.pop()) and look.plain:
            return [Alike(look, places, readings, [each[1] for each in found if each])], others
        return self._several(places, readings, found, others), sorted(others)

    def _several(
        self,
        places: Sequence[int],
        readings: Sequence[Reading],
        found: Sequence[tuple[Look, T] | None],
        others: list[int],
    ) -> list[Alike[T]]:
        groups: dict[Look, tuple[list[int], list[Reading], list[T]]] = {}
        for place, reading, each in zip(places, readings, found, strict=True):
            if each is None:
                others.append(place)
                continue
            group = groups.get(each[0])
            if group is None:
                group = groups[each[0]] = ([], [], [])
            group[0].append(place)
            group[1].append(reading)
            group[2].append(each[1])
        alike = []
        for look, group in groups.items():
            if look.plain and len(group[0]) >= FEWEST:
                alike.append(Alike(look, *group))
            else:
                others += group[0]
        return alike

    def _learn(self, reading: Reading) -> tuple[Look, T] | None:
        """Return what a series looks like, and what stands for it; None where nothing can."""
        try:
            series = self._place(reading)
        except Unwritable:
            return None
        names, tags = tuple(reading.fields), reading.tags
        key: _Key = (reading.measurement, names, *tags)
        look = self._looks.get(key)
        if look is None:
            apart = OWN_TAGS.isdisjoint(names) and tags.keys().isdisjoint(names)
            look = self._looks[key] = Look(reading.measurement, names, bool(names) and apart)
        if len(self._known) >= _SERIES:
            self.forget()
        spoken = reading.measurement, reading.edge, reading.device, reading.profile, *names
        self._known[_tagged(reading) if tags else spoken] = look, series
        return look, series


def _tagged(reading: Reading) -> _Key:
    pairs = [text for pair in reading.tags.items() for text in pair]
    names = reading.measurement, reading.edge, reading.device, reading.profile
    return (*names, *reading.fields, _TAGS, *pairs)


def _good(cells: Sequence[Any], kind: type) -> bool:
    """Return whether every cell is a value that a store can hold; in doubt False."""
    if kind is float:
        return isfinite(sum(cells))  # a sum beyond all floats is in doubt
    if kind is int:
        return bool(min(cells) >= INT_MIN and max(cells) <= INT_MAX)
    if kind is str:
        try:
            for text in set(cells):
                check_string("", text)
        except Unwritable:
            return False
    return kind is bool or kind is str
