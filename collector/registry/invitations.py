"""Which edges are invited to enrol: each secret is kept as a digest, works once, and ends soon."""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from sqlalchemy import Connection, delete, select
from sqlalchemy import update as change

from collector.registry import tables
from collector.registry.database import Database

Outcome = Literal["admitted", "bad_invitation", "invitation_used", "invitation_ended"]


class Invitations:
    """Invitations in a registry's database. Times are nanoseconds since 1970."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def invite(self, edge: str, secret: bytes, now: int, until: int) -> None:
        """Invite an edge; what was said to it before does not hold any more.

        Raises:
            Unavailable: The database does not answer; nothing was changed.
        """
        row = {"edge": edge, "digest": _digest(edge, secret), "made": now, "until": until}
        row |= {"used": None, "key": ""}

        def put(db: Connection) -> None:
            db.execute(delete(tables.invitations).where(tables.invitations.c.edge == edge))
            db.execute(tables.invitations.insert(), [row])

        await self._database.change(put)

    async def redeem(self, edge: str, secret: bytes, key: str, now: int) -> Outcome:
        """Use an invitation, once; the same key may ask again when the answer was lost.

        Args:
            edge: Who asks.
            secret: What it knows.
            key: The digest of its public key.
            now: The time.

        Raises:
            Unavailable: The database does not answer; nothing was changed.
        """
        t = tables.invitations

        def use(db: Connection) -> Outcome:
            row = db.execute(select(t).where(t.c.edge == edge).with_for_update()).mappings().first()
            digest = _digest(edge, secret)
            if row is None or not hmac.compare_digest(str(row["digest"]), digest):
                return "bad_invitation"
            if row["until"] <= now:
                return "invitation_ended"
            if row["used"] is not None:
                return "admitted" if row["key"] == key else "invitation_used"
            db.execute(change(t).where(t.c.edge == edge).values(used=now, key=key))
            return "admitted"

        return await self._database.change(use)


def _digest(edge: str, secret: bytes) -> str:
    """A plain digest is enough: nobody can try 128 random bits."""
    return hashlib.sha256(edge.encode() + b"\0" + secret).hexdigest()
