"""The tables of events and of every step taken on them, beside the registry's."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, String, Table

from collector.registry.tables import metadata

events = Table(
    "events",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("source", String(16), nullable=False),
    Column("edge", String(64), nullable=False),
    Column("device", String(255), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("profile", String(255), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("text", JSON, nullable=False),
    Column("raised", BigInteger, nullable=False),
    Column("cleared", BigInteger),
    Column("state", String(16), nullable=False),
    Column("assignee", String(64), nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column("mark", String(64), nullable=False, default="", server_default=""),
    Index("events_by_time", "raised", "id"),
    Index("events_by_state", "state", "raised", "id"),
    Index("events_by_alarm", "edge", "device", "rule", "raised"),
)
"""``source``: ``alarm`` or ``person``. ``version``: steps taken so far, the opening included.
``mark``: of the alarm; where it doubts the edge's clock, ``raised`` is when it was heard here."""

event_steps = Table(
    "event_steps",
    metadata,
    Column("event", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("action", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("comment", String(4000), nullable=False),
    Column("assignee", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
"""Who did what, when; each row's ``digest`` covers the one before. Rows are never changed."""

event_clearings = Table(
    "event_clearings",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("device", String(255), primary_key=True),
    Column("rule", String(64), primary_key=True),
    Column("time", BigInteger, nullable=False),
)
"""When an alarm was last heard to clear: live data overtakes a backlog, so it may come first."""
