"""Conditions over a message (``where``, ``when``) as Python closures, without a call into CEL.

``d.mode == "eco"``, ``has(d.object.level)``, ``c.device_profile in ["A", "B"]``, ``"x" in d``,
``fport != 2`` and their combinations are what nearly all of them are. Their types show only when a
message comes, so comparisons ask for them as CEL does: numbers among themselves, a bool is no
number, and what does not go together is unknown. Everything else stays with CEL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.cel import Absent, Expression, Uncomputable
from device_profiles.conditions import COMPARE, Complex, Condition, ConditionParser, constant

Predicate = Callable[[Mapping[str, Any]], bool]
"""From variables (``d``, ``c``, ``fport``) to whether the condition holds; unknown is False."""

_MEMBERS = r"""(?:\.[A-Za-z_]\w*\b(?!\s*\()|\[(?:"[^"\\]*"|'[^'\\]*')\])*"""
_TOKEN = re.compile(
    rf"""\s*(?:(?P<has>has\(\s*[A-Za-z_]\w*{_MEMBERS}\s*\))
      | (?P<float>-?\d+\.\d+(?:[eE][+-]?\d+)?|-?\d+[eE][+-]?\d+)
      | (?P<int>-?\d+)(?![\w.])
      | (?P<text>"[^"\\]*"|'[^'\\]*')
      | (?P<in>in\b)
      | (?P<name>[A-Za-z_]\w*\b{_MEMBERS})(?!\s*[.(\[])
      | (?P<op>==|!=|<=|>=|<|>|&&|\|\||!|\(|\)|\[|\]|,))""",
    re.VERBOSE,
)
_MEMBER = re.compile(r"""\.(\w+)|\["([^"]*)"\]|\['([^']*)'\]""")
_NUMBERS = (int, float)
_SCALARS = (bool, int, float, str)
_ABSENT = object()

_Get = Callable[[Mapping[str, Any]], Any]


def compile_predicate(expression: Expression) -> Predicate:
    """Return what ``expression`` says as a plain yes or no, without CEL where it is simple."""
    try:
        holds = _Parser(expression).parse()
    except Complex:
        return _through_cel(expression)
    return lambda values: holds(values) is True


def _through_cel(expression: Expression) -> Predicate:
    def holds(values: Mapping[str, Any]) -> bool:
        try:
            return expression(values) is True
        except (Absent, Uncomputable):
            return False

    return holds


class _Parser(ConditionParser):
    """The grammar of `ConditionParser` over members, with ``has`` and ``in``."""

    def __init__(self, expression: Expression) -> None:
        super().__init__(expression, _TOKEN)

    def _comparison(self) -> Condition:
        kind, word = self._peek()
        if kind == "has":
            self._at += 1
            self._compared = False
            return _has(self._path(word[4:-1].strip()))
        literal, value, left = self._side()
        following, _ = self._peek()
        if following == "in":
            self._at += 1
            self._compared = True
            return self._membership(literal, value, left)
        sign = self._next(*COMPARE)
        self._compared = bool(sign)
        if not sign:
            return _as_bool(left)
        other, wanted, right = self._side()
        if literal == other:  # of two members only their types could tell
            raise Complex
        return _compare(sign, left, right, value if literal else wanted)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _side(self) -> tuple[bool, Any, _Get]:
        """Return whether it is a literal, its value, and what reads it."""
        kind, word = self._peek()
        self._at += 1
        if kind == "name" and word.split(".")[0].split("[")[0] in self._names:
            return False, None, _member(self._path(word))
        value = constant(kind, word)
        return True, value, lambda _values: value

    def _path(self, word: str) -> tuple[str, ...]:
        name = re.match(r"\w+", word)
        if name is None or name[0] not in self._names:
            raise Complex
        rest = ["".join(found) for found in _MEMBER.findall(word, name.end())]
        return (name[0], *rest)

    def _membership(self, literal: bool, value: Any, left: _Get) -> Condition:  # noqa: FBT001
        if literal:
            kind, _ = self._peek()
            if kind != "name" or not isinstance(value, str):
                raise Complex
            return _contains(self._side()[2], value)
        if not self._next("["):
            raise Complex
        members = [self._literal()]
        while self._next(","):
            members.append(self._literal())
        if not self._next("]"):
            raise Complex
        return _among(left, members)

    def _literal(self) -> Any:
        literal, value, _ = self._side()
        if not literal:
            raise Complex
        return value


def _member(path: tuple[str, ...]) -> _Get:
    """Return what walks to a value; `_ABSENT` where the way ends before it."""
    first, *rest = path
    if not rest:
        return lambda values: values.get(first, _ABSENT)

    def get(values: Mapping[str, Any]) -> Any:
        found: Any = values.get(first)
        for name in rest:
            if not isinstance(found, dict):
                return _ABSENT
            found = found.get(name, _ABSENT)
        return found

    return get


def _has(path: tuple[str, ...]) -> Condition:
    if len(path) < 2:
        raise Complex
    above, last = _member(path[:-1]), path[-1]

    def holds(values: Mapping[str, Any]) -> bool | None:
        found = above(values)
        return last in found if isinstance(found, dict) else None

    return holds


def _as_bool(get: _Get) -> Condition:
    def holds(values: Mapping[str, Any]) -> bool | None:
        found = get(values)
        return found if isinstance(found, bool) else None

    return holds


def _contains(get: _Get, wanted: str) -> Condition:
    """Return ``"key" in d.members`` or ``"word" in d.list``."""

    def holds(values: Mapping[str, Any]) -> bool | None:
        found = get(values)
        return wanted in found if isinstance(found, dict | list) else None

    return holds


def _among(get: _Get, members: list[Any]) -> Condition:
    def holds(values: Mapping[str, Any]) -> bool | None:
        found = get(values)
        return None if found is _ABSENT else any(_equal(found, one) for one in members)

    return holds


def _equal(found: Any, literal: Any) -> bool:
    return (type(found) is bool) is (type(literal) is bool) and bool(found == literal)


def _compare(sign: str, left: _Get, right: _Get, literal: Any) -> Condition:
    compare = COMPARE[sign]
    equality = sign in ("==", "!=")
    kinds = _NUMBERS if type(literal) in _NUMBERS else (type(literal),)

    def holds(values: Mapping[str, Any]) -> bool | None:
        a, b = left(values), right(values)
        if a is _ABSENT or b is _ABSENT:
            return None
        if type(a) in kinds and type(b) in kinds:
            return compare(a, b)
        return sign == "!=" if equality else None

    return holds
