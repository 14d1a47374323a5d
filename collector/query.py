"""One question, one answer, whatever the store. Pure.

A store implements `TimeSeries`. It hands rows to `answer`, which orders them (by time, then by
series), cuts the page and makes the cursor, so that every store gives the same `Table` for the
same data. Names reach a store only after `plan` found them among its measurements, tags and
fields; values only as parameters.
"""

from __future__ import annotations

import asyncio
import base64
import difflib
import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import msgspec

from collector.timeseries.series import TIME_MAX, TIME_MIN, Kind
from gateway_core.errors import GatewayError
from gateway_core.model import Batch, Receipt

Agg = Literal["mean", "min", "max", "sum", "count", "first", "last", "median"]
AGGS: tuple[Agg, ...] = get_args(Agg)
Cell = bool | int | float | str | None
Row = tuple[Cell, ...]
ColumnKind = Literal["time", "tag", "float", "int", "bool", "str"]

MAX_LIMIT = 1_000_000
_ANY_KIND = frozenset({"count", "first", "last"})
_FLOAT_RESULT = frozenset({"mean", "median"})
_FIRST_TAGS = ("device", "feed", "system", "edge", "profile", "rule", "severity", "reason")
_TAG: ColumnKind = "tag"
_IN_A_THREAD = 20_000
"""Rows beyond which ordering them would hold up the event loop."""


class QueryError(GatewayError):
    """A question that cannot be answered as it is.

    Attributes:
        code: Stable, for example ``unknown_measurement``.
        detail: What was wrong and what to do next.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Query:
    """Points of one measurement in ``start_ns <= time < stop_ns``.

    Attributes:
        measurement: Whose points.
        start_ns: Nanoseconds since 1970.
        stop_ns: Nanoseconds since 1970, exclusive.
        fields: Which fields; none: all that the aggregate can be computed of.
        where: Tag to accepted values; tags not named accept everything.
        every_ns: Width of the windows, which begin at multiples of it; None for raw points.
        agg: What to compute for each window, series and field; ``mean`` when only a width is given.
        limit: Most rows in the answer, 1 to 1,000,000.
        cursor: ``next`` of the previous answer to this same question.
    """

    measurement: str
    start_ns: int
    stop_ns: int
    fields: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    every_ns: int | None = None
    agg: Agg | None = None
    limit: int = 10_000
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a store knows about one measurement.

    Attributes:
        name: The measurement.
        tags: Tag keys, in the order of a table's columns.
        fields: Field key to type, sorted by key.
    """

    name: str
    tags: tuple[str, ...]
    fields: dict[str, Kind]


@dataclass(frozen=True, slots=True)
class Table:
    """An answer.

    Attributes:
        columns: ``time``, the tags, the fields.
        kinds: One for each column.
        rows: Time in nanoseconds; None where a series has no such tag or a point no such field.
        next: Cursor of the following rows; None when these were the last.
    """

    columns: tuple[str, ...]
    kinds: tuple[ColumnKind, ...]
    rows: list[Row]
    next: str | None = None


class TimeSeries(Protocol):
    """A time-series store."""

    @property
    def name(self) -> str:
        """The kind of store, for people, for example ``influxdb1``."""

    async def write(self, batch: Batch) -> Receipt:
        """Store every record that is a series; the same batch twice leaves each point once.

        Raises:
            Unavailable: Nothing is known to have been stored.
        """

    async def query(self, query: Query) -> Table:
        """Answer a question.

        Raises:
            QueryError: The question names something that is not there.
            Unavailable: The store does not answer.
        """

    async def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name.

        Raises:
            Unavailable: The store does not answer.
        """

    async def ping(self) -> str:
        """Return the product and its version.

        Raises:
            Unavailable: The store does not answer.
        """


@dataclass(frozen=True, slots=True)
class Plan:
    """A question whose every name is known to the store.

    Attributes:
        measurement: The measurement, as the store knows it.
        fields: Name to the type of the answer's column.
        where: Tag to accepted values.
        start_ns: Where this page begins.
        stop_ns: Exclusive end.
        every_ns: Width of the windows or None.
        agg: Aggregate or None.
        limit: Most rows of this page.
        skip: Rows at exactly ``start_ns`` that earlier pages held.
    """

    measurement: Measurement
    fields: dict[str, Kind]
    where: dict[str, tuple[str, ...]]
    start_ns: int
    stop_ns: int
    every_ns: int | None
    agg: Agg | None
    limit: int
    skip: int


Fetch = Callable[[int, int, int | None], Awaitable[list[Row]]]
"""(start_ns, stop_ns, limit) to rows (time, tags…, fields…), by time, ties in any order."""


def order_tags(keys: Iterable[str]) -> tuple[str, ...]:
    """Return tag keys in the order of a table's columns: whose, where, then by name."""
    keys = set(keys)
    return (*(key for key in _FIRST_TAGS if key in keys), *sorted(keys - set(_FIRST_TAGS)))


