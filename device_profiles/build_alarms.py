"""Compile ``alarms`` of a profile; enter every mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.alarms import RATE, AlarmRule
from device_profiles.build_measures import expression
from device_profiles.cel import CelType, Expression
from device_profiles.conditions import Condition, compile_condition
from device_profiles.durations import duration_ns
from device_profiles.faults import Faults, Place

_TYPES: dict[str, CelType] = {
    "float": "float",
    "int": "int",
    "bool": "bool",
    "string": "string",
    "enum": "string",
}


def build_alarms(data: Mapping[str, Any], faults: Faults) -> dict[str, AlarmRule]:
    """Compile all rules of a profile that the schema let through."""
    variables = alarm_variables(data["measurements"])
    rules = {}
    for name, spec in data.get("alarms", {}).items():
        place: Place = ("alarms", name)
        before = len(faults.found)
        raise_ = _condition(spec, "raise", variables, place, faults)
        clear = _condition(spec, "clear", variables, place, faults)
        verify = _condition(spec.get("event", {}), "verify", variables, (*place, "event"), faults)
        if raise_ is None or len(faults.found) > before:
            continue
        names = raise_.names | (clear.names if clear else frozenset())
        if not raise_.names:
            faults.add((*place, "raise"), "names no measurement, so it would never be looked at")
            continue
        fields = data["measurements"]
        inputs = frozenset(n if n in fields else n.removeprefix(RATE) for n in names)
        rates = frozenset(n.removeprefix(RATE) for n in names if n not in fields)
        rules[name] = AlarmRule(
            name,
            spec["severity"],
            compile_condition(raise_),
            _closure(clear),
            duration_ns(spec.get("for", "0s")),
            spec.get("latch", False),
            inputs,
            rates,
            in_languages(spec.get("text", {})),
            spec.get("event", {}),
            _closure(verify),
        )
    return rules


def alarm_variables(measurements: Mapping[str, Mapping[str, Any]]) -> dict[str, CelType]:
    """Return what a condition may name: fields, and ``rate_<field>`` of those that are numbers."""
    variables = {name: _TYPES[spec["type"]] for name, spec in measurements.items()}
    for name, spec in measurements.items():
        if spec["type"] in ("float", "int"):
            variables.setdefault(RATE + name, "float")
    return variables


def in_languages(text: str | Mapping[str, str]) -> dict[str, str]:
    """Return language to text; a plain text is English."""
    return {"en": text} if isinstance(text, str) else dict(text)


def _closure(found: Expression | None) -> Condition | None:
    return None if found is None else compile_condition(found)


def _condition(
    spec: Mapping[str, Any],
    key: str,
    variables: Mapping[str, CelType],
    place: Place,
    faults: Faults,
) -> Expression | None:
    if key not in spec:
        return None
    found = expression(spec[key], variables, (*place, key), faults)
    if found is not None and found.returns != "bool":
        faults.add((*place, key), f"gives {found.returns}, expected bool")
        return None
    return found
