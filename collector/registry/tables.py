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
"""Version of these tables, kept in ``meta``; a newer database is refused, never guessed at.
New columns and indexes do not count: an older program leaves them alone."""
REPLACED = ("feeds_by_id",)
"""Indexes of older programs that another one took the place of."""

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


def _named(name: str, *columns: Column[object], searched: tuple[str, ...] = ()) -> Table:
    """Return a table keyed by (edge, id) with what every listed thing has, and an order by id.

    In SQLite the order holds the columns that lists are ``searched`` by too, so that a row that
    does not fit is passed over without being read. In PostgreSQL an entry must not grow past a
    third of a page, and a scan of 100,000 rows costs little.
    """
    order = ("id", "edge")
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
        *(
            (
                _only("postgresql", f"{name}_in_order", *order),
                _only("sqlite", f"{name}_search", *order, *searched),
            )
            if searched
            else (Index(f"{name}_by_id", *order),)
        ),
        Index(f"{name}_by_state", "state", "id", "edge"),
        Index(f"{name}_by_edge", "edge", "state"),  # the counts of the overview, from it alone
    )


def _only(dialect: str, name: str, *columns: str) -> Index:
    """Return an index that only one of the two databases has; ``info["only"]`` says which."""
    return Index(name, *columns, info={"only": dialect}).ddl_if(dialect=dialect)


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

feeds = _named(
    "feeds",
    *(Column(key, kind) for key, kind in _HEALTH),
    Column("owner", String(128), nullable=False, default="", server_default=""),
    Column("group", String(128), nullable=False, default="", server_default=""),
    Column("gb_code", String(20), nullable=False, default="", server_default=""),
    Column("planned", BigInteger),
    Column("first_seen", BigInteger),
    Column("condition", String(16), nullable=False, default="unknown", server_default=""),
    Column("counted", BigInteger),
    searched=("area", "owner", "group", "planned", "first_seen", "name"),
)
"""``planned``: when the centre's plan first named it. ``condition``: see `condition`; empty: of
an older program, not tallied yet. ``counted``: until when its time is in ``feed_days``."""
Index("feeds_by_gb_code", feeds.c.gb_code)
Index("feeds_by_counted", feeds.c.counted)
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

_CELL = (("by", String(8)), ("key", String(128)), ("edge", String(64)), ("condition", String(16)))

feed_counts = Table(
    "feed_counts",
    metadata,
    *(Column(name, kind, primary_key=True) for name, kind in _CELL),
    Column("feeds", BigInteger, nullable=False),
)
"""How many feeds of an area, owner or group are in a condition now; changed with every feed."""

feed_days = Table(
    "feed_days",
    metadata,
    Column("day", Integer, primary_key=True),
    *(Column(name, kind, primary_key=True) for name, kind in _CELL),
    Column("ms", BigInteger, nullable=False),
)
"""How long they were, summed over feeds. ``day``: days since 1970-01-01 on the city's calendar."""

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
    Column("mark", String(64), nullable=False, default="", server_default=""),
)
"""``mark``: what is known against the edge's clock; then ``time`` may be when it was heard here."""

invitations = Table(
    "invitations",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("made", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("used", BigInteger),
    Column("key", String(64), nullable=False, default=""),
)
"""Which edges may enrol. ``digest``: of the secret; ``key``: of the public key that used it."""

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
