"""``text``: lines of text, taken apart by patterns with named groups, or as ``key=value`` pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from device_profiles.cel import ExpressionFault, Pattern
from device_profiles.codecs.cells import Cell, text_of, typed
from device_profiles.codecs.contract import SpecError, Values
from device_profiles.codecs.grammar import Path, mapping, sequence, text
from gateway_core.errors import PayloadError

MOST_PIECES = 10_000
"""Lines, or pairs of a line, that one message may have."""

_LONGEST_PATTERN = 1_000
_MOST_PATTERNS = 32

_Take = Callable[[str], Values]


def compile_text(spec: object, path: Path) -> Callable[[bytes], Values]:
    """Compile a ``text`` step.

    Keys: one of ``pattern`` (a regular expression in RE2 syntax with named groups that the whole
    text must match, or a list of them: the first that matches) and ``pairs``
    (``{separator, assign}``); ``types`` (name to ``int``, ``float``, ``bool``; all else is text);
    ``rows`` (every line is taken for itself and becomes a record of this list).

    Raises:
        SpecError: The specification is wrong.
    """
    found = mapping(spec, path, ("pattern", "pairs", "types", "rows", "when"))
    if ("pattern" in found) == ("pairs" in found):
        raise SpecError(path, "needs one of 'pattern' and 'pairs'")
    take = _patterns(found, path) if "pattern" in found else _pairs(found, path)
    if "rows" not in found:
        return lambda payload: take(text_of(payload).strip())
    name = text(found["rows"], (*path, "rows"))

    def decode(payload: bytes) -> Values:
        lines = [line.strip() for line in text_of(payload).split("\n") if line.strip()]
        if len(lines) > MOST_PIECES:
            raise PayloadError("bad_text", f"more than {MOST_PIECES} lines")
        return {name: [take(line) for line in lines]}

    return decode


def _patterns(found: Mapping[str, Any], path: Path) -> _Take:
    written = found["pattern"]
    texts = written if isinstance(written, list) else [written]
    patterns = []
    for index, one in enumerate(sequence(texts, (*path, "pattern"))):
        here = (*path, "pattern", index) if isinstance(written, list) else (*path, "pattern")
        patterns.append(_pattern(text(one, here), here))
    if len(patterns) > _MOST_PATTERNS:
        raise SpecError((*path, "pattern"), f"at most {_MOST_PATTERNS} patterns")
    names = tuple({name: None for pattern in patterns for name in pattern.names})
    cells = typed(found.get("types"), (*path, "types"), names)

    def take(content: str) -> Values:
        for pattern in patterns:
            groups = pattern.groups(content)
            if groups is not None:
                return _typed(groups.items(), cells)
        raise PayloadError("bad_text", "matches no pattern of this profile")

    return take


def _pattern(written: str, path: Path) -> Pattern:
    if len(written) > _LONGEST_PATTERN:
        raise SpecError(path, f"a pattern has at most {_LONGEST_PATTERN} characters")
    try:
        pattern = Pattern(written)
    except ExpressionFault as exc:
        raise SpecError(path, exc.message) from exc
    if not pattern.names:
        raise SpecError(path, "needs a group with a name, such as (?P<level>[0-9]+)")
    return pattern


def _pairs(found: Mapping[str, Any], path: Path) -> _Take:
    here = (*path, "pairs")
    spec = mapping(found["pairs"] or {}, here, ("separator", "assign"))
    between = _mark(spec.get("separator", ","), (*here, "separator"))
    assign = _mark(spec.get("assign", "="), (*here, "assign"))
    cells = typed(found.get("types"), (*path, "types"))

    def take(content: str) -> Values:
        pieces = [piece for piece in content.split(between, MOST_PIECES) if piece.strip()]
        if len(pieces) > MOST_PIECES:
            raise PayloadError("bad_text", f"more than {MOST_PIECES} pairs")
        pairs = []
        for piece in pieces:
            name, sign, value = piece.partition(assign)
            if not sign or not name.strip():
                raise PayloadError("bad_text", f"no {assign!r} in a piece of the text")
            pairs.append((name.strip(), value.strip()))
        if not pairs:
            raise PayloadError("bad_text", "no pairs in the text")
        return _typed(pairs, cells)

    return take


def _mark(spec: object, path: Path) -> str:
    mark = text(spec, path)
    if not 1 <= len(mark) <= 8:
        raise SpecError(path, "expected 1 to 8 characters")
    return mark


def _typed(pairs: Sequence[tuple[str, str]] | Any, cells: Mapping[str, Cell]) -> Values:
    """Return what stands under each name; an empty value, or a group that took no part, is none."""
    return {name: cells.get(name, str)(value) for name, value in pairs if value}
