"""Measurements: from the decoded values of one message to fields and quality flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_profiles.cel import Absent, Expression, TooWide, Uncomputable
from device_profiles.paths import Getter
from device_profiles.predicates import Predicate
from device_profiles.quality import Finish, Flagged
from device_profiles.senml_units import agrees
from gateway_core.model import Value


@dataclass(frozen=True, slots=True)
class Measure:
    """One measurement, compiled.

    Attributes:
        name: The field's name.
        source: ``from`` as written, else the name: the key in a SenML pack.
        get: Walks the path; unused where there is an ``expr``.
        expr: Computes the value from ``d``, or None.
        when: Whether there is a value at all, or None for always.
        finish: Everything after.
        unit: What a SenML pack's unit must agree with; empty where there is none.
        flag: The flag of a value of the wrong type.
    """

    name: str
    source: str
    get: Getter
    expr: Expression | None
    when: Predicate | None
    finish: Finish
    unit: str
    flag: str

    def take(self, values: Any, *, flat: bool) -> Any:
        """Return the decoded value, or None when this message has none.

        Args:
            values: Decoded values.
            flat: Whether ``values`` are a pack's, whose names are not paths.

        Raises:
            Flagged: The expression has no result for these values.
        """
        if self.when is not None and not self.when({"d": values}):
            return None
        if self.expr is not None:
            return _computed(self.expr, values, self.flag)
        return values.get(self.source) if flat else self.get(values)


def _computed(expr: Expression, values: Any, flag: str) -> Any:
    try:
        return expr({"d": values})
    except Absent:
        return None
    except TooWide as exc:
        raise Flagged("range") from exc
    except Uncomputable as exc:
        raise Flagged(flag) from exc


def read_fields(
    measures: Sequence[Measure], values: Any, units: Mapping[str, str] | None = None
) -> tuple[dict[str, Value], list[str]]:
    """Return the fields that ``values`` hold, and a flag ``<field>:<code>`` for each bad one.

    Args:
        measures: The profile's measurements.
        values: Decoded values of one message, record or pack.
        units: For a SenML pack: name to unit as sent.
    """
    fields: dict[str, Value] = {}
    flags: list[str] = []
    flat = units is not None
    for measure in measures:
        try:
            raw = measure.take(values, flat=flat)
            if raw is None:
                continue
            if units:
                _check_unit(measure, units)
            value = measure.finish(raw)
        except Flagged as exc:
            flags.append(f"{measure.name}:{exc.code}")
            continue
        if value is not None:
            fields[measure.name] = value
    return fields, flags


def _check_unit(measure: Measure, units: Mapping[str, str]) -> None:
    sent = units.get(measure.source) if measure.expr is None else None
    if sent is not None and measure.unit and not agrees(sent, measure.unit):
        raise Flagged("unit")