def plan(query: Query, known: Mapping[str, Measurement]) -> Plan:
    """Check every name and bound of `query`.

    Raises:
        QueryError: What is wrong, with the nearest name that exists.
    """
    measurement = known.get(query.measurement)
    if measurement is None:
        raise _unknown("measurement", query.measurement, known)
    for tag in query.where:
        if tag not in measurement.tags:
            raise _unknown("tag", tag, measurement.tags)
    if not 1 <= query.limit <= MAX_LIMIT:
        raise QueryError("bad_limit", f"limit is 1 to {MAX_LIMIT}, not {query.limit}")
    if query.every_ns is not None and query.every_ns < 1:
        raise QueryError("bad_every", "every must be longer than nothing")
    if query.agg is not None and query.agg not in AGGS:
        raise QueryError("bad_agg", f"agg is one of {', '.join(AGGS)}, not {query.agg!r}")
    if query.agg is not None and query.every_ns is None:
        raise QueryError("bad_agg", "agg needs every, the width of the windows, such as 5m")
    agg: Agg | None = query.agg or ("mean" if query.every_ns else None)
    start, skip = max(query.start_ns, TIME_MIN), 0
    if query.cursor is not None:
        at, skip = _read_cursor(query.cursor)
        start = max(start, at)
    return Plan(
        measurement=measurement,
        fields=_fields(query, measurement, agg),
        where={tag: tuple(values) for tag, values in query.where.items()},
        start_ns=start,
        stop_ns=min(query.stop_ns, TIME_MAX),
        every_ns=query.every_ns,
        agg=agg,
        limit=query.limit,
        skip=skip,
    )


async def answer(plan: Plan, fetch: Fetch) -> Table:
    """Fetch, order and page the rows of `plan`.

    Rows of equal time are fetched whole before they are cut, because stores do not order them.
    """
    columns = ("time", *plan.measurement.tags, *plan.fields)
    kinds: tuple[ColumnKind, ...] = (
        "time",
        *(_TAG for _ in plan.measurement.tags),
        *plan.fields.values(),
    )
    if plan.start_ns >= plan.stop_ns or not plan.fields:
        return Table(columns, kinds, [])
    wanted = plan.skip + plan.limit
    rows = await fetch(plan.start_ns, plan.stop_ns, wanted + 1)
    more = len(rows) > wanted
    if more:
        edge = int(rows[-1][0] or 0)
        begin = max(edge, plan.start_ns)
        end = min(edge + (plan.every_ns or 1), plan.stop_ns)
        rows = [row for row in rows if row[0] != edge]
        rows += await fetch(begin, end, None)
    tags = len(plan.measurement.tags)
    if len(rows) > _IN_A_THREAD:
        await asyncio.to_thread(_order, rows, tags)
    else:
        _order(rows, tags)
    page = rows[plan.skip : wanted]
    cursor = None
    if more and page:
        last = page[-1][0]
        held = sum(1 for _ in itertools.takewhile(lambda row: row[0] == last, reversed(page)))
        if held == len(page) and rows[0][0] == last:
            held += plan.skip
        cursor = _write_cursor(int(last or 0), held)
    return Table(columns, kinds, page, cursor)


def _fields(query: Query, measurement: Measurement, agg: Agg | None) -> dict[str, Kind]:
    chosen: dict[str, Kind] = {}
    for name in query.fields or measurement.fields:
        kind = measurement.fields.get(name)
        if kind is None:
            raise _unknown("field", name, measurement.fields)
        numeric = kind in {"float", "int"}
        if agg is not None and agg not in _ANY_KIND and not numeric:
            if query.fields:
                raise QueryError("bad_agg", f"{name} is no number: use count, first or last")
            continue
        if agg == "count":
            chosen[name] = "int"
        else:
            chosen[name] = "float" if agg in _FLOAT_RESULT else kind
    return chosen


def _order(rows: list[Row], tags: int) -> None:
    """Sort in place by time, then by the tags in column order; a missing tag comes first."""
    end = 1 + tags
    rows.sort(key=lambda row: (row[0], *(cell or "" for cell in row[1:end])))


def _unknown(what: str, name: str, known: Iterable[str]) -> QueryError:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if not near and names:
        hint = f"; there are {', '.join(names[:10])}{' …' if len(names) > 10 else ''}"
    return QueryError(f"unknown_{what}", f"no {what} {name!r}{hint}")


def _write_cursor(time: int, held: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((time, held))).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[int, int]:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        time, held = msgspec.json.decode(raw, type=tuple[int, int])
    except (ValueError, UnicodeError) as exc:  # msgspec's errors are ValueErrors
        raise QueryError("bad_cursor", "cursor is not what an answer's next held") from exc
    if not TIME_MIN <= time <= TIME_MAX or not 0 <= held <= MAX_LIMIT:
        raise QueryError("bad_cursor", "cursor is not what an answer's next held")
    return time, held
