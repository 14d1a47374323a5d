"""A batch's readings by device, so that they are judged and folded together. Pure.

A device that has a backlog speaks many times in a batch, and the registry keeps what it said last.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import hypot
from typing import Any

from collector.registry.judge import TEXT_CHARS, judge, of_device, of_kind
from gateway_core.model import Alarm, Listed, Reading, Record, Rejection

_SURE = 2.0**62
"""Numbers below it fit into 64 bits with a sign however they were rounded; in doubt each is judged
alone."""


@dataclass(slots=True)
class Bundle:
    """Readings of one device, in their order; nothing else is said of it between them.

    Attributes:
        edge: Whose device.
        device: Its id.
        seqs: Of the readings.
        readings: At least one.
    """

    edge: str
    device: str
    seqs: list[int] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def add(self, seq: int, reading: Reading) -> None:
        """Put one more to them."""
        self.seqs.append(seq)
        self.readings.append(reading)


Item = Bundle | tuple[int, Record]
"""What is folded as one: readings of a device, or another record with its sequence number."""


def bundled(records: Iterable[tuple[int, Record]]) -> list[Item]:
    """Bundle numbered records, in the order of what each device and every other record says."""
    items: list[Item] = []
    open_: dict[tuple[str, str], Bundle] = {}
    for seq, record in records:
        if type(record) is Reading:
            key = record.edge, record.device
            found = open_.get(key)
            if found is None:
                found = open_[key] = Bundle(*key)
                items.append(found)
            found.seqs.append(seq)
            found.readings.append(record)
            continue
        items.append((seq, record))
        if type(record) is Alarm:
            open_.pop((record.edge, record.device), None)
        elif type(record) is Listed:
            open_.pop((record.edge, record.id), None)
    return items


def judged(first: int, records: Sequence[Record]) -> tuple[list[Item], list[Rejection]]:
    """Bundle what a registry can hold of a batch, and say why it can never hold the rest.

    Args:
        first: Sequence number of the first record.
        records: All of them.
    """
    fit: list[Item] = []
    rejected: list[Rejection] = []
    sound = _sound([each for each in records if type(each) is Reading])
    for item in bundled(enumerate(records, first)):
        if isinstance(item, Bundle):
            named = of_device(item.edge, item.device) is None
            good = item if named and (sound or _sound(item.readings)) else _part(item, rejected)
            if good.readings:
                fit.append(good)
            continue
        seq, record = item
        fault = judge(record)
        if fault is None:
            fit.append(item)
        else:
            rejected.append(Rejection(seq, *fault))
    return fit, rejected


def halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]] | None:
    """Part items in two; None where it is one record."""
    if len(items) > 1:
        middle = len(items) // 2
        return items[:middle], items[middle:]
    item = items[0]
    if not isinstance(item, Bundle) or len(item.seqs) == 1:
        return None
    middle = len(item.seqs) // 2
    first, second = slice(0, middle), slice(middle, None)
    return (
        [Bundle(item.edge, item.device, item.seqs[first], item.readings[first])],
        [Bundle(item.edge, item.device, item.seqs[second], item.readings[second])],
    )


def first_of(item: Item) -> int:
    """Return the sequence number of what an item begins with."""
    return item.seqs[0] if isinstance(item, Bundle) else item[0]


def _part(bundle: Bundle, rejected: list[Rejection]) -> Bundle:
    """Return what is good of readings, judged one by one."""
    good = Bundle(bundle.edge, bundle.device)
    for seq, reading in zip(bundle.seqs, bundle.readings, strict=True):
        fault = judge(reading)
        if fault is None:
            good.add(seq, reading)
        else:
            rejected.append(Rejection(seq, *fault))
    return good


def _sound(readings: Sequence[Reading]) -> bool:
    """Return whether everything but the device is good in all readings; in doubt False."""
    names = {each.profile for each in readings} | {each.measurement for each in readings}
    if any(map(of_kind, names)):
        return False
    values: list[Any] = [*chain.from_iterable([each.fields.values() for each in readings])]
    if str in set(map(type, values)):
        texts = [each for each in values if type(each) is str]
        if max(map(len, texts)) > TEXT_CHARS or any("\0" in each for each in texts):
            return False
        values = [each for each in values if type(each) is not str]
    try:
        for whole in [each.time for each in readings], [each.received for each in readings]:
            array("q", whole)  # takes 64 bits with a sign, and costs less than to compare
        # one call for all: no number is larger than their norm, and one that is not finite shows
        return hypot(*values) < _SURE
    except OverflowError:
        return False
