"""The on-site history on its way out: JSON, JSON lines, CSV and Parquet, an hour's rows at a time.

What a person exports on site is theirs to carry: the egress policy is about the uplink.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
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


async def export(history: History, question: Question, heading: Table) -> AsyncGenerator[bytes]:
    """Yield everything that a question finds as JSON lines or CSV, whatever its ``limit``.

    All pages have the columns of the whole answer; memory is bounded by one page.

    Args:
        history: Of this site.
        question: Its ``limit`` does not count.
        heading: As `History.heading` gives it.

    Raises:
        PayloadError: The question cannot be answered as it is.
        Unavailable: The disk does not answer.
    """
    form: Format = "jsonl" if question.format == "json" else question.format
    for line in render(heading, form):
        yield line
    async for table in _pages(history, question):
        for line in render(_under(heading, table), form, header=False):
            yield line


async def export_arrow(
    history: History, question: Question, heading: Table
) -> AsyncGenerator[bytes]:
    """Yield everything that a question finds as an Arrow IPC stream; times in nanoseconds.

    Args:
        history: Of this site.
        question: Its ``limit`` and ``format`` do not count.
        heading: As `History.heading` gives it.

    Raises:
        PayloadError: The question cannot be answered as it is.
        Unavailable: The disk does not answer, or a column changed its type on the way.
    """
    types = [_ARROW.get(kind, pa.string()) for kind in heading.types]
    schema = pa.schema(list(zip(heading.columns, types, strict=True)))
    sink = _Sink()
    try:
        with pa.ipc.new_stream(sink, schema) as writer:
            async for table in _pages(history, question):
                rows = _under(heading, table).rows
                columns = [pa.array([row[at] for row in rows], t) for at, t in enumerate(types)]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                yield sink.drain()
    except pa.ArrowException as exc:
        raise Unavailable(f"export: {exc}") from exc
    yield sink.drain()


def parquet_from_arrow(source: Path, target: Path) -> int:
    """Make a Parquet file of a file that holds an Arrow IPC stream; return the rows.

    Raises:
        Unavailable: The stream is not whole, or the disk does not allow it.
    """
    rows = 0
    try:
        with (
            pa.ipc.open_stream(str(source)) as stream,
            pq.ParquetWriter(target, stream.schema, compression="zstd") as writer,
        ):
            for batch in stream:
                writer.write_batch(batch)
                rows += batch.num_rows
    except (OSError, pa.ArrowException) as exc:
        raise Unavailable(f"export to {target}: {exc}") from exc
    return rows


class _Sink(io.RawIOBase):
    """What Arrow writes to: bytes that go out as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []
        self._count = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        self._count += len(self._held[-1])
        return len(self._held[-1])

    def drain(self) -> bytes:
        """Return what was written since the last time."""
        held, self._held = self._held, []
        return b"".join(held)


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


def _under(heading: Table, table: Table) -> Table:
    """Return a page under the columns of the whole answer, as their types."""
    if table.columns == heading.columns and table.types == heading.types:
        return table
    places = {name: at for at, name in enumerate(table.columns)}
    order = [
        (places.get(name), kind == "VARCHAR")
        for name, kind in zip(heading.columns, heading.types, strict=True)
    ]
    rows = [
        tuple(None if at is None else _text(row[at]) if text else row[at] for at, text in order)
        for row in table.rows
    ]
    return Table(heading.columns, heading.types, rows)


def _text(cell: Any) -> str | None:
    """Return a cell as the database writes it where others of its column are text."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return None if cell is None else str(cell)


def _csv(columns: Sequence[str], rows: Iterable[list[Any]], *, header: bool) -> Iterator[bytes]:
    """Yield RFC 4180 lines; text that a spreadsheet would calculate gets a ``'`` before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    if header and columns:
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
