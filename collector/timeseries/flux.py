"""Questions as Flux, and Flux tables as rows. Pure.

Values go as parameters (``option`` statements in the request's ``extern`` file); the only names in
the text are tag keys that the store itself listed, as escaped string literals.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.query import Cell, Plan, Row
from collector.timeseries.series import Kind

KINDS: dict[str, Kind] = {"double": "float", "long": "int", "boolean": "bool", "string": "str"}

LIST_MEASUREMENTS = (
    'import "influxdata/influxdb/schema"\nschema.measurements(bucket: _bucket, start: time(v: 0))'
)
LIST_TAGS = (
    'import "influxdata/influxdb/schema"\n'
    "schema.measurementTagKeys(bucket: _bucket, measurement: _measurement, start: time(v: 0))"
)
LIST_FIELDS = """
from(bucket: _bucket) |> range(start: time(v: 0))
 |> filter(fn: (r) => r._measurement == _measurement)
 |> last() |> group(columns: ["_field"]) |> limit(n: 1) |> keep(columns: ["_field", "_value"])
"""
_MEDIAN = '(tables=<-, column) => tables |> median(method: "exact_mean", column: column)'


def select(
    plan: Plan, bucket: str, start: int, stop: int, limit: int | None
) -> tuple[str, dict[str, Any]]:
    """Return Flux for the rows of `plan` and its parameters.

    Times leave Flux as whole numbers: the client library cuts them to microseconds otherwise.
    """
    params: dict[str, Any] = {
        "_bucket": bucket,
        "_measurement": plan.measurement.name,
        "_from": start,
        "_until": stop,
        "_fields": list(plan.fields),
    }
    steps = [
        "from(bucket: _bucket)",
        "range(start: time(v: _from), stop: time(v: _until))",
        "filter(fn: (r) => r._measurement == _measurement)",
        "filter(fn: (r) => contains(value: r._field, set: _fields))",
    ]
    for number, (tag, accepted) in enumerate(plan.where.items()):
        params[f"_where{number}"] = list(accepted)
        steps.append(f"filter(fn: (r) => contains(value: r[{literal(tag)}], set: _where{number}))")
    if plan.agg is not None:
        params["_every"] = plan.every_ns
        fn = _MEDIAN if plan.agg == "median" else plan.agg
        steps.append(
            f"aggregateWindow(every: duration(v: _every), fn: {fn}, createEmpty: false,"
            ' timeSrc: "_start")'
        )
    steps += [
        'pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")',
        "map(fn: (r) => ({r with _at: int(v: r._time)}))",
        'drop(columns: ["_start", "_stop", "_time", "_measurement"])',
        "group()",
        'sort(columns: ["_at"])',
    ]
    if limit is not None:
        params["_most"] = limit
        steps.append("limit(n: _most)")
    return "\n |> ".join(steps), params


def to_rows(plan: Plan, records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return rows (time, tags…, fields…); a window's time is where it begins, cut by nothing."""
    rows: list[Row] = []
    for record in records:
        at = int(record["_at"])
        time = at - at % plan.every_ns if plan.every_ns else at
        tags = [record.get(tag) or None for tag in plan.measurement.tags]
        fields = [_cell(record.get(name), kind) for name, kind in plan.fields.items()]
        if any(field is not None for field in fields):
            rows.append((time, *tags, *fields))
    return rows


def literal(text: str) -> str:
    """Return `text` as a Flux string, in which ``${`` would begin an expression."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return f'"{escaped}"'


def _cell(cell: Cell, kind: Kind) -> Cell:
    if cell is None:
        return None
    return float(cell) if kind == "float" else cell
