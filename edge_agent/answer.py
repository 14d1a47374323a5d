"""Answers of the on-site history as they leave the admin listener."""

from __future__ import annotations

from typing import Any

from edge_agent.export import render
from edge_agent.history import History
from edge_agent.question import read_question
from gateway_core.clock import Clock

_TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
}


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
