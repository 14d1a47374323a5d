"""InfluxDB 3: its v2-compatible write endpoint, and SQL over HTTP.

Written from the vendor's documentation and tested against a stand-in: no InfluxDB 3 server was at
hand (docs/reference/stores.md).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from collector.query import (
    Cell,
    Measurement,
    Plan,
    Query,
    QueryError,
    Row,
    Table,
    answer,
    order_tags,
    plan,
)
from collector.timeseries.deliver import deliver
from collector.timeseries.line import LineEncoder
from collector.timeseries.posting import is_refusal, post_lines
from collector.timeseries.series import Kind
from collector.timeseries.web import Web, open_web
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Receipt

_KINDS: dict[str, Kind] = {
    "Float64": "float",
    "Int64": "int",
    "Boolean": "bool",
    "Utf8": "str",
}
_COLUMNS = (
    "SELECT table_name, column_name, data_type FROM information_schema.columns"
    " WHERE table_schema = 'iox'"
)
_AGGS = {
    "mean": "avg({f})",
    "min": "min({f})",
    "max": "max({f})",
    "sum": "sum({f})",
    "count": "nullif(count({f}), 0)",
    "first": "first_value({f} ORDER BY time) FILTER (WHERE {f} IS NOT NULL)",
    "last": "last_value({f} ORDER BY time) FILTER (WHERE {f} IS NOT NULL)",
    "median": "median({f})",
}


class Influx3:
    """One database of an InfluxDB 3 server; made by `open_influx3`."""

    name = "influxdb3"

    def __init__(self, web: Web, database: str) -> None:
        self._web = web
        self._database = database
        self._encoder = LineEncoder()
        self._turn = asyncio.Lock()

    async def write(self, batch: Batch) -> Receipt:
        """Store a batch; see `collector.query.TimeSeries`."""
        lines = self._encoder.encode_batch(batch)
        async with self._turn:
            return await deliver(lines, self._post)

    async def query(self, query: Query) -> Table:
        """Answer a question; see `collector.query.TimeSeries`."""
        planned = plan(query, {each.name: each for each in await self.measurements()})

        async def fetch(start: int, stop: int, limit: int | None) -> list[Row]:
            text, params = select(planned, start, stop, limit)
            return [_row(planned, found) for found in await self._ask(text, params)]

        return await answer(planned, fetch)

    async def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name."""
        tags: dict[str, list[str]] = {}
        fields: dict[str, dict[str, Kind]] = {}
        for column in await self._ask(_COLUMNS, {}):
            table, name, kind = (
                str(column[key]) for key in ("table_name", "column_name", "data_type")
            )
            if kind.startswith("Dictionary"):
                tags.setdefault(table, []).append(name)
            elif kind in _KINDS:
                fields.setdefault(table, {})[name] = _KINDS[kind]
        return [
            Measurement(name, order_tags(tags.get(name, ())), dict(sorted(fields[name].items())))
            for name in sorted(fields)
        ]

    async def ping(self) -> str:
        """Return the product and its version."""
        answer = await self._web.send("GET", "/ping")
        try:
            told = msgspec.json.decode(answer.body, type=dict[str, Any])
        except msgspec.MsgspecError:
            told = {}
        return f"InfluxDB {told.get('version', '3')}"

    async def _post(self, lines: str) -> str | None:
        params = {"bucket": self._database, "precision": "ns"}
        answer = await post_lines(self._web, "/api/v2/write", params, lines)
        if answer is None:
            return None
        if is_refusal(answer):
            return answer.text or f"status {answer.status}"
        raise Unavailable(f"InfluxDB does not take writes: {answer.status} {answer.text}")

    async def _ask(self, text: str, params: Mapping[str, Cell]) -> list[dict[str, Any]]:
        question = {"db": self._database, "q": text, "params": params, "format": "jsonl"}
        answer = await self._web.send(
            "POST",
            "/api/v3/query_sql",
            body=msgspec.json.encode(question),
            kind="application/json",
        )
        if answer.status in {400, 422}:
            raise QueryError("store_refused", answer.text)
        if answer.status != 200:
            raise Unavailable(f"InfluxDB does not answer: {answer.status} {answer.text}")
        try:
            lines = answer.body.splitlines()
            return [msgspec.json.decode(line, type=dict[str, Any]) for line in lines if line]
        except msgspec.MsgspecError as exc:
            raise Unavailable(f"InfluxDB's answer is not readable: {answer.text[:200]}") from exc


def select(plan: Plan, start: int, stop: int, limit: int | None) -> tuple[str, dict[str, Cell]]:
    """Return SQL for rows named at, t0, t1… and f0, f1…, and its parameters."""
    params: dict[str, Cell] = {"start": start, "stop": stop}
    fields = [_quote(name) for name in plan.fields]
    where = [
        "time >= to_timestamp_nanos($start)",
        "time < to_timestamp_nanos($stop)",
        f"({' OR '.join(f'{field} IS NOT NULL' for field in fields)})",
    ]
    for tag, accepted in plan.where.items():
        marks = []
        for value in accepted:
            marks.append(f"$w{len(params)}")
            params[marks[-1][1:]] = value
        where.append(f"{_quote(tag)} IN ({', '.join(marks)})" if marks else "false")
    tags = [_quote(tag) for tag in plan.measurement.tags]
    time, cells, group = "time", fields, ""
    if plan.agg is not None:
        text = _AGGS[plan.agg]
        time = f"date_bin(INTERVAL '{plan.every_ns} nanoseconds', time, to_timestamp_nanos(0))"
        cells = [text.format(f=field) for field in fields]
        group = f" GROUP BY {', '.join([time, *tags])}"
    named = [f"CAST({time} AS BIGINT) AS at"]
    named += [f"{tag} AS t{n}" for n, tag in enumerate(tags)]
    named += [f"{cell} AS f{n}" for n, cell in enumerate(cells)]
    end = "" if limit is None else f" LIMIT {limit}"
    sql = (
        f"SELECT {', '.join(named)} FROM {_quote(plan.measurement.name)}"  # noqa: S608
        f" WHERE {' AND '.join(where)}{group} ORDER BY at{end}"
    )
    return sql, params


def _row(plan: Plan, found: Mapping[str, Any]) -> Row:
    tags = [found.get(f"t{n}") or None for n in range(len(plan.measurement.tags))]
    fields = [
        float(cell) if kind == "float" and cell is not None else cell
        for cell, kind in (
            (found.get(f"f{n}"), kind) for n, kind in enumerate(plan.fields.values())
        )
    ]
    return (int(found["at"]), *tags, *fields)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.asynccontextmanager
async def open_influx3(url: str, database: str, token: str | None) -> AsyncIterator[Influx3]:
    """Open a client; InfluxDB 3 creates the database with the first write."""
    async with open_web(url, f"Bearer {token}" if token else None) as web:
        yield Influx3(web, database)
