"""``csv``: lines of separated columns (RFC 4180), one reading or a list of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from device_profiles.codecs.cells import Cell, compile_cell, text_of
from device_profiles.codecs.contract import SpecError, Values
from device_profiles.codecs.grammar import Path, choice, kind, mapping, sequence, text
from gateway_core.errors import PayloadError

MOST_LINES = 10_000
"""Lines that one message may have."""

_SKIP = "skip"
_MARKS = {"tab": "\t", "space": " "}

_Column = tuple[str, Cell]
_Pick = tuple[int, str, Cell]


def compile_csv(spec: object, path: Path) -> Callable[[bytes], Values]:
    """Compile a ``csv`` step.

    Keys: ``columns`` (names, ``name: type`` or ``skip``), ``delimiter`` (one character, ``tab`` or
    ``space``; default a comma), ``header`` (the first line names the columns, which may then come
    in any order and with others between), ``decimal`` (``","``), ``rows`` (the name of the list
    that several lines become).

    Raises:
        SpecError: The specification is wrong.
    """
    keys = ("columns", "delimiter", "header", "decimal", "rows", "when")
    found = mapping(spec, path, keys, "columns")
    decimal = choice(found.get("decimal", "."), (*path, "decimal"), (".", ","))
    columns = _columns(found["columns"], decimal, (*path, "columns"))
    mark = _delimiter(found.get("delimiter", ","), (*path, "delimiter"))
    header = found.get("header", False)
    if not isinstance(header, bool):
        raise SpecError((*path, "header"), "expected true or false")
    rows = text(found["rows"], (*path, "rows")) if "rows" in found else ""
    picks = [(at, *column) for at, column in enumerate(columns) if column is not None]

    def decode(payload: bytes) -> Values:
        lines = _lines(text_of(payload), mark)
        chosen, width = picks, len(columns)
        if header:
            chosen, width = _by_name(lines[0] if lines else [], picks), len(lines[0])
            lines = lines[1:]
        if rows:
            return {rows: [_record(line, chosen, width) for line in lines]}
        if len(lines) != 1:
            raise PayloadError("bad_csv", f"one line expected, {len(lines)} there")
        return _record(lines[0], chosen, width)

    return decode


def _columns(spec: object, decimal: str, path: Path) -> list[_Column | None]:
    columns: list[_Column | None] = []
    names = set()
    for index, item in enumerate(sequence(spec, path)):
        here = (*path, index)
        if item == _SKIP:
            columns.append(None)
            continue
        if isinstance(item, dict) and len(item) == 1:
            name, type_ = next(iter(item.items()))
        elif isinstance(item, str):
            name, type_ = item, "text"
        else:
            raise SpecError(here, f"expected a name, 'name: type' or skip, found {kind(item)}")
        if name in names:
            raise SpecError(here, f"{name!r} stands here twice")
        names.add(name)
        columns.append((str(name), compile_cell(type_, (*here, str(name)), decimal=decimal)))
    if not names:
        raise SpecError(path, "needs a column with a name")
    return columns


def _delimiter(spec: object, path: Path) -> str:
    mark = text(spec, path)
    mark = _MARKS.get(mark, mark)
    if len(mark) != 1 or mark in '"\r\n' or mark.isalnum():
        raise SpecError(path, "expected one character such as ';', or tab, or space")
    return mark


def _lines(content: str, mark: str) -> list[list[str]]:
    """Return the cells of each line that is not empty."""
    lines: list[list[str]] = []
    try:
        for line in csv.reader(io.StringIO(content, newline=""), delimiter=mark, strict=True):
            if line:
                lines.append(line)
            if len(lines) > MOST_LINES:
                raise PayloadError("bad_csv", f"more than {MOST_LINES} lines")
    except csv.Error as exc:
        raise PayloadError("bad_csv", str(exc)) from exc
    return lines


def _by_name(header: Sequence[str], picks: Sequence[_Pick]) -> list[_Pick]:
    places = {name.strip(): at for at, name in enumerate(header)}
    missing = [name for _, name, _ in picks if name not in places]
    if missing:
        raise PayloadError("bad_csv", f"the first line names no column {missing[0]!r}")
    return [(places[name], name, cell) for _, name, cell in picks]


def _record(line: Sequence[str], picks: Sequence[_Pick], width: int) -> dict[str, Any]:
    if len(line) != width:
        raise PayloadError("bad_csv", f"{width} columns expected, {len(line)} there")
    record = {}
    for at, name, cell in picks:
        content = line[at].strip()
        if content:
            record[name] = cell(content)
    return record
