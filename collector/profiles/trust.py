"""Whose signature counts for what: the keys that the operator enrolled, each for one vendor."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from collector.profiles.audit import note
from collector.profiles.tables import keys
from collector.registry.database import Database
from device_profiles.signing import PublicKey, read_public
from gateway_core.clock import Clock
from gateway_core.errors import GatewayError, PayloadError

Row = dict[str, Any]

_MOST_KEYS = 10_000


class NotTrusted(GatewayError):
    """A signature that does not count here.

    Attributes:
        code: ``unknown_key``, ``revoked_key`` or ``bad_signature``.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Trust:
    """The keys of vendors."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, vendor: str, pem: str, actor: str) -> str:
        """Let a key publish this vendor's profiles; return its id. A revoked one counts again.

        Raises:
            PayloadError: ``bad_key``.
        """
        key = read_public(pem)

        def work(db: Connection) -> None:
            row: Row = {"vendor": vendor, "key": key.id, "pem": key.pem, "revoked": None}
            row |= {"added": self._clock(), "added_by": actor}
            statement = self._database.insert(keys).values(row)
            again = statement.on_conflict_do_update(
                index_elements=["vendor", "key"], set_={"revoked": None}
            )
            db.execute(again)
            note(db, self._clock(), actor, "trust", f"{vendor}/*", "", key.id)

        await self._database.change(work)
        return key.id

    async def revoke(self, vendor: str, key: str, actor: str) -> bool:
        """Let a key publish nothing more; what it published stays. False: there is no such key."""

        def work(db: Connection) -> bool:
            found = update(keys).where(keys.c.vendor == vendor, keys.c.key == key)
            if db.execute(found.values(revoked=self._clock())).rowcount != 1:
                return False
            note(db, self._clock(), actor, "revoke", f"{vendor}/*", "", key)
            return True

        return await self._database.change(work)

    async def all(self) -> list[Row]:
        """Return every key, revoked ones too."""
        query = select(keys).order_by(keys.c.vendor, keys.c.added).limit(_MOST_KEYS)
        return await self._database.ask(lambda db: [dict(r) for r in db.execute(query).mappings()])

    async def check(self, vendor: str, key: str, digest: str, signature: bytes) -> PublicKey:
        """Return the key that signed this bundle's digest.

        Raises:
            NotTrusted: It is not this vendor's, was revoked, or did not sign it.
        """
        query = select(keys).where(keys.c.vendor == vendor, keys.c.key == key)
        row = await self._database.ask(lambda db: db.execute(query).mappings().first())
        if row is None:
            detail = (
                f"key {key[:32]} may not publish profiles of {vendor}; the operator enrols it: "
                f"tidegate collector profiles trust {vendor} KEYFILE.pub"
            )
            raise NotTrusted("unknown_key", detail)
        if row["revoked"] is not None:
            raise NotTrusted("revoked_key", f"key {key} was revoked; sign with another one")
        public = read_public(row["pem"])
        try:
            public.verify("bundle", digest.encode(), signature)
        except PayloadError as exc:
            raise NotTrusted(exc.code, exc.detail) from exc
        return public
