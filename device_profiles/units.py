"""Units of measure in UCUM notation (case sensitive), read into a dimension, a factor, an offset.

Enough of the Unified Code for Units of Measure, version 2.1, for what devices send: base and
derived units, prefixes, ``.`` ``/`` exponents, brackets, ``{annotations}``, Celsius and Fahrenheit.
Logarithmic units (``dB[mW]``, ``[pH]``) are dimensions of their own: valid, not convertible.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from device_profiles.unit_table import ATOMS, METRIC, MISSPELT, PREFIXES

_LONGEST = 64
_DEEPEST = 8
_TOKEN = re.compile(
    r"(?P<open>\()|(?P<close>\))|(?P<op>[./])|(?P<note>\{[\x21-\x7a\x7c\x7e ]*\})"
    r"|(?P<ten>10[*^])(?P<ten_exp>[+-]?\d{1,2})?"
    r"|(?P<number>\d{1,12})(?![A-Za-z%\[])"
    r"|(?P<atom>(?:[A-Za-z%'_*^]|\[[^\]\s]{1,16}\])(?:[A-Za-z%'_]|\[[^\]\s]{1,16}\])*)(?P<exp>[+-]?\d{1,2})?"
)


class UnitFault(Exception):
    """The text is not a unit, or two units do not measure the same thing."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit; a value ``v`` in it is ``v * factor + offset`` in the coherent unit of its dimension.

    Attributes:
        dimension: Base to exponent, sorted; empty for a pure number.
        factor: Exact where the definition is.
        offset: Not 0 only for temperatures such as ``Cel``.
    """

    dimension: tuple[tuple[str, int], ...]
    factor: Fraction
    offset: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Linear:
    """``(v * num + add) / den``: exact for integers, one rounding."""

    num: int = 1
    add: int = 0
    den: int = 1

    @property
    def identity(self) -> bool:
        """Whether it changes nothing."""
        return self.num == self.den and self.add == 0


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit:
    """Return the unit that ``text`` stands for.

    Raises:
        UnitFault: Not UCUM; names the usual spelling where it is known.
    """
    if text in MISSPELT:
        raise UnitFault(f"{text!r} is not UCUM, write {MISSPELT[text]!r}")
    if not text or len(text) > _LONGEST:
        raise UnitFault(f"expected a UCUM unit of 1 to {_LONGEST} characters, found {text!r}")
    unit, at = _product(text, 0, 0)
    if at != len(text):
        raise UnitFault(f"did not expect {text[at:]!r} in the unit {text!r}")
    return unit


def _product(text: str, at: int, depth: int) -> tuple[Unit, int]:
    """Read factors joined by ``.`` and ``/`` from ``at`` to the end or a closing bracket."""
    sign = 1
    if text[at : at + 1] == "/":
        sign, at = -1, at + 1
    unit, at = _factor(text, at, depth)
    total = _power(unit, sign) if sign < 0 else unit
    while at < len(text) and text[at] in "./":
        sign = 1 if text[at] == "." else -1
        unit, at = _factor(text, at + 1, depth)
        if total.offset or unit.offset:
            raise UnitFault(f"a temperature scale stands alone, not in a product: {text!r}")
        total = _times(total, _power(unit, sign))
    return total, at


def _factor(text: str, at: int, depth: int) -> tuple[Unit, int]:
    found = _TOKEN.match(text, at)
    if found is None or found["close"] or found["op"]:
        raise UnitFault(f"expected a unit at {text[at:]!r} in {text!r}")
    end = found.end()
    if found["open"]:
        if depth >= _DEEPEST:
            raise UnitFault(f"brackets nested too deeply in {text[:20]!r}")
        unit, end = _product(text, end, depth + 1)
        if text[end : end + 1] != ")":
            raise UnitFault(f"a bracket is not closed in {text!r}")
        end += 1
    elif found["note"]:
        return Unit((), Fraction(1)), end
    elif found["ten"]:
        unit = Unit((), Fraction(10) ** int(found["ten_exp"] or 1))
    elif found["number"]:
        unit = Unit((), Fraction(int(found["number"]) or 1))
    else:
        unit = _atom(found["atom"], text)
        if found["exp"]:
            unit = _power(unit, int(found["exp"]))
    note = _TOKEN.match(text, end)
    return unit, note.end() if note is not None and note["note"] else end


def _atom(name: str, text: str) -> Unit:
    if name in ATOMS:
        return _unit(name)
    for size in (2, 1):
        prefix, rest = name[:size], name[size:]
        if prefix in PREFIXES and rest in METRIC:
            unit = _unit(rest)
            if not unit.offset:
                return Unit(unit.dimension, unit.factor * PREFIXES[prefix])
    near = difflib.get_close_matches(name, ATOMS, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnitFault(f"{name!r} is not a UCUM unit (in {text!r}){hint}")


def _unit(name: str) -> Unit:
    dimension, factor, offset = ATOMS[name]
    return Unit(dimension, factor, offset)


def _power(unit: Unit, exponent: int) -> Unit:
    if unit.offset:
        raise UnitFault("a temperature scale has no powers; use K")
    raised = tuple((base, exp * exponent) for base, exp in unit.dimension if exp * exponent)
    return Unit(raised, unit.factor**exponent)


def _times(left: Unit, right: Unit) -> Unit:
    total = dict(left.dimension)
    for base, exp in right.dimension:
        total[base] = total.get(base, 0) + exp
    return Unit(tuple(sorted((b, e) for b, e in total.items() if e)), left.factor * right.factor)


def conversion(wire: str, unit: str) -> tuple[Fraction, Fraction]:
    """Return ``(factor, offset)`` that take a value in ``wire`` to ``unit``.

    Raises:
        UnitFault: One is not a unit, or they do not measure the same thing.
    """
    source, target = parse_unit(wire), parse_unit(unit)
    if source.dimension != target.dimension:
        raise UnitFault(f"{wire!r} cannot become {unit!r}: they do not measure the same thing")
    return source.factor / target.factor, (source.offset - target.offset) / target.factor


def same_unit(left: str, right: str) -> bool:
    """Return whether a number means the same in both units."""
    try:
        factor, offset = conversion(left, right)
    except UnitFault:
        return left == right
    return offset == 0 and math.isclose(factor, 1)


def linear(factor: Fraction, offset: Fraction) -> Linear:
    """Return ``v * factor + offset`` over a common denominator, so that integers stay exact."""
    den = math.lcm(factor.denominator, offset.denominator)
    return Linear(int(factor * den), int(offset * den), den)
