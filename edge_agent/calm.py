"""Calm: what nearly every reading is, one after which no rule holds and none held. Pure.

For such a reading it is enough to see that this stays so; `edge_agent.rules` keeps the reading
itself as all that is remembered of the device, and makes an `AlarmMemory` of it when there is
more to remember. Looking at one costs a third of a step of `AlarmRules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from device_profiles.alarms import AlarmMemory
from device_profiles.conditions import Condition, Limit
from device_profiles.profile import Profile
from gateway_core.model import Value

Known = tuple[int, *tuple[Value | None, ...]]
"""The last reading of a calm device: its time in nanoseconds, and what it says of each of the
rules' inputs, None for nothing. A dict of its fields would be most of what a device takes."""


@dataclass(frozen=True, slots=True)
class Calm:
    """The rules of one profile, as far as they say whether a device stays calm.

    Attributes:
        inputs: Fields that the rules look at, in the order of `Known`.
        limits: When those that compare one field with a limit begin to hold: field, how, limit.
        others: When the others do.
        beside: The fields that no limit looks at.
    """

    inputs: tuple[str, ...]
    limits: tuple[tuple[str, Callable[[Value, Value], bool], Value], ...]
    others: tuple[Condition, ...]
    beside: tuple[str, ...]

    @classmethod
    def of(cls, profile: Profile) -> Self | None:
        """Return the rules of a profile; None where one looks further back than one reading."""
        rules = profile.alarms.values()
        if any(rule.rates for rule in rules):
            return None
        inputs = frozenset[str]().union(*(rule.inputs for rule in rules))
        begins = [rule.raise_ for rule in rules]
        limits = [(one.name, one.compare, one.limit) for one in begins if isinstance(one, Limit)]
        others = tuple(one for one in begins if not isinstance(one, Limit))
        beside = inputs.difference(name for name, _, _ in limits)
        return cls(tuple(sorted(inputs)), tuple(limits), others, tuple(beside))

    def after(self, time: int, fields: Mapping[str, Value], known: Known | None) -> Known | None:
        """Return what is to be remembered of a calm device after a reading; None for more.

        It stays calm where the reading replaces all that is known of it, and no rule holds.

        Args:
            time: Of the reading.
            fields: Likewise.
            known: The one before; None where nothing is known of the device.
        """
        whole = True
        for name, compare, limit in self.limits:
            value = fields.get(name)
            if value is None:
                whole = False
            elif compare(value, limit):
                return None
        for name in self.beside:
            whole = whole and name in fields
        if not whole and known is not None:
            for name, value in zip(self.inputs, known[1:], strict=True):
                if value is not None and name not in fields:
                    return None
        for begins in self.others:
            if begins(fields):
                return None
        return (time, *map(fields.get, self.inputs))

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
