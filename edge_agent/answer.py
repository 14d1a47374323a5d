"""Answers of the on-site history as bytes: JSON, lines of JSON, or CSV; times as RFC 3339."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from edge_agent.history import History, Table
from edge_agent.question import read_question
from edge_agent.tap import spoken
from gateway_core.clock import Clock

_TIMES = frozenset({"time", "received"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def answer(history: History, form: dict[str, Any], clock: Clock) -> tuple[str, bytes]:
    """Answer a question as it came in the body of ``POST /query``.

    Args:
        history: Of this site.
        form: See `read_question`.
        clock: Says what ``now`` is.

    Returns:
        Content type and body.

    Raises:
        PayloadError: The question cannot be read or answered; the code says why.
        Unavailable: The disk does not answer.
    """
    question = read_question(form, clock())
    table = await history.query(question)
    rows = _readable(table)
    match question.format:
        case "csv":
            return "text/csv; charset=utf-8", _csv(table.columns, rows)
        case "jsonl":
            lines = [msgspec.json.encode(dict(zip(table.columns, r, strict=True))) for r in rows]
            return "application/x-ndjson", b"".join(line + b"\n" for line in lines)
        case "json":
            told = {
                "columns": table.columns,
                "rows": rows,
                "next": table.next,
                "notes": table.notes,
            }
            return "application/json", msgspec.json.encode(told)


def _readable(table: Table) -> list[tuple[Any, ...]]:
    places = [place for place, name in enumerate(table.columns) if name in _TIMES]
    if not places:
        return table.rows
    return [
        tuple(
            spoken(value) if place in places and isinstance(value, int) else value
            for place, value in enumerate(row)
        )
        for row in table.rows
    ]


def _csv(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(tuple(_harmless(value) for value in row) for row in rows)
    return text.getvalue().encode()


def _harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
