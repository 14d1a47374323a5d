"""Every change to the life of profiles leaves a row: who, what, when."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, select

from collector.profiles.tables import audit

Row = dict[str, Any]

_SHOWN = 4000


def note(
    db: Connection, time: int, actor: str, action: str, profile: str, version: str, detail: str = ""
) -> None:
    """Enter what is changed in this transaction; plans are made anew after it."""
    row = {"time": time, "actor": actor[:64], "action": action, "profile": profile}
    db.execute(insert(audit), [row | {"version": version, "detail": detail[:_SHOWN]}])


def revision(db: Connection) -> int:
    """Return a number that grows with every change."""
    return db.execute(select(func.max(audit.c.number))).scalar() or 0


def history(db: Connection, profile: str, limit: int) -> list[Row]:
    """Return what was done to one profile, newest first."""
    query = select(audit).where(audit.c.profile == profile)
    query = query.order_by(audit.c.number.desc()).limit(limit)
    return [dict(row) for row in db.execute(query).mappings()]
