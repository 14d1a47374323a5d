"""The answer to ``GET /api/v1/status``: totals, edges, books, rate, alarms, last readings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from collector.api.parts import Contact, Parts
from collector.registry.rows import Row
from gateway_core.clock import NS
from gateway_core.instant import to_rfc3339

STALE_S = 90.0
"""An edge says something at least every 30 s; three times that without a word is stale."""


def connected(parts: Parts) -> tuple[str, ...]:
    """Return the edges that are in contact now: of the others nothing is known to hold still."""
    now = parts.clock()
    return tuple(c.edge for c in parts.contacts() if now - c.last_contact < STALE_S * NS)


async def overview(parts: Parts) -> dict[str, Any]:
    """Gather the whole picture; every figure was read after the call began."""
    now = parts.clock()
    counts = await parts.registry.counts()
    books = await parts.books()
    rows = {row["id"]: row for row in await parts.registry.edges()}
    contacts = {contact.edge: contact for contact in parts.contacts()}
    edges = [
        _edge(name, contacts.get(name), rows.get(name), counts, now)
        for name in sorted(rows.keys() | contacts.keys())
    ]
    verdicts = parts.balances.verdicts()
    for edge in edges:
        edge["balance"] = verdicts.get(edge["id"])
    away = {edge["id"] for edge in edges if edge["state"] != "connected"}
    times, rates = parts.rate.series()
    residuals = [consumer.residual for consumer in books.consumers.values()]
    return {
        "time": to_rfc3339(now),
        "uptime_s": round((now - parts.started) / NS, 1),
        "totals": {
            "edges": len(edges),
            **{kind: _by_state(of, away) for kind, of in counts.items()},
            "alarms": await parts.registry.raised(),
            "accepted": sum(books.accepted.values()),
            "residual": sum(residuals) + sum(e["residual"] or 0 for e in edges),
        },
        "edges": edges,
        "books": {
            name: {
                "accepted": consumer.accepted,
                "delivered": consumer.delivered,
                "buffered": consumer.buffered,
                "quarantined": consumer.quarantined,
                "dropped": dict(consumer.dropped),
                "residual": consumer.residual,
            }
            for name, consumer in books.consumers.items()
        },
        "set_aside": [msgspec.structs.asdict(each) for each in await parts.asides()],
        "rate": {"per_s": parts.rate.per_second(), "series": [times, rates]},
        "alarms": [alarm(row) for row in await parts.registry.alarms(12)],
        "latest": [_last_reading(row) for row in await parts.registry.latest(12)],
    }


def alarm(row: Row) -> dict[str, Any]:
    """Return a raised alarm as the API shows it."""
    return {
        "edge": row["edge"],
        "device": row["device"],
        "rule": row["rule"],
        "severity": row["severity"],
        "time": to_rfc3339(row["time"]),
        "text": row["text"],
        "clock_mark": row["mark"] or None,
    }


def _edge(
    name: str,
    contact: Contact | None,
    row: Row | None,
    counts: Mapping[str, Mapping[tuple[str, str], int]],
    now: int,
) -> dict[str, Any]:
    state = "stale"
    if contact is None:
        state = "unknown"
    elif now - contact.last_contact < STALE_S * NS:
        state = "connected"
    oldest = contact.oldest if contact else None
    return {
        "id": name,
        "state": state,
        "last_contact": to_rfc3339(contact.last_contact) if contact else None,
        "epoch": contact.epoch if contact else None,
        "high_water": contact.high_water if contact else None,
        "missing": contact.missing if contact else None,
        "backlog": contact.backlog if contact else None,
        "lag_s": _lag(contact, oldest, now),
        "clock_ahead_s": _seconds(contact.ahead if contact else None),
        "residual": contact.residual if contact else None,
        "records": row["records"] if row else 0,
        "lost": row["lost"] if row else 0,
        **{
            kind: {state: n for (edge, state), n in of.items() if edge == name}
            for kind, of in counts.items()
        },
    }


def _lag(contact: Contact | None, oldest: int | None, now: int) -> float | None:
    """Return how far behind the centre is: the age of the oldest record still on its way."""
    if contact is None or contact.backlog is None:
        return None
    return round(max(0, now - oldest) / NS, 1) if contact.backlog and oldest else 0.0


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else round(ns / NS, 1)


def _by_state(counts: Mapping[tuple[str, str], int], away: set[str]) -> dict[str, int]:
    """Add up over edges; what an edge out of contact last said is not known to hold still."""
    total: Counter[str] = Counter()
    for (edge, state), n in counts.items():
        total["stale" if edge in away else state] += n
    return dict(total)


def _last_reading(row: Row) -> dict[str, Any]:
    values: Sequence[tuple[int, str, Any]] = [
        (time, field, value)
        for fields in row["latest"].values()
        for field, (value, time) in fields.items()
    ]
    newest = sorted(values, key=lambda v: (-v[0], v[1]))[:6]
    return {
        "edge": row["edge"],
        "device": row["id"],
        "time": to_rfc3339(row["last_seen"]),
        "values": [{"field": field, "value": value} for _, field, value in newest],
    }
