"""Questions as InfluxQL, and InfluxDB 1's JSON answers as rows. Pure.

Names come from the store's own catalogue and are quoted; values are bound parameters.
"""

from __future__ import annotations

from typing import Any

import msgspec

from collector.query import Cell, Plan, Row
from collector.timeseries.series import Kind

KINDS: dict[str, Kind] = {"float": "float", "integer": "int", "boolean": "bool", "string": "str"}


class Series(msgspec.Struct):
    """One series of a result."""

    columns: list[str]
    name: str = ""
    tags: dict[str, str] = {}
    values: list[list[Any]] = []


class Result(msgspec.Struct):
    """The result of one statement."""

    series: list[Series] = []
    error: str = ""


class Results(msgspec.Struct):
    """A whole answer of ``/query``."""

    results: list[Result] = []
    error: str = ""

    @property
    def fault(self) -> str:
        """What the server complains about, or nothing."""
        return self.error or next((each.error for each in self.results if each.error), "")

    def all_series(self) -> list[Series]:
        """Return the series of every statement."""
        return [series for result in self.results for series in result.series]


read_results = msgspec.json.Decoder(Results).decode


def quote(name: str) -> str:
    r"""Return `name` as an InfluxQL identifier: in double quotes, ``\`` and ``"`` escaped."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def select(plan: Plan, start: int, stop: int, limit: int | None) -> tuple[str, dict[str, Cell]]:
    """Return InfluxQL for the rows of `plan` and its bound parameters.

    Of windows, ``LIMIT`` counts those of each series: the first rows of all are among them.
    """
    bound: dict[str, Cell] = {}
    where = [f"time >= {start}", f"time < {stop}"]
    for tag, accepted in plan.where.items():
        names = []
        for value in accepted:
            names.append(f"v{len(bound)}")
            bound[names[-1]] = value
        some = " OR ".join(f"{quote(tag)} = ${name}" for name in names)
        where.append(f"({some or 'time < 0 AND time > 0'})")
    end = "" if limit is None else f" LIMIT {limit}"
    fields = list(plan.fields)
    source = f"FROM {quote(plan.measurement.name)} WHERE {' AND '.join(where)}"
    if plan.agg is None:
        names = [quote(name) for name in (*fields, *plan.measurement.tags)]
        return f"SELECT {', '.join(names)} {source} ORDER BY time{end}", bound
    cells = ", ".join(f"{plan.agg}({quote(f)}) AS c{at}" for at, f in enumerate(fields))
    group = ", ".join([f"time({plan.every_ns}ns)", *map(quote, plan.measurement.tags)])
    return f"SELECT {cells} {source} GROUP BY {group} fill(none){end}", bound


def to_rows(plan: Plan, results: Results) -> list[Row]:
    """Return rows (time, tags…, fields…), by time.

    InfluxDB writes 21.0 as ``21``: the catalogue's types put that right.
    """
    kinds = list(plan.fields.values())
    rows: list[Row] = []
    tags = plan.measurement.tags
    for series in results.all_series():
        fixed = tuple(series.tags.get(tag) or None for tag in tags)
        for time, *cells in series.values:
            values = [_cell(cell, kind) for cell, kind in zip(cells, kinds, strict=False)]
            own = fixed if plan.agg else tuple(cell or None for cell in cells[len(kinds) :])
            if plan.agg == "count":
                values = [value or None for value in values]
            if any(value is not None for value in values):
                rows.append((time, *own, *values))
    rows.sort(key=lambda row: int(row[0] or 0))
    return rows


def _cell(cell: Cell, kind: Kind) -> Cell:
    if cell is None:
        return None
    return float(cell) if kind == "float" else cell
