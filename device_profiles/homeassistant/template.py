"""Value templates: the part of Jinja that announcements use, compiled; everything else is refused.

``{{ value_json.a['b'][0] }}``, arithmetic, comparisons, ``and or not``, ``x if c else y``, and the
filters of `FILTERS`. No statements, no calls, no attributes of objects: a template comes from the
network, so it can only reach into the message.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from device_profiles.codecs import parse_json
from gateway_core.errors import PayloadError

LONGEST = 1_000
DEEPEST = 20
_WHOLE = re.compile(r"\s*\{\{-?(.*?)-?\}\}\s*", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^'\\]*'|\"[^\"\\]*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>==|!=|<=|>=|//|[-+*/%<>()\[\].|,~]))"
)
_WORDS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
_KEYWORDS = frozenset({"if", "else", "and", "or", "not", "is", "in"})

Scope = dict[str, Any]
Compute = Callable[[Scope], Any]
Template = Callable[[bytes], Any]
"""From a payload to a value; None where the message has none. Raises `PayloadError`."""


class TemplateFault(Exception):
    """The template is not one of those that are understood."""


def compile_template(text: str | None) -> Template:
    """Compile a value template; without one the value is the payload as text.

    Raises:
        TemplateFault: Names what is not understood.
    """
    if not text:
        return _text
    if len(text) > LONGEST:
        raise TemplateFault(f"longer than {LONGEST} characters")
    found = _WHOLE.fullmatch(text)
    if found is None or "{{" in found[1] or "{%" in text:
        raise TemplateFault("only one {{ expression }} is understood, no statements")
    compute = _Parser(found[1]).whole()
    needs_json = "value_json" in found[1]

    def evaluate(payload: bytes) -> Any:
        scope: Scope = {"value": _text(payload)}
        scope["value_json"] = parse_json(payload) if needs_json else None
        try:
            return compute(scope)
        except (TypeError, ValueError, ArithmeticError):
            return None  # a value that is not there, or not what the template takes

    return evaluate


def _text(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as exc:
        raise PayloadError("not_text", "a state is text") from exc


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = float(value)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _round(value: Any, digits: Any = 0) -> Any:
    return round(_number(value), max(-9, min(15, int(digits))))


def _guarded(convert: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a filter that gives its argument, or 0, where there is no number."""

    def apply(value: Any, default: Any = 0) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError, OverflowError):
            return default

    return apply


