"""Egress: what of a profile's fields may leave the site, and in which form. The default is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from device_profiles.durations import duration_ns
from gateway_core.model import Value

Kind = Literal["none", "raw", "aggregate"]
DataClass = Literal["public", "operational", "personal", "restricted"]
AlarmText = Literal["full", "code-only", "none"]

NUMERIC_ONLY = frozenset({"mean", "min", "max", "sum", "p95", "delta"})
"""Aggregation functions that need numbers."""


@dataclass(frozen=True, slots=True)
class Coarsen:
    """Makes a value less exact before it leaves.

    Attributes:
        decimals: Round to so many decimals (negative: tens, hundreds), or None.
        step: Round to the nearest multiple, or None.
    """

    decimals: int | None = None
    step: float | None = None

    def __call__(self, value: Value) -> Value:
        """Return the coarser value, of the same type; text and bools as they are."""
        if isinstance(value, bool | str):
            return value
        found: int | float = value
        if self.step is not None:
            found = math.floor(value / self.step + 0.5) * self.step
        if self.decimals is not None:
            found = round(found, self.decimals)
        return type(value)(found)


@dataclass(frozen=True, slots=True)
class Release:
    """How one field may leave.

    Attributes:
        kind: ``none``, ``raw`` (each value) or ``aggregate``.
        every_ns: Length of an aggregate's window; 0 for the others.
        every: The same as written, for example ``5m``: part of the aggregate's measurement name.
        fns: Aggregation functions.
        coarsen: Applied to what leaves, or None.
    """

    kind: Kind = "none"
    every_ns: int = 0
    every: str = ""
    fns: tuple[str, ...] = ()
    coarsen: Coarsen | None = None


WITHHELD = Release()
"""Nothing leaves."""


@dataclass(frozen=True, slots=True)
class Egress:
    """What of one profile may leave.

    Attributes:
        data_class: Class of the data.
        rules: Every field of the profile to its rule.
        alarms: Whether alarms leave with text, as code only, or not at all.
    """

    data_class: DataClass
    rules: Mapping[str, Release]
    alarms: AlarmText


def compile_release(spec: str | Mapping[str, Any]) -> Release:
    """Compile one rule as the schema let it through: ``none``, ``raw`` or ``{every, fns, …}``."""
    if spec == "none":
        return WITHHELD
    if isinstance(spec, str):
        return Release("raw")
    coarsen = None
    if "coarsen" in spec:
        coarsen = Coarsen(spec["coarsen"].get("decimals"), spec["coarsen"].get("step"))
    if "every" not in spec:
        return Release("raw", coarsen=coarsen)
    fns = tuple(spec.get("fns", ()))
    return Release("aggregate", duration_ns(spec["every"]), spec["every"], fns, coarsen)


def compile_egress(spec: Mapping[str, Any], fields: Mapping[str, Any]) -> Egress:
    """Compile the ``egress`` of a profile.

    Args:
        spec: As written; without ``alarms`` no alarm leaves.
        fields: The profile's measurements.
    """
    default = compile_release(spec["default"])
    rules = dict.fromkeys(fields, default)
    for name, rule in spec.get("allow", {}).items():
        if name in rules:
            rules[name] = compile_release(rule)
    return Egress(spec["class"], rules, spec.get("alarms", "none"))
