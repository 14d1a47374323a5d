"""From a decoded value to the value that is stored, or to a flag that says why there is none.

Fixed order: bit, invalid, map, lookup, scale and offset, wire unit, type, values, range. A bool is
never a number, text is never a number, and nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from device_profiles.lookup import compile_lookup, in_ranges, ranges_of
from device_profiles.swift import INT_MAX, INT_MIN, swift_float, swift_int
from device_profiles.units import Linear, conversion, linear
from gateway_core.model import Value

LONGEST_TEXT = 1_024
"""Characters a text value may have; longer ones are flagged ``too_long``."""

_WIRE_MAX = 2**64 - 1
_EXACT = 2**53
_TYPE_FLAGS = {
    "float": "not_number",
    "int": "not_number",
    "bool": "not_bool",
    "string": "not_string",
    "enum": "not_in_enum",
}

Finish = Callable[[Any], Value | None]
"""Takes a decoded value (never None); None means that the device said "no value"."""


class Flagged(Exception):
    """The value cannot be stored.

    Attributes:
        code: ``range not_number not_bool not_string not_in_enum unmapped unit too_long``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def type_flag(kind: str) -> str:
    """Return the flag for a value that is not of type ``kind``."""
    return _TYPE_FLAGS[kind]


def compile_finish(spec: Mapping[str, Any]) -> Finish:
    """Compile everything after ``from``, ``expr`` and ``when`` of one measurement.

    Returns:
        A function that raises `Flagged` for a value that must not be stored.

    Raises:
        LookupFault: A table contradicts itself.
        OverflowError: No number holds what scale, unit and table make.
    """
    stages: list[Callable[[Any], Any]] = []
    if "bit" in spec:
        stages.append(_bit(spec["bit"], spec))
    if "invalid" in spec:
        stages.append(_invalid(spec["invalid"]))
    if "map" in spec:
        stages.append(_mapped(spec["map"]))
        if "invalid" in spec:
            stages.append(_invalid(spec["invalid"]))
    if "lookup" in spec:
        stages.append(_looked_up(spec))
    stages.append(_TYPES[spec["type"]](spec))
    if len(stages) == 1:
        return stages[0]

    def finish(value: Any) -> Value | None:
        for stage in stages:
            value = stage(value)
            if value is None:
                return None
        return value  # type: ignore[no-any-return]

    return finish


def _bit(bit: int, spec: Mapping[str, Any]) -> Callable[[Any], Any]:
    code, as_bool = type_flag(spec["type"]), spec["type"] == "bool" and "map" not in spec

    def pick(value: Any) -> Any:
        if type(value) is not int:
            raise Flagged(code)
        one = value >> bit & 1
        return one == 1 if as_bool else one

    return pick


def _same(left: Any, right: Any) -> bool:
    return (type(left) is bool) == (type(right) is bool) and bool(left == right)


def _invalid(marks: Sequence[Any]) -> Callable[[Any], Any]:
    def drop(value: Any) -> Any:
        return None if any(_same(value, mark) for mark in marks) else value

    return drop


def _mapped(table: Mapping[str, Any]) -> Callable[[Any], Any]:
    ranges = ranges_of(table)

    def look_up(value: Any) -> Any:
        found = table.get(map_key(value))
        if found is None and ranges and type(value) in (int, float):
            found = in_ranges(ranges, value)
        if found is None:
            raise Flagged("unmapped")
        return found

    return look_up


