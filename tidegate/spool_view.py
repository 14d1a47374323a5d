"""What lies in a spool's side tables, for the commands of both programs."""

from __future__ import annotations

import sys
from typing import TypeVar

import msgspec

from edge_agent.tap import spoken
from gateway_core.spool.reader import SpoolReader
from tidegate.output import print_json, print_table

_Row = TypeVar("_Row")
_SHOWN = 400
"""Most characters of a record in a table."""


def print_refusals(spool: SpoolReader, reason: str | None, limit: int, *, json: bool) -> None:
    """Print the newest refused payloads, newest last."""
    rows = _newest(spool.newest_refusals(limit + 1, reason), limit)
    if json:
        print_json([{"id": number, **msgspec.structs.asdict(one)} for number, one in rows])
        return
    print_table(
        ("id", "received", "source", "address", "reason", "detail", "bytes", "begins"),
        (
            (
                number,
                spoken(one.received),
                one.source,
                one.address,
                one.reason,
                one.detail,
                len(one.payload),
                repr(one.payload[:40])[2:-1],
            )
            for number, one in rows
        ),
    )


def print_quarantine(spool: SpoolReader, consumer: str | None, limit: int, *, json: bool) -> None:
    """Print the newest quarantined records, newest last."""
    rows = _newest(spool.newest_quarantined(limit + 1, consumer), limit)
    if json:
        print_json(rows)
        return
    print_table(
        ("id", "consumer", "seq", "reason", "detail", "record"),
        ((q.id, q.consumer, q.seq, q.reason, q.detail, _short(q.record)) for q in rows),
    )


def _newest(rows: list[_Row], limit: int) -> list[_Row]:
    if len(rows) <= limit:
        return rows
    print(f"older ones than these {limit} are left out: raise --limit", file=sys.stderr)
    return rows[-limit:]


def _short(record: object) -> str:
    """Return a record as fits into a table; ``--json`` prints the whole."""
    text = str(record)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
