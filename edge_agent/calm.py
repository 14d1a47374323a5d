"""Calm: what nearly every reading is, one after which no rule holds and none held. Pure.

For such a reading it is enough to see that this stays so; `edge_agent.rules` keeps the reading
itself as all that is remembered of the device, and makes an `AlarmMemory` of it when there is
more to remember. Looking at one costs a third of a step of `AlarmRules`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from device_profiles.alarms import AlarmMemory
from device_profiles.conditions import Condition, Limit
from device_profiles.profile import Profile
from gateway_core.model import Value

_EXACT = 2**53
"""Up to here every whole number is a float."""

Known = tuple[int, *tuple[Value | None, ...]]
"""The last reading of a calm device: its time in nanoseconds, and what it says of each of the
rules' inputs, None for nothing. A dict of its fields would be most of what a device takes."""


@dataclass(frozen=True, slots=True)
class Calm:
    """The rules of one profile, as far as they say whether a device stays calm.

    Attributes:
        inputs: Fields that the rules look at, in the order of `Known`.
        bounds: Between which values those that compare one number with a limit do not begin to
            hold: place in `Known`, least, most.
        others: When the others do.
        beside: Places of the fields that have no bounds.
    """

    inputs: tuple[str, ...]
    bounds: tuple[tuple[int, float, float], ...]
    others: tuple[Condition, ...]
    beside: tuple[int, ...]

    @classmethod
    def of(cls, profile: Profile) -> Self | None:
        """Return the rules of a profile; None where one looks further back than one reading."""
        rules = profile.alarms.values()
        if any(rule.rates for rule in rules):
            return None
        inputs = frozenset[str]().union(*(rule.inputs for rule in rules))
        begins = [rule.raise_ for rule in rules]
        bounds: dict[str, tuple[float, float]] = {}
        others: list[Condition] = []
        for one in begins:
            found = _bounds(one)
            if isinstance(one, Limit) and found is not None:
                least, most = bounds.get(one.name, (-math.inf, math.inf))
                bounds[one.name] = max(least, found[0]), min(most, found[1])
            else:
                others.append(one)
        names = tuple(sorted(inputs))
        at = {name: place for place, name in enumerate(names, 1)}
        placed = tuple((at[name], least, most) for name, (least, most) in bounds.items())
        beside = tuple(at[name] for name in names if name not in bounds)
        return cls(names, placed, tuple(others), beside)

    def after(self, time: int, fields: Mapping[str, Value], known: Known | None) -> Known | None:
        """Return what is to be remembered of a calm device after a reading; None for more.

        It stays calm where the reading replaces all that is known of it, and no rule holds.

        Args:
            time: Of the reading.
            fields: Likewise.
            known: The one before; None where nothing is known of the device.
        """
        said: tuple[Any, ...] = (time, *map(fields.get, self.inputs))
        whole = True
        for place, least, most in self.bounds:
            value = said[place]
            if value is None:
                whole = False
            elif not least <= value <= most:
                return None
        for place in self.beside:
            whole = whole and said[place] is not None
        if not whole and known is not None:
            for new, old in zip(said, known, strict=True):
                if new is None and old is not None:
                    return None
        for begins in self.others:
            if begins(fields):
                return None
        return said

    def known(self, time: int, fields: Mapping[str, Value]) -> Known:
        """Return what is to be remembered of a reading after which a device is calm."""
        return (time, *map(fields.get, self.inputs))

    def remember(self, known: Known) -> AlarmMemory:
        """Return the memory of a device that was calm after this reading."""
        time, *said = known
        pairs = zip(self.inputs, said, strict=True)
        values = {name: value for name, value in pairs if value is not None}
        return AlarmMemory(values, dict.fromkeys(values, time), {})

    def forget(self, memory: AlarmMemory, time: int, fields: Mapping[str, Value]) -> bool:
        """Whether the reading just taken in says all that is in the memory of a device."""
        return not memory.states and all(
            at == time and name in fields for name, at in memory.times.items()
        )


def _bounds(condition: Condition) -> tuple[float, float] | None:
    """Return between which values a condition surely does not hold; None where that is not known.

    A value beyond them need not make it hold: the rules themselves are asked then.
    """
    if not isinstance(condition, Limit) or type(condition.limit) not in (int, float):
        return None
    limit = condition.limit
    if not abs(limit) < _EXACT:
        return None
    if condition.compare is operator.gt:
        return -math.inf, limit
    if condition.compare is operator.ge:
        return -math.inf, math.nextafter(limit, -math.inf)
    if condition.compare is operator.lt:
        return limit, math.inf
    if condition.compare is operator.le:
        return math.nextafter(limit, math.inf), math.inf
    return None
