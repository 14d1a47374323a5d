"""Answers of the on-site history as they leave the admin listener."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from edge_agent.export import export, export_arrow, render
from edge_agent.history import History
from edge_agent.question import read_question
from gateway_core.clock import Clock
from gateway_core.errors import PayloadError

_TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
_STREAMS = ("csv", "jsonl", "arrow")


@dataclass(frozen=True, slots=True)
class Export:
    """An answer of any length.

    Attributes:
        kind: Its content type.
        notes: What the reader must know.
        chunks: The answer, piece by piece.
    """

    kind: str
    notes: tuple[str, ...]
    chunks: AsyncGenerator[bytes]


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
    return _TYPES[question.format], b"".join(render(table, question.format))


async def export_answer(history: History, form: dict[str, Any], clock: Clock) -> Export:
    """Begin to answer a question as it came in the body of ``POST /export``, without a limit.

    Args:
        history: Of this site.
        form: See `read_question`; ``format`` is ``csv`` (default), ``jsonl`` or ``arrow``.
        clock: Says what ``now`` is.

    Raises:
        PayloadError: The question cannot be read or answered; the code says why.
        Unavailable: The disk does not answer.
    """
    form = {"format": "csv"} | form
    kind = form["format"]
    if kind not in _STREAMS:
        raise PayloadError("bad_question", f"format: expected one of {', '.join(_STREAMS)}")
    question = read_question(form if kind != "arrow" else form | {"format": "jsonl"}, clock())
    heading = await history.heading(question)
    pour = export_arrow if kind == "arrow" else export
    return Export(_TYPES[kind], heading.notes, pour(history, question, heading))
