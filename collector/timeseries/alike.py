"""Readings that look alike, as columns: a batch is judged a column at a time, not a cell. Pure.

Nearly every reading of a batch has the same fields as thousands of others and is plainly good. What
is judged here is judged for all of them at once; whatever is not plainly good goes the long way,
reading by reading, which says why (decision 18).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

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

FEWEST = 8
"""Of fewer readings than this columns cost more than they save."""


@dataclass(slots=True)
class Alike:
    """Readings of one measurement with the same fields and the same tag keys, in their order.

    Attributes:
        measurement: Of all of them.
        names: Their fields, in the order in which each has them.
        places: Where each stands in the batch.
        readings: As many.
    """

    measurement: str
    names: tuple[str, ...]
    places: list[int] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

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


def part(records: Sequence[Record]) -> tuple[list[Alike], list[int]]:
    """Part a batch.

    Returns:
        Readings by what they look like, and the places of all other records.
    """
    found: dict[tuple[object, ...], Alike] = {}
    others: list[int] = []
    for place, record in enumerate(records):
        if type(record) is not Reading:
            others.append(place)
            continue
        look = (record.measurement, *record.fields)
        tags = record.tags
        group = found.get((look, *tags) if tags else look)
        if group is None:
            key = (look, *tags) if tags else look
            group = found[key] = Alike(record.measurement, look[1:])
        group.places.append(place)
        group.readings.append(record)
    alike = []
    for group in found.values():
        if len(group.places) >= FEWEST and _plain(group):
            alike.append(group)
        else:
            others += group.places
    others.sort()
    return alike, others


def _plain(group: Alike) -> bool:
    """Return whether no field is called like a tag."""
    names, tags = group.names, group.readings[0].tags
    return bool(names) and OWN_TAGS.isdisjoint(names) and tags.keys().isdisjoint(names)


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
