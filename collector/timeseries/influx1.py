"""InfluxDB 1: ``/write`` in line protocol, ``/query`` in InfluxQL.

Run in the tests against Debian's InfluxDB 1.6.7, which acknowledges a write after it is on disk.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog

from collector.query import Measurement, Query, QueryError, Row, Table, answer, order_tags, plan
from collector.timeseries.deliver import deliver
from collector.timeseries.influxql import (
    KINDS,
    Results,
    Series,
    quote,
    read_results,
    select,
    to_rows,
)
from collector.timeseries.line import LineEncoder
from collector.timeseries.posting import is_refusal, post_lines
from collector.timeseries.series import Kind
from collector.timeseries.web import Web, open_web
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Receipt

log = structlog.get_logger()


class Influx1:
    """One database of an InfluxDB 1 server; made by `open_influx1`."""

    name = "influxdb1"

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
            text, bound = select(planned, start, stop, limit)
            results = await self._ask(text, msgspec.json.encode(bound).decode())
            rows = to_rows(planned, results)
            return rows if limit is None else rows[:limit]

        return await answer(planned, fetch)

    async def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name."""
        tags = await self._ask("SHOW TAG KEYS")
        fields = await self._ask("SHOW FIELD KEYS")
        keys = {each.name: [row[0] for row in each.values] for each in tags.all_series()}
        return sorted(
            (
                Measurement(each.name, order_tags(keys.get(each.name, ())), _kinds(each))
                for each in fields.all_series()
            ),
            key=lambda each: each.name,
        )

    async def ping(self) -> str:
        """Return the product and its version."""
        results = await self._ask("SHOW DIAGNOSTICS")
        for series in results.all_series():
            if "Version" in series.columns and series.values:
                return f"InfluxDB {series.values[0][series.columns.index('Version')]}"
        return "InfluxDB 1"

    async def create(self) -> None:
        """Create the database; nothing if it is there."""
        await self._ask(f"CREATE DATABASE {quote(self._database)}", database=False)

    async def _post(self, lines: str) -> str | None:
        params = {"db": self._database, "precision": "ns"}
        answer = await post_lines(self._web, "/write", params, lines)
        if answer is None:
            return None
        if answer.status == 404 and "database not found" in answer.text:
            log.warning("database_missed", database=self._database)
            await self.create()
            raise Unavailable(f"InfluxDB had no database {self._database}; it was created")
        if answer.status == 413 and "\n" in lines:
            return "too large for one request"
        if not is_refusal(answer):
            raise Unavailable(f"InfluxDB refuses to take writes: {answer.status} {answer.text}")
        try:
            return read_results(answer.body).fault or answer.text
        except msgspec.MsgspecError:
            return answer.text or f"status {answer.status}"

    async def _ask(self, text: str, bound: str = "{}", *, database: bool = True) -> Results:
        form = {"q": text, "epoch": "ns", "params": bound}
        if database:
            form["db"] = self._database
        answer = await self._web.send("POST", "/query", form=form)
        try:
            results = read_results(answer.body)
        except msgspec.MsgspecError as exc:
            raise Unavailable(f"InfluxDB's answer is not readable: {answer.text[:200]}") from exc
        if results.fault.startswith("database not found"):
            await self.create()
            return Results()
        if answer.status != 200 or results.fault:
            if answer.status == 401:
                raise Unavailable(f"InfluxDB does not let us in: {results.fault}")
            raise QueryError("store_refused", results.fault or f"status {answer.status}")
        return results


def _kinds(series: Series) -> dict[str, Kind]:
    return {name: KINDS[kind] for name, kind in sorted(series.values) if kind in KINDS}


@contextlib.asynccontextmanager
async def open_influx1(
    url: str, database: str, username: str | None = None, password: str | None = None
) -> AsyncIterator[Influx1]:
    """Open a client; the database is created by the first write or question that misses it."""
    secret = base64.b64encode(f"{username}:{password or ''}".encode()).decode()
    async with open_web(url, f"Basic {secret}" if username else None) as web:
        yield Influx1(web, database)
