"""CEL, the Common Expression Language: compiled and type-checked when a profile is loaded.

The only file that imports the CEL runtime. An expression sees just the variables that were
declared for it; it has no I/O, no loops without a bound and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeGuard

import re2
from cel_expr_python import cel

CelType = Literal["float", "int", "bool", "string", "any"]
"""Type of a variable or result; ``any`` is checked when the expression runs."""

LONGEST = 2_000
"""Characters an expression may have."""

_TYPES = {
    "float": cel.Type.DOUBLE,
    "int": cel.Type.INT,
    "bool": cel.Type.BOOL,
    "string": cel.Type.STRING,
    "any": cel.Type.DYN,
}
_NAMES = {"DOUBLE": "float", "INT": "int", "UINT": "int", "BOOL": "bool", "STRING": "string"}
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<dot>\.\s*[A-Za-z_]\w*)
      | (?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE,
)
_TOO_BIG = "out of range"
_MISSING = (
    "NOT_FOUND",
    "No value with name",
    "Applying SELECT to non-message type",  # the path leads through something without members
    "null_type",  # JSON's null says: no value
)


class ExpressionFault(Exception):
    """The text is not a valid expression over its variables.

    Attributes:
        message: What the checker found.
        line: Within the expression, counted from 1.
        col: Within the line, counted from 1.
    """

    def __init__(self, message: str, line: int = 1, col: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.col = col


class Absent(Exception):
    """The expression needs a value that is not there."""


class Uncomputable(Exception):
    """The values are there, but the expression has no result for them (1/0, wrong type)."""


class TooWide(Uncomputable):
    """The expression needs an integer of more than 64 bits, which CEL does not have."""


class Expression:
    """One checked expression.

    Attributes:
        text: As written.
        returns: Type of its result; ``any`` when only the values decide.
        names: Which of the declared variables it reads.
    """

    __slots__ = ("_run", "names", "returns", "text")

    def __init__(self, text: str, run: Any, returns: CelType, names: frozenset[str]) -> None:
        self.text = text
        self.returns = returns
        self.names = names
        self._run = run

    def __call__(self, values: Mapping[str, object]) -> object:
        """Return the result for ``values`` (variable name to value).

        Raises:
            Absent: A value that decides the result is missing.
            Uncomputable: There is no result for these values.
            TooWide: Only an integer beyond 64 bits would tell; elsewhere such a one is left out.
        """
        try:
            return self._evaluate(values)
        except Uncomputable as exc:
            if _TOO_BIG not in str(exc):
                raise
        try:
            return self._evaluate(_without_big(values))
        except (Absent, Uncomputable) as exc:
            raise TooWide(str(exc)) from exc

    def _evaluate(self, values: Mapping[str, object]) -> object:
        try:
            result = self._run.eval(data=values)
            plain = result.plain_value()
        except Exception as exc:  # the runtime raises bare RuntimeError and conversion errors
            raise Uncomputable(_first_line(str(exc))) from exc
        if result.type() == cel.Type.ERROR:
            reason = _first_line(str(plain))
            raise Absent(reason) if _is_missing(reason) else Uncomputable(reason)
        return plain


def _without_big(values: Any) -> Any:
    if isinstance(values, dict):
        kept = {key: _without_big(value) for key, value in values.items()}
        return {key: value for key, value in kept.items() if value is not None}
    if isinstance(values, list):
        return [_without_big(value) for value in values]
    if type(values) is int and not -(2**63) <= values < 2**63:
        return None
    return values


def _is_missing(reason: str) -> bool:
    return any(mark in reason for mark in _MISSING)


def _first_line(text: str) -> str:
    return text.splitlines()[0][:200] if text else ""


def compile_cel(text: str, variables: Mapping[str, CelType]) -> Expression:
    """Compile and type-check ``text`` over ``variables``.

    Raises:
        ExpressionFault: Bad grammar, an undeclared name, or types that do not fit; a literal has
            the type of what it is compared with (``60.0`` for a float, ``60`` for an int).
    """
    if len(text) > LONGEST:
        raise ExpressionFault(
            f"an expression has at most {LONGEST} characters, this has {len(text)}"
        )
    try:
        env = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in variables.items()})
        run = env.compile(text)
    except Exception as exc:
        raise _fault(str(exc)) from exc
    kind = _NAMES.get(run.return_type().name(), "any")
    names = frozenset(identifiers(text) & variables.keys())
    return Expression(text, run, kind if _is_kind(kind) else "any", names)


def _is_kind(kind: str) -> TypeGuard[CelType]:
    return kind in _TYPES


def _fault(reason: str) -> ExpressionFault:
    found = _PLACE.search(reason)
    if found is None:
        return ExpressionFault(_first_line(reason) or "not an expression")
    message = found[3].removesuffix(" (in container '')").removesuffix(" [INVALID_ARGUMENT]")
    return ExpressionFault(message, int(found[1]), int(found[2]))


def identifiers(text: str) -> set[str]:
    """Return the names in ``text`` that stand on their own: not ``.members``, not in quotes."""
    return {found["name"] for found in _TOKEN.finditer(text) if found["name"]}


_QUIET = re2.Options()
_QUIET.log_errors = False


class Pattern:
    """A regular expression in RE2 syntax: matching takes linear time, whoever wrote it.

    Raises:
        ExpressionFault: Not RE2 syntax (look-around and back-references are not in it).
    """

    __slots__ = ("_run", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            compiled = re2.compile(text, _QUIET)
            self._run = compiled.fullmatch
            self.names: tuple[str, ...] = tuple(compiled.groupindex)
        except re2.error as exc:
            why = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else str(exc)
            raise ExpressionFault(f"not a regular expression in RE2 syntax: {why}") from exc

    def groups(self, text: str) -> dict[str, str | None] | None:
        """Return what the named groups took when the whole of ``text`` matches, else None."""
        found = self._run(text)
        return None if found is None else {name: found[name] for name in self.names}

    def matches(self, text: str) -> bool:
        """Return whether the whole of ``text`` matches."""
        return self._run(text.encode()) is not None  # of bytes it makes no text and no places
