"""Conditions (``when``): a small part of CEL, compiled once into closures.

Integers (decimal and 0x), quoted text, true and false, names, ``== != < <= > >=``, ``in [...]``,
``/`` and ``%`` on integers, ``&& || !`` and parentheses; ``a.b`` is b of a group of bits. A name
without a value, or a comparison that makes no sense for the types found, makes the condition false.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from device_profiles.codecs.contract import SpecError
from device_profiles.codecs.grammar import Path, nearest

Scope = Mapping[str, Any]
Condition = Callable[[Scope], bool]
Term = Callable[[Scope], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<int>0[xX][0-9a-fA-F]+|\d+)"
    r"|(?P<str>\"[^\"]*\"|'[^']*')"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[<>!()/%,\[\]-]))"
)
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_DEEPEST = 32


def compile_condition(source: object, names: Collection[str], path: Path) -> Condition:
    """Compile a condition.

    Args:
        source: The text, for example ``fc == 4 && count == 64``.
        names: What may be asked for; ``captures.<name>`` is always allowed.
        path: Where it stands, for errors.

    Returns:
        A function of the values known so far; it never raises.
    """
    if not isinstance(source, str):
        raise SpecError(path, "expected a condition such as 'fc == 4' as text")
    term = _Parser(source, names, path).parse()

    def holds(scope: Scope) -> bool:
        try:
            return term(scope) is True
        except (TypeError, AttributeError, ZeroDivisionError):
            return False

    return holds


class _Parser:
    """Recursive descent; each method returns the closure of what it read."""

    def __init__(self, source: str, names: Collection[str], path: Path) -> None:
        self._names = names
        self._path = path
        self._tokens = list(self._split(source))
        self._at = 0
        self._depth = 0

    def parse(self) -> Term:
        term = self._any()
        if self._at != len(self._tokens):
            raise SpecError(self._path, f"did not expect {self._peek()!r} here")
        return term

    def _split(self, source: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while source[at:].strip():
            match = _TOKEN.match(source, at)
            if match is None or match.lastgroup is None:
                raise SpecError(self._path, f"cannot read {source[at:].strip()!r}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return tokens

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *words: str) -> str:
        word = self._peek()
        is_text = self._at < len(self._tokens) and self._tokens[self._at][0] == "str"
        if is_text or word not in words:
            return ""
        self._at += 1
        return word

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise SpecError(self._path, f"expected {word!r}, found {self._peek() or 'the end'!r}")

    def _any(self) -> Term:
        terms = [self._all()]
        while self._take("||"):
            terms.append(self._all())
        return terms[0] if len(terms) == 1 else lambda scope: any(t(scope) is True for t in terms)

    def _all(self) -> Term:
        terms = [self._not()]
        while self._take("&&"):
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else lambda scope: all(t(scope) is True for t in terms)

    def _not(self) -> Term:
        if self._take("!"):
            self._deeper()
            term = self._not()
            return lambda scope: term(scope) is False
        return self._compare()

    def _compare(self) -> Term:
        left = self._divide()
        if self._take("in"):
            members = self._members()
            return lambda scope: left(scope) in members
        word = self._take(*_COMPARE)
        if not word:
            return left
        compare, right = _COMPARE[word], self._divide()
        return lambda scope: compare(left(scope), right(scope))

    def _members(self) -> list[Any]:
        self._need("[")
        members = [self._member()]
        while self._take(","):
            members.append(self._member())
        self._need("]")
        return members

    def _member(self) -> Any:
        """Return the literal that stands in a list; names and sums have no value beforehand."""
        term = self._atom()
        try:
            value = term({})
        except (TypeError, AttributeError, ZeroDivisionError):
            value = None
        if value is None:
            raise SpecError(self._path, "expected numbers or quoted text in the list after 'in'")
        return value

    def _divide(self) -> Term:
        term = self._atom()
        while word := self._take("/", "%"):
            term = _divided(term, self._atom(), word)
        return term

    def _atom(self) -> Term:
        if self._take("("):
            self._deeper()
            term = self._any()
            self._need(")")
            return term
        sign = -1 if self._take("-") else 1
        if self._at == len(self._tokens):
            raise SpecError(self._path, "the condition ends too early")
        group, word = self._tokens[self._at]
        self._at += 1
        if group == "int":
            number = sign * int(word, 0) if word[:2].lower() == "0x" else sign * int(word)
            return lambda _scope: number
        if sign == 1 and group == "str":
            return lambda _scope: word[1:-1]
        if sign == 1 and word in ("true", "false"):
            return lambda _scope: word == "true"
        if sign == 1 and group == "name":
            return self._named(word)
        raise SpecError(self._path, f"did not expect {word!r} here")

    def _named(self, name: str) -> Term:
        """Return the value of a name; ``a.b`` is b of the group of bits a."""
        first, *rest = name.split(".")
        if name.startswith("captures.") or (first in self._names and not rest):
            return lambda scope: scope.get(name)
        if first not in self._names or len(rest) > 1:
            hint = nearest(name, self._names)
            raise SpecError(self._path, f"{name!r} is not known here{hint}")
        return lambda scope: (scope.get(first) or {}).get(rest[0])

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise SpecError(self._path, "the condition is nested too deeply")


def _divided(left: Term, right: Term, word: str) -> Term:
    """Return the quotient or remainder; both sides must be integers (text has a ``%`` too)."""

    def divide(scope: Scope) -> int:
        a, b = left(scope), right(scope)
        if type(a) is not int or type(b) is not int:
            raise TypeError
        return a // b if word == "/" else a % b

    return divide