def map_key(value: Any) -> str:
    """Return the text that a key of ``map`` has for this value: 1 and 1.0 are ``"1"``."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int) and not INT_MIN <= value <= _WIRE_MAX:
        return ""  # as text it could be megabytes
    return str(value) if isinstance(value, int | float) else ""


def exact(number: float) -> Fraction:
    """Return a number from a profile as the decimal that its author wrote."""
    return Fraction(str(number))


def wire_line(spec: Mapping[str, Any]) -> Linear:
    """Return scale, offset and unit conversion of a measurement as one exact linear function.

    Raises:
        UnitFault: ``wire_unit`` cannot become ``unit``.
    """
    return linear(*_factor(spec))


def _factor(spec: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    factor, offset = exact(spec.get("scale", 1)), exact(spec.get("offset", 0))
    if "wire_unit" in spec:
        by, plus = conversion(spec["wire_unit"], spec["unit"])
        factor, offset = factor * by, offset * by + plus
    return factor, offset


def _number(value: Any) -> int | float:
    if type(value) is int:
        if not INT_MIN <= value <= _WIRE_MAX:
            raise Flagged("range")
        return value
    if type(value) is not float or value != value:  # noqa: PLR0124 - NaN is not itself
        raise Flagged("not_number")
    if math.isinf(value):
        raise Flagged("range")
    return value


def compile_scale(line: Linear) -> Callable[[float], float]:
    """Return the linear function for float results: one rounding where the numbers allow it.

    Raises:
        OverflowError: No float holds the factor or the offset.
    """
    num, add, den = line.num, line.add, line.den
    if abs(num) >= 2**53 or abs(add) >= 2**53 or den >= 2**53:
        factor, offset = num / den, add / den
        return lambda value: value * factor + offset
    if add == 0 and num == 1:
        return lambda value: value / den
    if add == 0 and den == 1:
        return lambda value: value * float(num)
    return lambda value: (value * num + add) / den


def _looked_up(spec: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return the interpolation, which takes scale, offset and unit along in one rounding."""
    table = compile_lookup(spec["lookup"], *_factor(spec))
    whole = spec["type"] == "int"
    scales = {id(line): compile_scale(line) for line in table.lines}

    def interpolate(value: Any) -> float:
        found = table.find(_number(value))
        if found is None:
            raise Flagged("range")
        number, line = found
        return _nearest(number, line) if whole else scales[id(line)](number)

    return interpolate


def _stored_line(spec: Mapping[str, Any]) -> Linear:
    """Return what is still to be done to a number: nothing where a lookup did it."""
    return Linear() if "lookup" in spec else wire_line(spec)


def _float(spec: Mapping[str, Any]) -> Finish:
    line = _stored_line(spec)
    scale = None if line.identity else compile_scale(line)
    low, high = spec.get("range", (-math.inf, math.inf))

    def finish(value: Any) -> float:
        number = float(_number(value))
        if scale is not None:
            number = scale(number)
        if not low <= number <= high or math.isinf(number):
            raise Flagged("range")
        return number

    return swift_float(spec, line, finish)


def _int(spec: Mapping[str, Any]) -> Finish:
    line = _stored_line(spec)
    converts = not line.identity or "expr" in spec
    low, high = spec.get("range", (INT_MIN, INT_MAX))

    def finish(value: Any) -> int:
        number = _number(value)
        if converts:
            number = _nearest(number, line)
        elif type(number) is float:
            if not number.is_integer():
                raise Flagged("not_number")
            if not -_EXACT < number < _EXACT:  # it may have been rounded on its way here
                raise Flagged("range")
            number = int(number)
        if not low <= number <= high or not INT_MIN <= number <= INT_MAX:
            raise Flagged("range")
        return int(number)

    return finish if converts else swift_int(spec, finish)


def _nearest(number: float, line: Linear) -> int:
    """Return the nearest whole number of the converted value; ties go up."""
    total = Fraction(number) * line.num + line.add
    return math.floor(total / line.den + Fraction(1, 2))


def _bool(_spec: Mapping[str, Any]) -> Finish:
    def finish(value: Any) -> bool:
        if type(value) is not bool:
            raise Flagged("not_bool")
        return value

    return finish


def _string(spec: Mapping[str, Any]) -> Finish:
    allowed = frozenset(spec.get("values", ()))

    def finish(value: Any) -> str:
        if type(value) is not str:
            raise Flagged("not_string")
        if allowed and value not in allowed:
            raise Flagged("not_in_enum")
        if len(value) > LONGEST_TEXT:
            raise Flagged("too_long")
        return value

    return finish


def _enum(spec: Mapping[str, Any]) -> Finish:
    allowed = frozenset(spec["values"])

    def finish(value: Any) -> str:
        if type(value) is not str or value not in allowed:
            raise Flagged("not_in_enum")
        return value

    return finish


_TYPES: dict[str, Callable[[Mapping[str, Any]], Finish]] = {
    "float": _float,
    "int": _int,
    "bool": _bool,
    "string": _string,
    "enum": _enum,
}
