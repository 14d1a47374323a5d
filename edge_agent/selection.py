"""A question as SQL: names only from the columns that exist, values only as parameters. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import msgspec

from edge_agent.columns import TAG, field_column
from edge_agent.question import Agg, Question
from gateway_core.errors import PayloadError

_KEYS = ("device", "feed", "system", "edge", "profile", "rule", "severity", "id")
_FIRST = ("time", *_KEYS)
_HIDDEN = ("seq", "received")
_NUMBERS = ("BIGINT", "DOUBLE", "HUGEINT", "UBIGINT", "INTEGER", "FLOAT")
_SQL: dict[Agg, str] = {
    "mean": "avg({0})",
    "min": "min({0})",
    "max": "max({0})",
    "sum": "sum({0})",
    "count": "count({0})",
    "first": "arg_min({0}, time)",
    "last": "arg_max({0}, time)",
    "median": "median({0})",
    "p95": "quantile_cont({0}, 0.95)",
}
_ANY_TYPE = frozenset({"count", "first", "last", "min", "max"})


@dataclass(frozen=True, slots=True)
class Source:
    """What can be selected from.

    Attributes:
        name: Of the view.
        types: Column to its type in SQL.
    """

    name: str
    types: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """A statement.

    Attributes:
        sql: With ``?`` for each value; returns one row more than asked for.
        values: Their values.
        columns: Of the answer; behind them each row has what orders it.
    """

    sql: str
    values: list[Any]
    columns: tuple[str, ...]

    def cursor(self, row: tuple[Any, ...]) -> str:
        """Return what the following page begins after."""
        order = row[len(self.columns) :]
        return base64.urlsafe_b64encode(msgspec.json.encode(order)).decode().rstrip("=")


def select(question: Question, source: Source) -> Selection:
    """Write the statement that answers a question.

    Raises:
        PayloadError: ``unknown_field``, ``bad_question`` or ``bad_cursor``.
    """
    keys = [name for name in _KEYS if name in source.types]
    tags = sorted(name for name in source.types if name.startswith(TAG))
    fields = _fields(question, source, {*keys, *tags})
    series = [*keys, *tags]
    shown = [name.removeprefix(TAG) for name in series]
    values: list[Any] = [question.start_ns, question.stop_ns]
    where = ["time >= ?", "time < ?"]
    for name, wanted in question.where.items():
        column = _column(name, source)
        if source.types[column] != "VARCHAR":
            raise PayloadError("bad_question", f"where takes names and tags; {name} is a value")
        where.append(f"{_quoted(column)} IN (SELECT unnest(?))")
        values.append(list(wanted))
    grouped = question.every_ns is not None
    if grouped:
        time = f"time // {question.every_ns} * {question.every_ns}"
        picked = [f"{_SQL[question.agg].format(_quoted(name))}" for name in fields]
    else:
        time = "time"
        picked = [_quoted(name) for name in fields]
    order = [f"coalesce({_quoted(name)}, '')" for name in series]
    order = [time, *order, *([] if grouped else ["seq"])]
    listed = [time, *map(_quoted, series), *picked, *order]
    named = ", ".join(f"{what} AS c{at}" for at, what in enumerate(listed))
    sql = f"SELECT {named} FROM {source.name} WHERE {' AND '.join(where)}"  # noqa: S608
    if grouped:
        sql += f" GROUP BY {', '.join([time, *map(_quoted, series)])}"
    begin = len(listed) - len(order)
    marks = [f"c{at}" for at in range(begin, len(listed))]
    sql = f"SELECT * FROM ({sql})"  # noqa: S608
    if question.cursor is not None:
        after = _after(question.cursor, len(order))
        sql += f" WHERE ({', '.join(marks)}) > ({', '.join('?' * len(after))})"
        values += after
    sql += f" ORDER BY {', '.join(marks)} LIMIT {question.limit + 1}"
    return Selection(sql, values, ("time", *shown, *map(_shown, fields)))


def _fields(question: Question, source: Source, series: set[str]) -> list[str]:
    """Return the columns to show, or to compute from."""
    numeric = question.every_ns is not None and question.agg not in _ANY_TYPE
    if question.fields:
        fields = [_column(name, source) for name in question.fields]
        for name in fields:
            if numeric and source.types[name] not in _NUMBERS:
                raise PayloadError("bad_question", f"{name} is no number: ask for last or count")
        return [name for name in fields if name not in series and name != "time"]
    return [
        name
        for name, kind in source.types.items()
        if name not in series
        and name not in _FIRST
        and name not in _HIDDEN
        and not (question.every_ns is not None and name == "flags")
        and (not numeric or kind in _NUMBERS)
    ]


def _column(name: str, source: Source) -> str:
    """Return the column that a person means by a name."""
    for column in (name, field_column(name), TAG + name):
        if column in source.types:
            return column
    near = get_close_matches(name, map(_shown, source.types), n=1)
    hint = f"did you mean {near[0]}?" if near else "leave fields out to see what there is"
    raise PayloadError("unknown_field", f"no column {name}; {hint}")


def _after(cursor: str, count: int) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        after = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=list[int | str])
    except (ValueError, msgspec.MsgspecError) as exc:
        raise PayloadError("bad_cursor", "use next of the answer before") from exc
    if len(after) != count:
        raise PayloadError("bad_cursor", "it belongs to another question")
    return after


def _shown(column: str) -> str:
    return column.removeprefix(TAG).removeprefix("field.")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
