"""The tables of profile versions and of who runs them, beside the registry's; times as there."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from collector.registry.tables import metadata

versions = Table(
    "profile_versions",
    metadata,
    Column("profile", String(128), primary_key=True),
    Column("version", String(64), primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("size", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("measurement", String(128), nullable=False),
    Column("title", JSON, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("results", JSON, nullable=False),
    Column("questions", JSON, nullable=False),
    Column("vendor_key", String(32), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("submitted", BigInteger, nullable=False),
    Column("decided", BigInteger),
    Column("decided_by", String(64), nullable=False, default=""),
    Column("reason", String(4000), nullable=False, default=""),
    Column("successor", String(255), nullable=False, default=""),
    Column("bundle", LargeBinary, nullable=False),
    Index("profile_versions_by_state", "state", "profile"),
)
"""``fields``: [measurement, name, type, unit]. ``results``, ``questions``: of the examination.
``vendor_key``: id of the key that signed; empty: unsigned. Bundles are never changed."""

keys = Table(
    "profile_keys",
    metadata,
    Column("vendor", String(128), primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("pem", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("added_by", String(64), nullable=False),
    Column("revoked", BigInteger),
)

rollouts = Table(
    "profile_rollouts",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("profile", String(128), nullable=False),
    Column("version", String(64), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("everywhere", Boolean, nullable=False),
    Column("edges", JSON, nullable=False),
    Column("canary", JSON, nullable=False),
    Column("shadow_ns", BigInteger, nullable=False),
    Column("hold_ns", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("reason", String(4000), nullable=False, default=""),
    Column("step", Integer, nullable=False),
    Index("profile_rollouts_by_profile", "profile", "number"),
)
"""``since``: when the stage began. ``step``: changes so far, so that two collectors never both
move one. Later numbers win where several name an edge."""

pins = Table(
    "profile_pins",
    metadata,
    Column("profile", String(128), primary_key=True),
    Column("edge", String(64), primary_key=True),
    Column("version", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
)
"""An empty ``edge`` is every edge that has no pin of its own."""

tasks = Table(
    "profile_tasks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("edge", String(64), primary_key=True),
    Column("profile", String(128), nullable=False),
    Column("version", String(64), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("most", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("done", BigInteger),
    Index("profile_tasks_open", "edge", "done"),
)

reports = Table(
    "profile_reports",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("profile", String(255), nullable=False),
    Column("version", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("task", String(64), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("said", JSON, nullable=False),
    Index("profile_reports_by_profile", "profile", "received"),
    Index("profile_reports_by_edge", "edge", "received"),
)
"""``said``: the whole report."""

plans = Table(
    "profile_plans",
    metadata,
    Column("edge", String(64), primary_key=True),
    Column("serial", BigInteger, nullable=False),
    Column("content", String(64), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("asked", BigInteger, nullable=False),
)
"""The plan that each edge was last given. ``content``: digest of what it says but its serial."""

audit = Table(
    "profile_audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("time", BigInteger, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("profile", String(128), nullable=False),
    Column("version", String(64), nullable=False),
    Column("detail", String(4000), nullable=False),
    Index("profile_audit_by_profile", "profile", "number"),
)
"""Who did what, when. Rows are never changed; the last number is the state's revision."""
