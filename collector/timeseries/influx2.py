"""InfluxDB 2: lines over HTTP; Flux queries, buckets and health through influxdb-client.

Lines are our own (`LineEncoder`): the client's Point alters a tag that ends in a backslash and
drops NaN without a word. They are posted by our own HTTP client, because influxdb-client takes any
2xx for success, a login page's too, and a slow trickle never meets its timeout. Writes were run
against VictoriaMetrics, which speaks the same API; docs/reference/stores.md says what was not run
against InfluxDB 2 itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NoReturn, TypeVar

import structlog
import urllib3
from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.client.influxdb_client import InfluxDBClient

from collector.query import Measurement, Query, QueryError, Row, Table, answer, order_tags, plan
from collector.timeseries import flux
from collector.timeseries.deliver import deliver
from collector.timeseries.line import LineEncoder
from collector.timeseries.posting import is_refusal, post_lines
from collector.timeseries.series import Kind
from collector.timeseries.web import Web, open_web
from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.lifeline import OPTIONS
from gateway_core.model import Batch, Receipt

log = structlog.get_logger()
T = TypeVar("T")

_REMEMBER_S = 15.0
"""How long the list of measurements is remembered: Flux takes several questions for it."""


class Influx2:
    """One bucket of an InfluxDB 2 server; made by `open_influx2`."""

    name = "influxdb2"

    def __init__(self, client: Any, web: Web, org: str, bucket: str) -> None:
        self._client = client
        self._web = web
        self._org = org
        self._bucket = bucket
        self._asker = client.query_api()
        self._encoder = LineEncoder()
        self._turn = asyncio.Lock()
        self._known: dict[str, Measurement] = {}
        self._known_at = -_REMEMBER_S

    async def write(self, batch: Batch) -> Receipt:
        """Store a batch; see `collector.query.TimeSeries`."""
        lines = self._encoder.encode_batch(batch)
        async with self._turn:
            return await deliver(lines, self._post)

    async def query(self, query: Query) -> Table:
        """Answer a question; see `collector.query.TimeSeries`."""
        if query.measurement not in self._known or self._outdated():
            await self.measurements()
        planned = plan(query, self._known)

        async def fetch(start: int, stop: int, limit: int | None) -> list[Row]:
            text, params = flux.select(planned, self._bucket, start, stop, limit)
            tables = await self._ask(text, params)
            return flux.to_rows(planned, (row.values for table in tables for row in table.records))

        return await answer(planned, fetch)

    async def measurements(self) -> list[Measurement]:
        """Return what can be asked for, sorted by name."""
        found = await self._ask(flux.LIST_MEASUREMENTS, {})
        names = sorted(row.values["_value"] for table in found for row in table.records)
        self._known = {name: await self._describe(name) for name in names}
        self._known_at = monotonic()
        return list(self._known.values())

    async def ping(self) -> str:
        """Return the product and its version."""
        if not await self._call(self._client.ping):
            raise Unavailable("InfluxDB does not answer /ping")
        return f"InfluxDB {await self._call(self._client.version)}"

    def _outdated(self) -> bool:
        return monotonic() - self._known_at > _REMEMBER_S

    async def _describe(self, name: str) -> Measurement:
        params = {"_measurement": name}
        tags = {
            str(row.values["_value"])
            for table in await self._ask(flux.LIST_TAGS, params)
            for row in table.records
        }
        fields: dict[str, Kind] = {}
        for table in await self._ask(flux.LIST_FIELDS, params):
            kind = next(
                (flux.KINDS.get(c.data_type) for c in table.columns if c.label == "_value"), None
            )
            fields |= {row.values["_field"]: kind for row in table.records if kind}
        own = order_tags(tag for tag in tags if not tag.startswith("_"))
        return Measurement(name, own, dict(sorted(fields.items())))

    async def _post(self, lines: str) -> str | None:
        params = {"org": self._org, "bucket": self._bucket, "precision": "ns"}
        answer = await post_lines(self._web, "/api/v2/write", params, lines)
        if answer is None:
            return None
        if is_refusal(answer):
            return answer.text or f"status {answer.status}"
        if answer.status == 404:
            await self._create()
        raise Unavailable(f"InfluxDB does not take writes: {answer.status} {answer.text}")

    async def _ask(self, text: str, params: Mapping[str, Any]) -> Any:
        bound = {"_bucket": self._bucket, **params}
        try:
            return await self._call(
                functools.partial(self._asker.query, text, org=self._org, params=bound)
            )
        except InfluxDBError as exc:
            status = int(getattr(exc.response, "status", 0))
            if status in {400, 422}:
                raise QueryError("store_refused", _message(exc)) from exc
            raise Unavailable(f"InfluxDB does not answer: {status} {_message(exc)}") from exc

    async def _create(self) -> None:
        """Create the bucket when it is missing."""
        buckets = self._client.buckets_api()
        try:
            if await self._call(functools.partial(buckets.find_bucket_by_name, self._bucket)):
                return
            make = functools.partial(buckets.create_bucket, bucket_name=self._bucket, org=self._org)
            await self._call(make)
            log.warning("bucket_created", bucket=self._bucket)
        except InfluxDBError as exc:
            raise Unavailable(f"InfluxDB has no bucket {self._bucket}: {_message(exc)}") from exc

    async def _call(self, work: Callable[[], T]) -> T:
        """Run a blocking call of the client in a thread."""
        try:
            return await asyncio.to_thread(work)
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            _away(exc)


def _away(exc: Exception) -> NoReturn:
    raise Unavailable(f"InfluxDB does not answer: {exc}") from exc


def _message(exc: Any) -> str:
    return str(getattr(exc, "message", "") or exc)[:500]


@contextlib.asynccontextmanager
async def open_influx2(
    url: str, org: str, bucket: str, token: str | None, timeout_s: float = 60.0
) -> AsyncIterator[Influx2]:
    """Open a client; the bucket is created by the first write that misses it."""
    with InfluxDBClient(
        url,
        token or "",
        org=org,
        timeout=int(timeout_s * 1000),
        enable_gzip=True,
        retries=urllib3.Retry(0, redirect=0),
    ) as client:
        pools = client.api_client.rest_client.pool_manager.connection_pool_kw
        pools["socket_options"] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *OPTIONS]
        async with open_web(url, f"Token {token or ''}", timeout_s) as web:
            yield Influx2(client, web, org, bucket)
