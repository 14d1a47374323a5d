"""``tidegate query``: points or aggregates of one measurement, from a running collector."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from tidegate.output import print_table
from tidegate.remote import ask, pour
from tidegate.usage import WrongUsage

Format = Literal["table", "csv", "json", "parquet"]
Url = Annotated[str, Parameter(help="Of the collector's API.", env_var="TIDEGATE_URL")]
HERE = "http://localhost:8080"
ARROW = "application/vnd.apache.arrow.stream"
_ACCEPT = {"csv": "text/csv", "parquet": ARROW}
_PAGE = 100_000


def question(
    measurement: str,
    device: list[str],
    field: list[str],
    where: list[str],
    since: str,
    until: str,
) -> dict[str, Any]:
    """Return the body of ``POST /api/v1/query``, without limits.

    Raises:
        WrongUsage: ``where`` is not ``tag=value``.
    """
    tags: dict[str, list[str]] = {"device": device} if device else {}
    for pair in where:
        tag, equals, value = pair.partition("=")
        if not equals:
            raise WrongUsage(f"--where {pair!r}: expected tag=value, such as edge=bz-edge-01")
        tags.setdefault(tag, []).append(value)
    return {
        "measurement": measurement,
        "fields": field,
        "where": tags,
        "start": instant(since),
        "stop": instant(until),
    }


def instant(text: str) -> str:
    """Return ``-1h`` for ``1h``; everything else as it is."""
    return f"-{text}" if text[:1].isdigit() and text[-1:].isalpha() and "T" not in text else text


def query(
    measurement: str,
    /,
    *,
    device: list[str] = [],  # noqa: B006  # never changed
    field: list[str] = [],  # noqa: B006
    where: list[str] = [],  # noqa: B006
    since: str = "1h",
    until: str = "now",
    every: str | None = None,
    agg: str | None = None,
    limit: int = 10_000,
    format: Format = "table",  # noqa: A002  # the option's name
    out: Path | None = None,
    url: Url = HERE,
) -> None:
    """Print points or aggregates of one measurement.

        tidegate query env --device sim-env-00001 --since 1h --every 5m --agg mean

    Args:
        measurement: For example env, feed_health, alarm.
        device: Only this device; may be repeated.
        field: Only this field; may be repeated.
        where: Only this tag=value; may be repeated.
        since: A duration back from now, or RFC 3339.
        until: now, or RFC 3339.
        every: Width of windows, for example 5m; left out: raw points.
        agg: mean, min, max, sum, count, first, last or median.
        limit: Most rows; when there are more, standard error says so.
        format: What to print.
        out: Write to this file instead.
    """
    body = question(measurement, device, field, where, since, until)
    body |= {"every": every, "agg": agg, "limit": limit}
    if format in ("csv", "parquet"):
        answer, more = asyncio.run(_ask_for_file(url, body, _ACCEPT[format]))
        _write(parquet(answer) if format == "parquet" else answer, out)
        if more:
            _say_more(limit)
        return
    answer = asyncio.run(_ask(url, body, "application/json"))
    if format == "json":
        _write(answer + b"\n", out)
        return
    table = msgspec.json.decode(answer)
    print_table(table["columns"], table["rows"])
    if table["next"]:
        _say_more(limit)


def _say_more(limit: int) -> None:
    print(f"more than {limit} rows: raise --limit, or use export", file=sys.stderr)


async def pages(url: str, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Yield the answer's pages as they come, each a dict of columns, rows and next."""
    body = body | {"limit": _PAGE}
    while True:
        page: dict[str, Any] = msgspec.json.decode(await _ask(url, body, "application/json"))
        yield page
        if page["next"] is None:
            return
        body = body | {"cursor": page["next"]}


def parquet(stream: bytes) -> bytes:
    """Return an Arrow stream as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    with pa.ipc.open_stream(stream) as reader:
        pq.write_table(reader.read_all(), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


async def _ask(url: str, body: dict[str, Any], accept: str) -> bytes:
    return await ask("POST", f"{url.rstrip('/')}/api/v1/query", body=body, accept=accept)


def _write(data: bytes, out: Path | None) -> None:
    if out is not None:
        out.write_bytes(data)
        return
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


async def _ask_for_file(url: str, body: dict[str, Any], accept: str) -> tuple[bytes, bool]:
    """Return the answer as it came, and whether there is more of it."""
    parts: list[bytes] = []
    headers = await pour(f"{url.rstrip('/')}/api/v1/query", body, parts.append, accept)
    return b"".join(parts), "X-Next-Cursor" in headers
