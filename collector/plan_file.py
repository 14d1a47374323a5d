"""The plan of feeds as people write it: CSV or .xlsx, columns named in Chinese or English."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.registry.plan import PlannedFeed
from gateway_core.csv_table import Cell
from gateway_core.errors import ConfigError, Fault
from gateway_core.gb28181 import parse_feed_code
from gateway_core.headings import FEED, MARK, read_headings
from gateway_core.sheet import read_sheet

MAX_ROWS = 1_000_000
COLUMNS = ("edge", "id", "name", "owner", "area", "group", "gb_code")
_AT_THE_EDGE = FEED.keys() - {*COLUMNS, "password"}
_NOT_READ = {*_AT_THE_EDGE, MARK}
_FORBIDDEN = {"password": "passwords have no place at the centre; remove the column"}
_EDGE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID = re.compile(r"[^\s\x00-\x20\x7f,\"]{1,128}")
_AREA = re.compile(r"[0-9A-Za-z._-]{1,64}")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """What a file says.

    Attributes:
        feeds: Of the rows without a mistake, in the order of the file.
        faults: Every mistake, in the order of the file.
        rows: Header and rows as they were read, for a marked-up copy.
    """

    feeds: list[PlannedFeed] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)


def read_plan(
    path: Path, edge: str = "", progress: Callable[[int], None] | None = None
) -> PlanFile:
    """Read a plan and check every row.

    Args:
        path: ``.xlsx``, or CSV in UTF-8 or GB 18030.
        edge: Of the rows that name none.
        progress: Told how many rows were checked, every thousand.

    Raises:
        ConfigError: The file cannot be read, or its header names no plan.
    """
    rows = read_sheet(path)
    header = next(rows, None)
    if header is None:
        raise ConfigError(Fault(path, 1, 1, "", f"is empty; the columns are {', '.join(COLUMNS)}"))
    reader = _Reader(path, _columns(path, header, needs_edge=not edge), edge)
    reader.found.rows.append(header)
    for number, cells in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise ConfigError(Fault(path, cells[0].line, 1, "", f"more than {MAX_ROWS} rows"))
        reader.take(cells)
        if progress is not None and number % 1000 == 0:
            progress(number)
    return reader.found


class _Reader:
    def __init__(self, path: Path, columns: Sequence[str], edge: str) -> None:
        self.found = PlanFile()
        self._path, self._columns, self._edge = path, columns, edge
        self._ids: dict[tuple[str, str], int] = {}
        self._codes: dict[str, int] = {}

    def take(self, cells: list[Cell]) -> None:
        """Check one row and keep what it says."""
        found, before = self.found, len(self.found.faults)
        found.rows.append(cells)
        row = {name: cell for name, cell in zip(self._columns, cells, strict=False) if cell.text}
        for name in _NOT_READ & row.keys():
            del row[name]
        here = cells[0]
        nameless = row.pop("", None)
        for extra in (nameless, *cells[len(self._columns) :]):
            if extra is not None and extra.text:
                self._fault(extra, "", "the header names no column here; remove the cell")
        values = {name: self._value(name, cell) for name, cell in row.items()}
        edge = values.get("edge") or self._edge
        feed = values.get("id") or values.get("gb_code") or ""
        if not edge and "edge" not in row:
            self._fault(here, "edge", "is empty; name the edge agent that the feed is at")
        if not feed and not {"id", "gb_code"} & row.keys():
            self._fault(here, "id", "is empty; give the feed's id at its edge, or its gb_code")
        if edge and feed:
            first = self._ids.setdefault((edge, feed), here.line)
            if first != here.line:
                message = f"{feed!r} of {edge!r} is on row {first} already; remove one of them"
                self._fault(row.get("id", here), "id", message)
        if len(found.faults) == before:
            found.feeds.append(PlannedFeed(**{**values, "edge": edge, "id": feed}))

    def _value(self, name: str, cell: Cell) -> str:
        try:
            _CHECKS[name](cell.text)
            if name == "gb_code" and (first := self._codes.setdefault(cell.text, cell.line)):
                _require(first == cell.line, f"is on row {first} already; codes are unique")
        except ValueError as exc:
            self._fault(cell, name, f"{cell.text[:80]!r}: {exc}")
            return ""
        return cell.text

    def _fault(self, cell: Cell, column: str, message: str) -> None:
        self.found.faults.append(Fault(self._path, cell.line, cell.col, column, message))


def _columns(path: Path, header: Sequence[Cell], *, needs_edge: bool) -> list[str]:
    columns = read_headings(path, header, COLUMNS, aside=_AT_THE_EDGE, forbidden=_FORBIDDEN)
    faults = []
    if needs_edge and "edge" not in columns:
        faults.append(Fault(path, 1, 1, "edge", "the column is missing; add it, or name one edge"))
    if not {"id", "gb_code"} & set(columns):
        faults.append(Fault(path, 1, 1, "id", "the column is missing"))
    if faults:
        raise ConfigError(*faults)
    return columns


def _require(fits: bool, message: str) -> None:  # noqa: FBT001  # a condition, as assert takes one
    if not fits:
        raise ValueError(message)


def _plain(text: str) -> None:
    _require(len(text) <= 128, "expected at most 128 characters")
    _require(text.isprintable(), "holds characters that cannot be printed")


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[str], object]:
    return lambda text: _require(bool(pattern.fullmatch(text)), f"expected {expected}")


_CHECKS: dict[str, Callable[[str], object]] = {
    "edge": _matching(_EDGE, "an edge's id: a-z, 0-9, dot, dash, underscore"),
    "id": _matching(_ID, "1 to 128 characters without spaces, commas or quotes"),
    "name": _plain,
    "owner": _plain,
    "group": _plain,
    "area": _matching(_AREA, "a code of the area tree, for example 371602"),
    "gb_code": parse_feed_code,
}