FILTERS: dict[str, Callable[..., Any]] = {
    "float": _guarded(lambda value: float(_number(value))),
    "int": _guarded(lambda value: int(_number(value))),
    "round": _round,
    "abs": lambda value: abs(_number(value)),
    "default": lambda value, other="": other if value is None else value,
    "lower": lambda value: str(value).lower(),
    "upper": lambda value: str(value).upper(),
    "trim": lambda value: str(value).strip(),
    "string": str,
    "is_defined": lambda value: value,
}
FILTERS["d"] = FILTERS["default"]

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SUM = {"+": operator.add, "-": operator.sub}
_PRODUCT = {
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def _arithmetic(apply: Callable[[Any, Any], Any], left: Compute, right: Compute) -> Compute:
    def compute(scope: Scope) -> Any:
        return apply(_plain(left(scope)), _plain(right(scope)))

    return compute


def _plain(value: Any) -> Any:
    """Return a number as it is; text is not a number, and not repeated or joined either."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    return value


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = 0
        self._depth = 0
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise TemplateFault(f"{text[at : at + 10]!r} is not understood")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def whole(self) -> Compute:
        found = self._choice()
        if self._at < len(self._tokens):
            raise TemplateFault(f"{self._tokens[self._at][1]!r} is not understood")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> tuple[str, str]:
        if self._at >= len(self._tokens) or (wanted and self._peek() != wanted):
            raise TemplateFault(
                f"expected {wanted or 'a value'}, found {self._peek() or 'the end'}"
            )
        self._at += 1
        return self._tokens[self._at - 1]

    def _choice(self) -> Compute:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateFault(f"more than {DEEPEST} deep")
        value = self._either()
        if self._peek() == "if":
            self._take()
            condition = self._either()
            other: Compute = lambda _scope: None  # noqa: E731
            if self._peek() == "else":
                self._take()
                other = self._choice()
            first = value
            value = lambda scope: first(scope) if condition(scope) else other(scope)  # noqa: E731
        self._depth -= 1
        return value

    def _either(self) -> Compute:
        value = self._both()
        while self._peek() == "or":
            self._take()
            value = _or(value, self._both())
        return value

    def _both(self) -> Compute:
        value = self._negated()
        while self._peek() == "and":
            self._take()
            value = _and(value, self._negated())
        return value

    def _negated(self) -> Compute:
        turns = 0
        while self._peek() == "not":
            self._take()
            turns += 1
        value = self._compared()
        if turns % 2:
            return lambda scope: not value(scope)
        return value

    def _compared(self) -> Compute:
        left = self._chain(_SUM, lambda: self._chain(_PRODUCT, self._filtered))
        apply = _COMPARE.get(self._peek())
        if apply is None:
            return left
        self._take()
        right = self._chain(_SUM, lambda: self._chain(_PRODUCT, self._filtered))
        return lambda scope: apply(left(scope), right(scope))

    def _chain(self, marks: dict[str, Any], operand: Callable[[], Compute]) -> Compute:
        value = operand()
        while self._peek() in marks:
            apply = marks[self._take()[1]]
            value = _arithmetic(apply, value, operand())
        return value

    def _filtered(self) -> Compute:
        value = self._reached()
        while self._peek() == "|":
            self._take()
            name = self._take()[1]
            if name not in FILTERS:
                raise TemplateFault(f"the filter {name!r} is not understood")
            arguments: list[Compute] = []
            if self._peek() == "(":
                self._take()
                while self._peek() != ")":
                    arguments.append(self._choice())
                    if self._peek() == ",":
                        self._take()
                self._take(")")
            value = _applied(FILTERS[name], value, arguments)
        return value

    def _reached(self) -> Compute:
        value = self._atom()
        while self._peek() in (".", "["):
            key: str | int
            if self._take()[1] == ".":
                group, key = self._take()
                if group != "name" or key.startswith("_"):
                    raise TemplateFault(f"{key!r} is not the name of a member")
            else:
                group, text = self._take()
                if group not in ("text", "number") or ("." in text and group == "number"):
                    raise TemplateFault(f"[{text}] is not understood")
                key = text[1:-1] if group == "text" else int(text)
                self._take("]")
            if self._peek() == "(":
                raise TemplateFault(f"the call {key}() is not understood")
            value = _member(value, key)
        return value

    def _atom(self) -> Compute:
        group, text = self._take()
        if text == "(":
            value = self._choice()
            self._take(")")
            return value
        if text == "-":
            return self._signed()
        constant: Any
        if group == "number":
            constant = float(text) if "." in text else int(text)
        elif group == "text":
            constant = text[1:-1]
        elif text in _WORDS:
            constant = _WORDS[text]
        elif text in ("value", "value_json"):
            return lambda scope: scope[text]
        else:
            why = "is not understood" if text in _KEYWORDS or group != "name" else "is not known"
            raise TemplateFault(f"{text!r} {why}: a template can use value and value_json")
        return lambda _scope: constant

    def _signed(self) -> Compute:
        sign = -1
        while self._peek() == "-":  # counted, not nested: a row of signs must not use up the stack
            self._take()
            sign = -sign
        inner = self._reached()
        return lambda scope: sign * _plain(inner(scope))


def _or(left: Compute, right: Compute) -> Compute:
    return lambda scope: left(scope) or right(scope)


def _and(left: Compute, right: Compute) -> Compute:
    return lambda scope: left(scope) and right(scope)


def _member(value: Compute, key: str | int) -> Compute:
    def reach(scope: Scope) -> Any:
        found = value(scope)
        if isinstance(found, dict) and isinstance(key, str):
            return found.get(key)
        if isinstance(found, list) and isinstance(key, int) and key < len(found):
            return found[key]
        return None

    return reach


def _applied(apply: Callable[..., Any], value: Compute, arguments: list[Compute]) -> Compute:
    if len(arguments) > 1:
        raise TemplateFault("filters take at most one argument")
    if arguments:
        return lambda scope: apply(value(scope), arguments[0](scope))
    return lambda scope: apply(value(scope))
