"""A question to the embedded store, as SQL. Pure.

Names are columns that the shelf holds, quoted; values are parameters.
"""

from __future__ import annotations

from typing import Any

from collector.query import Plan
from collector.timeseries.series import Kind
from collector.timeseries.shelf import Shelf

_AGGS = {
    "mean": "avg({f})",
    "min": "min({f})",
    "max": "max({f})",
    "count": "nullif(count({f}), 0)",
    "first": "arg_min({f}, p.time) FILTER ({f} IS NOT NULL)",
    "last": "arg_max({f}, p.time) FILTER ({f} IS NOT NULL)",
    "median": "median({f})",
}
_SUMS: dict[Kind, str] = {"float": "sum({f})", "int": "TRY_CAST(sum({f}) AS BIGINT)"}


def select(
    shelf: Shelf, plan: Plan, start: int, stop: int, limit: int | None
) -> tuple[str, list[Any]]:
    """Return SQL for rows (time, tags…, fields…) by time, and its parameters."""
    columns = {name: f"p.{shelf.fields[name][1]}" for name in plan.fields}
    there = " OR ".join(f"{column} IS NOT NULL" for column in columns.values())
    where = ["p.time >= ?", "p.time < ?", f"({there})"]
    values: list[Any] = [start, stop]
    for tag, accepted in plan.where.items():
        where.append(f"s.{shelf.tags[tag]} IN (SELECT unnest(?::VARCHAR[]))")
        values.append(list(accepted))
    tags = "".join(f", s.{shelf.tags[tag]}" for tag in plan.measurement.tags)
    time, cells, group = "p.time", list(columns.values()), ""
    if plan.agg is not None and plan.every_ns is not None:
        every = plan.every_ns
        time = f"p.time - ((p.time % {every}) + {every}) % {every}"
        cells = [_aggregate(plan.agg, shelf.fields[name][0], columns[name]) for name in columns]
        group = f" GROUP BY {time}, p.series{tags}"
    end = "" if limit is None else f" LIMIT {limit}"
    sql = (
        f"SELECT {time}{tags}, {', '.join(cells)} FROM points.{shelf.tab} p"  # noqa: S608
        f" JOIN series.{shelf.tab} s ON s.id = p.series"
        f" WHERE {' AND '.join(where)}{group} ORDER BY 1{end}"
    )
    return sql, values


def _aggregate(agg: str, kind: Kind, column: str) -> str:
    text = _SUMS[kind] if agg == "sum" else _AGGS[agg]
    return text.format(f=column)
