"""What decides which versions edges use, read from the database as one consistent picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.profiles.assignment import Rollout
from collector.profiles.audit import revision
from collector.profiles.tables import pins, rollouts, tasks, versions
from collector.profiles.versions import USABLE

Row = dict[str, Any]

_DEAD = ("stopped", "rolled_back")
TASK_NS = 7 * 86_400 * 1_000_000_000
"""A task that was not done within a week is given up."""


@dataclass(frozen=True, slots=True)
class State:
    """The picture.

    Attributes:
        revision: Grows with every change.
        rollouts: Those that count.
        pins: (profile, edge) to version.
        versions: (profile, version) to row, without the bundle.
        usable: Keys of ``versions`` that may be used.
    """

    revision: int
    rollouts: tuple[Rollout, ...]
    pins: Mapping[tuple[str, str], str]
    versions: Mapping[tuple[str, str], Row]
    usable: frozenset[tuple[str, str]]


def read_state(db: Connection) -> State:
    """Return the picture as it stands."""
    columns = ("profile", "version", "state", "sha256", "size", "public_key", "signature", "reason")
    query = select(*(versions.c[name] for name in columns))
    known = {(row["profile"], row["version"]): dict(row) for row in db.execute(query).mappings()}
    usable = frozenset(key for key, row in known.items() if row["state"] in USABLE)
    going = select(rollouts).where(rollouts.c.stage.not_in(_DEAD))
    pinned = db.execute(select(pins.c.profile, pins.c.edge, pins.c.version))
    return State(
        revision(db),
        tuple(as_rollout(dict(row)) for row in db.execute(going).mappings()),
        {(profile, edge): version for profile, edge, version in pinned},
        known,
        usable,
    )


def as_rollout(row: Row) -> Rollout:
    """Return a row of the table as what assignments are made from."""
    edges = None if row["everywhere"] else frozenset(row["edges"])
    return Rollout(
        row["number"],
        row["profile"],
        row["version"],
        row["stage"],
        frozenset(row["canary"]),
        edges,
    )


def open_tasks(db: Connection, edge: str, now: int) -> list[Row]:
    """Return what an edge has still to do, oldest first."""
    query = select(tasks).where(tasks.c.edge == edge, tasks.c.done.is_(None))
    query = query.where(tasks.c.created > now - TASK_NS).order_by(tasks.c.created)
    return [dict(row) for row in db.execute(query).mappings()]
