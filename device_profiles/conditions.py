"""Simple conditions as Python closures: what alarms mostly are, without a call into CEL.

Only names, literals, comparisons, ``&& || !`` and brackets are taken over, after CEL has checked
the types; everything else stays with CEL. A value that is not known makes a condition unknown
(None) unless the rest decides it, as in CEL.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.cel import Absent, Expression, Uncomputable

Condition = Callable[[Mapping[str, Any]], "bool | None"]
"""From known values to whether it holds; None when they do not say."""

_Operand = Callable[[Mapping[str, Any]], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<float>-?\d+\.\d+(?:[eE][+-]?\d+)?|-?\d+[eE][+-]?\d+)
      | (?P<int>-?\d+)(?![\w.])
      | (?P<text>"[^"\\]*"|'[^'\\]*')
      | (?P<name>[A-Za-z_]\w*\b)(?!\s*[.(\[])
      | (?P<op>==|!=|<=|>=|<|>|&&|\|\||!|\(|\)))""",
    re.VERBOSE,
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 30


class Complex(Exception):
    """Beyond what closures do here."""


def compile_condition(expression: Expression) -> Condition:
    """Return a condition that gives what ``expression`` gives, without CEL where it is simple."""
    try:
        return ConditionParser(expression).parse()
    except Complex:
        return through_cel(expression)


def through_cel(expression: Expression) -> Condition:
    """Return a condition that asks CEL every time."""
    names = expression.names

    def holds(values: Mapping[str, Any]) -> bool | None:
        try:
            return expression({name: values[name] for name in names if name in values}) is True
        except (Absent, Uncomputable):
            return None

    return holds


class ConditionParser:
    """Recursive descent over the tokens; every method returns a closure.

    Args:
        expression: What CEL has checked.
        token: The tokens that are understood; each a named group.
    """

    def __init__(self, expression: Expression, token: re.Pattern[str] = _TOKEN) -> None:
        self._names = expression.names
        self._tokens = list(_split(expression.text, token))
        self._at = 0
        self._depth = 0
        self._compared = False  # whether the last term read was a comparison without brackets

    def parse(self) -> Condition:
        """Return the closure of the whole text; raises `Complex`."""
        found = self._any()
        if self._at != len(self._tokens):
            raise Complex
        return found

    def _next(self, *words: str) -> str:
        if self._at < len(self._tokens):
            kind, word = self._tokens[self._at]
            if kind == "op" and word in words:
                self._at += 1
                return word
        return ""

    def _any(self) -> Condition:
        terms = [self._all()]
        while self._next("||"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else _joined(terms, decisive=True)

    def _all(self) -> Condition:
        terms = [self._one()]
        while self._next("&&"):
            terms.append(self._one())
        return terms[0] if len(terms) == 1 else _joined(terms, decisive=False)

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise Complex
        if self._next("!"):
            term = self._one()
            if self._compared:  # "!a < b" is "(!a) < b" in CEL
                raise Complex
            found: Condition = lambda values: _negated(term(values))  # noqa: E731
        elif self._next("("):
            found = self._any()
            if not self._next(")"):
                raise Complex
            self._compared = False
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Condition:
        first = self._at
        left = self._operand()
        word = self._next(*COMPARE)
        self._compared = bool(word)
        if not word:
            return left
        second = self._at
        right = self._operand()
        name, literal = self._tokens[first][1], self._tokens[second]
        if name in self._names and literal[1] not in self._names:
            return Limit(name, COMPARE[word], constant(*literal))
        return _compared(COMPARE[word], left, right)

    def _operand(self) -> _Operand:
        if self._at == len(self._tokens):
            raise Complex
        kind, word = self._tokens[self._at]
        self._at += 1
        if kind == "name" and word in self._names:
            return lambda values: values.get(word)
        literal = constant(kind, word)
        return lambda _values: literal


def _split(text: str, token: re.Pattern[str]) -> list[tuple[str, str]]:
    tokens, at, end = [], 0, len(text.rstrip())
    while at < end:
        found = token.match(text, at)
        if found is None or found.lastgroup is None:
            raise Complex
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


def constant(kind: str, word: str) -> float | str | bool:
    """Return the value of a literal; raises `Complex` where the token is none."""
    if kind == "float":
        return float(word)
    if kind == "int":
        return int(word)
    if kind == "text":
        return word[1:-1]
    if word in ("true", "false"):
        return word == "true"
    raise Complex


def _joined(terms: list[Condition], *, decisive: bool) -> Condition:
    """Return ``||`` (decisive True) or ``&&`` (decisive False): any decisive term decides."""

    def holds(values: Mapping[str, Any]) -> bool | None:
        found: bool | None = not decisive
        for term in terms:
            one = term(values)
            if one is decisive:
                return decisive
            if one is None:
                found = None
        return found

    return holds


def _negated(found: bool | None) -> bool | None:  # noqa: FBT001 - three-valued logic
    return None if found is None else not found


@dataclass(frozen=True, slots=True)
class Limit:
    """The comparison of a name with a literal, which most conditions are.

    Attributes:
        name: Whose value is compared.
        compare: How.
        limit: With what.
    """

    name: str
    compare: Callable[[Any, Any], bool]
    limit: Any

    def __call__(self, values: Mapping[str, Any]) -> bool | None:
        """Return whether it holds; None where the value is not known."""
        value = values.get(self.name)
        return None if value is None else self.compare(value, self.limit)


def _compared(compare: Callable[[Any, Any], bool], left: _Operand, right: _Operand) -> Condition:
    def holds(values: Mapping[str, Any]) -> bool | None:
        a, b = left(values), right(values)
        return None if a is None or b is None else compare(a, b)

    return holds
