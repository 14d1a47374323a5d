"""A table as people and programs want it: text, CSV, JSON, Arrow, Parquet. Pure.

Times become RFC 3339 here; no data is a dash for people and an empty cell or null for programs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from collector.query import Cell, ColumnKind, Row, Table
from gateway_core.instant import to_rfc3339

NO_DATA = "—"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


def to_text(table: Table) -> str:
    """Return columns of equal width for a terminal; numbers to the right."""
    kinds = table.kinds
    shown = [
        [_person(cell, kind) for cell, kind in zip(row, kinds, strict=True)] for row in table.rows
    ]
    widths = [
        max(_width(name), *(_width(row[at]) for row in shown)) if shown else _width(name)
        for at, name in enumerate(table.columns)
    ]
    lines = [_line(list(table.columns), widths, kinds), *(_line(r, widths, kinds) for r in shown)]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """Return RFC 4180 text; text that a spreadsheet would calculate gets a ``'`` before it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(name) for name in table.columns])
    for row in table.rows:
        writer.writerow([_flat(c, k) for c, k in zip(row, table.kinds, strict=True)])
    return out.getvalue()


def to_json(table: Table) -> bytes:
    """Return ``{"columns": […], "rows": [[…], …], "next": …}`` with times in RFC 3339."""
    rows = [(to_rfc3339(_time(row)), *row[1:]) for row in table.rows]
    return msgspec.json.encode({"columns": table.columns, "rows": rows, "next": table.next})


def to_arrow_stream(table: Table) -> bytes:
    """Return an Arrow IPC stream; time is ``timestamp[ns, UTC]``."""
    import pyarrow as pa

    held = _arrow(table)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, held.schema) as writer:
        writer.write_table(held)
    return sink.getvalue()


def to_parquet(table: Table) -> bytes:
    """Return a Parquet file, zstd-compressed; time is ``timestamp[ns, UTC]``."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(_arrow(table), sink, compression="zstd")
    return sink.getvalue()


def _arrow(table: Table) -> Any:
    import pyarrow as pa

    types: dict[ColumnKind, Any] = {
        "time": pa.timestamp("ns", "UTC"),
        "tag": pa.string(),
        "float": pa.float64(),
        "int": pa.int64(),
        "bool": pa.bool_(),
        "str": pa.string(),
    }
    arrays = [
        pa.array([row[at] for row in table.rows], types[kind])
        for at, kind in enumerate(table.kinds)
    ]
    return pa.table(arrays, names=list(table.columns))


def _time(row: Row) -> int:
    return int(row[0] or 0)


def _person(cell: Cell, kind: ColumnKind) -> str:
    if cell is None:
        return NO_DATA
    if kind == "time":
        return to_rfc3339(int(cell))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = f"{cell:.12g}" if isinstance(cell, float) else str(cell)
    return "".join(_visible(text))


def _visible(text: str) -> Iterator[str]:
    """Show what a terminal would obey, such as an escape character, by its name."""
    for char in text:
        yield char if char.isprintable() else char.encode("unicode_escape").decode()


def _flat(cell: Cell, kind: ColumnKind) -> Cell:
    if cell is None:
        return ""
    if kind == "time":
        return to_rfc3339(int(cell))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return _safe(cell) if isinstance(cell, str) else cell


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _width(text: str) -> int:
    """Return how many columns of a terminal `text` takes: Chinese takes two each."""
    return sum(2 if char >= "\u1100" and not "\u2000" <= char < "\u2e80" else 1 for char in text)


def _line(cells: list[str], widths: list[int], kinds: tuple[ColumnKind, ...]) -> str:
    parts = []
    for cell, width, kind in zip(cells, widths, kinds, strict=True):
        pad = " " * (width - _width(cell))
        parts.append(pad + cell if kind in {"float", "int"} else cell + pad)
    return "  ".join(parts).rstrip()
