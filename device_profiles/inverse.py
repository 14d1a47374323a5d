"""Measurements turned around: from the stored value to what stands in the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from device_profiles.paths import parse_path
from device_profiles.quality import wire_line
from device_profiles.units import Linear
from gateway_core.model import Value


@dataclass(frozen=True, slots=True)
class Wire:
    """One measurement, turned around.

    Attributes:
        source: Its key in a SenML pack.
        path: Its path in an object.
        bit: Which bit of an integer it is, or None.
        table: Stored value to wire value, or None.
        line: Scale, offset and unit, or None where they change nothing.
    """

    source: str
    path: tuple[str, ...]
    bit: int | None
    table: Mapping[Value, Any] | None
    line: Linear | None

    def put(self, wire: dict[str, Any], value: Value, *, flat: bool) -> None:
        """Put a stored value into the values of a message.

        Args:
            wire: Values of the message; several bits may share one integer.
            value: The stored value.
            flat: Whether the message is a SenML pack, whose names are not paths.
        """
        found: Any = value
        if self.table is not None:
            found = self.table.get(value, value)
        elif self.line is not None and not isinstance(value, bool | str):
            found = (Fraction(str(value)) * self.line.den - self.line.add) / self.line.num
            found = int(found) if found.denominator == 1 else float(found)
        path = (self.source,) if flat else self.path
        for segment in path[:-1]:
            wire = wire.setdefault(segment, {})
        if self.bit is None:
            wire[path[-1]] = found
        else:
            wire[path[-1]] = wire.get(path[-1], 0) | (bool(found) << self.bit)


def compile_wire(name: str, spec: Mapping[str, Any]) -> Wire | None:
    """Turn a measurement around; None where it is computed, or looked up in a table of points."""
    if "expr" in spec or "lookup" in spec:
        return None
    source = spec.get("from", name)
    line = wire_line(spec) if spec["type"] in ("float", "int") else Linear()
    table = None
    if "map" in spec:
        plain = {key: value for key, value in spec["map"].items() if ".." not in key}
        table = {value: _wire_key(key) for key, value in plain.items()}
    return Wire(source, parse_path(source), spec.get("bit"), table, None if line.identity else line)


def _wire_key(key: str) -> Any:
    if key in ("true", "false"):
        return key == "true"
    return int(key) if key.removeprefix("-").isdecimal() else key
