"""The on-site history on its way out: JSON, JSON lines, CSV and Parquet, an hour's rows at a time.

What a person exports on site is theirs to carry: the egress policy is about the uplink.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from edge_agent.history import History, Table
from edge_agent.question import MAX_LIMIT, Format, Question
from edge_agent.shelf import HOUR_NS
from gateway_core.clock import NS
from gateway_core.errors import Unavailable

_ARROW = {
    "BIGINT": pa.int64(),
    "HUGEINT": pa.decimal128(38, 0),
    "UBIGINT": pa.uint64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR[]": pa.list_(pa.string()),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render(table: Table, form: Format, *, header: bool = True) -> Iterator[bytes]:
    """Write a table.

    Args:
        table: What to write.
        form: How; times become RFC 3339 with nanoseconds.
        header: Whether CSV begins with the names of the columns.
    """
    rows = ([_instant(row[0]), *row[1:]] for row in table.rows)
    if form == "json":
        yield msgspec.json.encode(
            {
                "columns": table.columns,
                "rows": list(rows),
                "next": table.next,
                "notes": table.notes,
            }
        )
    elif form == "jsonl":
        for row in rows:
            yield msgspec.json.encode(dict(zip(table.columns, row, strict=True))) + b"\n"
    else:
        yield from _csv(table.columns, rows, header=header)


async def export(history: History, question: Question) -> AsyncIterator[bytes]:
    """Yield everything that a question finds as JSON lines or CSV, whatever its ``limit``.

    All pages have the columns of the first; memory is bounded by one page.

    Raises:
        PayloadError: The question cannot be answered as it is.
        Unavailable: The disk does not answer.
    """
    form: Format = "jsonl" if question.format == "json" else question.format
    first: Table | None = None
    async for table in _pages(history, question):
        page = table if first is None else _under(first, table)
        for line in render(page, form, header=first is None):
            yield line
        first = first or table


async def export_parquet(history: History, question: Question, path: Path) -> int:
    """Write everything that a question finds into one Parquet file; return the rows.

    Raises:
        PayloadError: The question cannot be answered as it is.
        Unavailable: The disk does not answer, or a column changed its type on the way.
    """
    written = 0
    writer: pq.ParquetWriter | None = None
    try:
        first: Table | None = None
        async for table in _pages(history, question):
            first = first or table
            page = _under(first, table)
            types = [_ARROW.get(kind, pa.string()) for kind in page.types]
            schema = pa.schema(list(zip(page.columns, types, strict=True)))
            columns = [
                pa.array([row[at] for row in page.rows], kind) for at, kind in enumerate(types)
            ]
            if writer is None:
                writer = pq.ParquetWriter(path, schema, compression="zstd")
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            written += len(page.rows)
    except (OSError, pa.ArrowException) as exc:
        raise Unavailable(f"export to {path}: {exc}") from exc
    finally:
        if writer is not None:
            writer.close()
    return written


async def _pages(history: History, question: Question) -> AsyncIterator[Table]:
    """Yield page after page, asking for one hour of files at a time."""
    for start, stop in _spans(question, await history.hours(question.measurement)):
        asked = msgspec.structs.replace(
            question, start_ns=start, stop_ns=stop, limit=MAX_LIMIT, cursor=None
        )
        while True:
            table = await history.query(asked)
            if table.columns:
                yield table
            if table.next is None:
                break
            asked = msgspec.structs.replace(asked, cursor=table.next)


def _spans(question: Question, hours: list[int]) -> Iterator[tuple[int, int]]:
    """Yield what lies before the files, each hour of files, and what lies after; no window cut."""
    every = question.every_ns or HOUR_NS
    step = -(-HOUR_NS // every) * every
    begin = question.start_ns
    for edge in sorted({hour // step * step + more for hour in hours for more in (0, step)}):
        if begin < edge < question.stop_ns:
            yield begin, edge
            begin = edge
    if begin < question.stop_ns:
        yield begin, question.stop_ns


def _under(first: Table, table: Table) -> Table:
    """Return a page under the columns of the first: more may have come meanwhile."""
    if table.columns == first.columns and table.types == first.types:
        return table
    places = {name: at for at, name in enumerate(table.columns)}
    order = [places.get(name) for name in first.columns]
    rows = [tuple(None if at is None else row[at] for at in order) for row in table.rows]
    return Table(first.columns, first.types, rows)


def _csv(columns: Iterable[str], rows: Iterable[list[Any]], *, header: bool) -> Iterator[bytes]:
    """Yield RFC 4180 lines; text that a spreadsheet would calculate gets a ``'`` before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if header:
        writer.writerow([_safe(name) for name in columns])
    for row in rows:
        writer.writerow([_safe(cell) for cell in row])
        if out.tell() > 65_536:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


def _safe(cell: object) -> object:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, list):
        cell = ";".join(map(str, cell))
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return "'" + cell
    return cell


def _instant(time: int) -> str:
    """Return RFC 3339 in UTC, with nanoseconds where there are any."""
    seconds, rest = divmod(time, NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"
