"""The registry's tables, the same in SQLite and PostgreSQL. Times are nanoseconds since 1970.

A device, feed or system is named by (edge, id): two sites may both have a ``pump-1``.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

SCHEMA = 1
"""Version of these tables, kept in ``meta``; a newer database is refused, never guessed at."""

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", String(255), nullable=False),
)

_NAMED = (
    ("edge", String(64)),
    ("id", String(255)),
)


def _named(name: str, *columns: Column[object]) -> Table:
    """Return a table keyed by (edge, id) with what every listed thing has, and an order by id."""
    return Table(
        name,
        metadata,
        *(Column(key, kind, primary_key=True) for key, kind in _NAMED),
        Column("name", String(255), nullable=False, default=""),
        Column("area", String(64), nullable=False, default=""),
        Column("lat", Float),
        Column("lon", Float),
        Column("state", String(16), nullable=False, default="unknown"),
        Column("since", BigInteger),
        *columns,
        Index(f"{name}_by_id", "id", "edge"),
        Index(f"{name}_by_state", "state", "id", "edge"),
        Index(f"{name}_by_edge", "edge", "state"),  # the counts of the overview, from it alone
    )


devices = _named(
    "devices",
    Column("profile", String(255), nullable=False, default=""),
    Column("online", Boolean),
    Column("silent", Boolean, nullable=False, default=False),
    Column("first_seen", BigInteger),
    Column("last_seen", BigInteger),
    Column("readings", BigInteger, nullable=False, default=0),
    Column("latest", JSON, nullable=False, default=dict),
    Column("seq", BigInteger, nullable=False, default=0),
)
Index("devices_by_last_seen", devices.c.last_seen)
"""``latest``: measurement -> field -> [value, time]. ``seq``: the last spool record counted."""

_HEALTH = (
    ("faults", JSON),
    ("rtt_ms", Float),
    ("judged", BigInteger),
    ("checks", Integer),
    ("failures", Integer),
)

feeds = _named("feeds", *(Column(key, kind) for key, kind in _HEALTH))
systems = _named("systems", *(Column(key, kind) for key, kind in _HEALTH))

edges = Table(
    "edges",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("first_seen", BigInteger),
    Column("last_record", BigInteger),
    Column("records", BigInteger, nullable=False, default=0),
    Column("lost", BigInteger, nullable=False, default=0),
    Column("seq", BigInteger, nullable=False, default=0),
)
"""``lost``: records that `Loss` intervals of this edge name. ``seq``: as in ``devices``."""

alarms = Table(
    "alarms",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("device", String(255), primary_key=True),
    Column("rule", String(64), primary_key=True),
    Column("profile", String(255), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("text", JSON, nullable=False, default=dict),
)

uses = Table(
    "profile_uses",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("profile", String(255), primary_key=True),
    Column("epoch", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("version", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("time", BigInteger, nullable=False),
)
"""From this sequence number of the edge's spool on, it decoded with this version."""
