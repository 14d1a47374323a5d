"""Published versions of profiles: immutable, named by their bytes' digest, never forgotten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from collector.profiles.audit import note
from collector.profiles.examiner import examine_apart
from collector.profiles.shipped import shipped, shipped_fields
from collector.profiles.tables import versions
from collector.profiles.trust import Trust
from collector.registry.database import Database
from device_profiles.bundle import decode_bundle, digest_of
from device_profiles.examination import Examined, clashes
from device_profiles.fields import Field
from device_profiles.semver import read_version
from gateway_core.clock import Clock
from gateway_core.errors import GatewayError, PayloadError

Row = dict[str, Any]
State = Literal["pending", "published", "rejected", "deprecated", "withdrawn"]
Decision = Literal["approve", "reject", "deprecate", "withdraw"]

STATES: tuple[State, ...] = get_args(State)
USABLE: tuple[State, ...] = ("published", "deprecated")
"""States in which a version may be used on edges."""
MOST_PENDING = 1000
MOST_VERSIONS = 1000
"""Of one profile."""

_VERSION = re.compile(r"""^version:[ \t]*["']?([0-9][0-9A-Za-z.-]*)""", re.MULTILINE)
_AFTER: dict[Decision, tuple[State, tuple[State, ...]]] = {
    "approve": ("published", ("pending",)),
    "reject": ("rejected", ("pending",)),
    "deprecate": ("deprecated", ("published",)),
    "withdraw": ("withdrawn", ("pending", "published", "deprecated")),
}
_LIGHT = [column for column in versions.c if column.name != "bundle"]


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants published.

    Attributes:
        profile: ``vendor/model``, as the address says.
        bundle: The bundle's bytes.
        key: Id of the vendor's key; empty: unsigned.
        signature: Over the bundle's digest.
        actor: Who sends it, for the record.
    """

    profile: str
    bundle: bytes
    key: str = ""
    signature: bytes = b""
    actor: str = ""


class NotFit(GatewayError):
    """A version that did not pass; nothing was stored.

    Attributes:
        examined: What every gate said.
    """

    def __init__(self, examined: Examined) -> None:
        failed = ", ".join(each.gate for each in examined.results if not each.passed)
        super().__init__(f"did not pass: {failed}")
        self.examined = examined


class Clash(GatewayError):
    """What is asked for contradicts what is there; the message says what to do."""


class Versions:
    """Every version that was ever published or waits for a person."""

    def __init__(self, database: Database, trust: Trust, clock: Clock) -> None:
        self._database = database
        self._trust = trust
        self._clock = clock
        self._entering = asyncio.Lock()

    async def submit(self, sent: Submission) -> tuple[Row, bool]:
        """Examine and enter a version; return its row and whether anything changed.

        Raises:
            PayloadError: ``bad_bundle``, ``bad_version``, ``wrong_id`` or ``too_slow``.
            NotTrusted: The signature does not count.
            NotFit: A gate refused it.
            Clash: The version is there with other bytes, or too much waits already.
        """
        digest = digest_of(sent.bundle)
        text = (await asyncio.to_thread(decode_bundle, sent.bundle)).text
        public = b""
        if sent.key:
            vendor = sent.profile.partition("/")[0]
            public = (await self._trust.check(vendor, sent.key, digest, sent.signature)).raw
        async with self._entering:
            there = await self._database.ask(lambda db: _by_digest(db, digest))
            if there is not None and there["profile"] != sent.profile:
                raise PayloadError("wrong_id", f"these bytes are {there['profile']}")
            if there is not None and (there["vendor_key"] or not sent.key):
                return there, False
            said = _VERSION.search(text)
            version = str(read_version(said[1] if said else ""))
            await self._refuse_other_bytes(sent, version, digest)
            known = await self.fields()
            before = await self._previous(sent.profile, version)
            examined = await examine_apart(sent.bundle, before, known)
            if not examined.passed:
                raise NotFit(examined)
            if (examined.id, examined.version) != (sent.profile, version):
                detail = (
                    f"the profile calls itself {examined.id} {examined.version}; send it to that "
                    "address, with its version on a line of its own: `version: 1.0.0`"
                )
                raise PayloadError("wrong_id", detail)
            row = self._row(sent, examined, digest, public)
            await self._database.change(lambda db: self._enter(db, row, sent.actor))
            return {key: value for key, value in row.items() if key != "bundle"}, True

    async def decide(
        self,
        profile: str,
        version: str,
        decision: Decision,
        actor: str,
        reason: str,
        successor: str,
    ) -> Row | None:
        """Change a version's state; None: there is no such version.

        Raises:
            Clash: The decision does not follow its state, or it no longer fits what is stored.
        """
        state, allowed = _AFTER[decision]
        if decision == "approve":
            await self._still_fits(profile, version)

        def work(db: Connection) -> Row | None:
            row = _one(db, profile, version)
            if row is None:
                return None
            if row["state"] not in allowed:
                detail = f"{profile} {version} is {row['state']}; only {' or '.join(allowed)} ones "
                raise Clash(f"{detail}can be {state}")
            change = {"state": state, "decided": self._clock(), "decided_by": actor}
            change |= {"reason": reason, "successor": successor}
            where = (versions.c.profile == profile, versions.c.version == version)
            db.execute(update(versions).where(*where).values(**change))
            note(db, self._clock(), actor, decision, profile, version, reason)
            return row | change

        return await self._database.change(work)

    async def of(self, profile: str) -> list[Row]:
        """Return every version of a profile without its bundle, newest version first."""
        rows = await self._database.ask(lambda db: _rows(db, versions.c.profile == profile))
        return sorted(rows, key=lambda row: read_version(row["version"]), reverse=True)

    async def one(self, profile: str, version: str) -> Row | None:
        """Return a version without its bundle."""
        return await self._database.ask(lambda db: _one(db, profile, version))

    async def bundle(self, digest: str) -> bytes | None:
        """Return a bundle's bytes."""
        query = select(versions.c.bundle).where(versions.c.sha256 == digest)
        return await self._database.ask(lambda db: db.execute(query).scalar())

    async def names(self, q: str, state: str | None, after: str, limit: int) -> list[str]:
        """Return ids of profiles that have a version (in this state), in order, after this one."""
        query = select(versions.c.profile).distinct().where(versions.c.profile > after)
        if q:
            query = query.where(versions.c.profile.icontains(q, autoescape=True))
        if state is not None:
            query = query.where(versions.c.state == state)
        query = query.order_by(versions.c.profile).limit(limit)
        return await self._database.ask(lambda db: list(db.execute(query).scalars()))

    async def fields(self) -> list[Field]:
        """Return every field that a published profile or one that ships stores."""
        query = select(versions.c.profile, versions.c.fields).where(versions.c.state.in_(USABLE))
        rows = await self._database.ask(lambda db: [tuple(row) for row in db.execute(query)])
        found = list(await asyncio.to_thread(shipped_fields))
        found += [_field(profile, each) for profile, fields in rows for each in fields]
        return found

    async def _previous(self, profile: str, version: str) -> bytes | Path | None:
        """Return the usable version that this one follows: its bundle, or the file that ships."""
        mine = read_version(version)
        older = [
            row
            for row in await self.of(profile)
            if row["state"] in USABLE and read_version(row["version"]) < mine
        ]
        ours = (await asyncio.to_thread(shipped)).get(profile)
        ships = read_version(ours.version) if ours is not None else mine
        newest = read_version(older[0]["version"]) if older else None
        if ours is not None and ships < mine and (newest is None or newest < ships):
            return ours.file
        return await self.bundle(older[0]["sha256"]) if older else None

    async def _refuse_other_bytes(self, sent: Submission, version: str, digest: str) -> None:
        rows = await self.of(sent.profile)
        there = next((row for row in rows if row["version"] == version), None)
        if there is not None and there["sha256"] != digest and not _gives_way(there, sent):
            raise Clash(
                f"{sent.profile} {version} is {there['state']} with other bytes "
                f"({there['sha256'][:12]}…) and never changes: raise the version and send it again"
            )
        if len(rows) >= MOST_VERSIONS:
            raise Clash(f"{sent.profile} has {MOST_VERSIONS} versions already")
        query = select(func.count()).select_from(versions).where(versions.c.state == "pending")
        if not sent.key and await self._database.ask(lambda db: db.execute(query).scalar_one()) >= (
            MOST_PENDING
        ):
            raise Clash(f"{MOST_PENDING} versions wait for a person already")

    async def _still_fits(self, profile: str, version: str) -> None:
        row = await self.one(profile, version)
        if row is None:
            return
        mine = [_field(profile, each) for each in row["fields"]]
        known = await self.fields()
        clash = next(clashes(profile, mine, known), None)
        if clash is not None:
            where = f"{clash[0].measurement}.{clash[0].name}"
            raise Clash(
                f"{where} was taken by {clash[1].profile} in another type or unit meanwhile"
            )

    def _row(self, sent: Submission, examined: Examined, digest: str, public: bytes) -> Row:
        questions: list[list[str]] = [list(each) for each in examined.questions]
        if not sent.key:
            questions.append(["unsigned", "nobody vouches for who wrote it"])
        return {
            "profile": sent.profile,
            "version": examined.version,
            "sha256": digest,
            "size": len(sent.bundle),
            "state": "pending" if questions else "published",
            "measurement": examined.measurement,
            "title": examined.title,
            "fields": [[f.measurement, f.name, f.type, f.unit] for f in examined.fields],
            "results": msgspec.to_builtins(examined.results),
            "questions": questions,
            "vendor_key": sent.key,
            "public_key": public,
            "signature": sent.signature if sent.key else b"",
            "submitted": self._clock(),
            "decided": None,
            "decided_by": "",
            "reason": "",
            "successor": "",
            "bundle": sent.bundle,
        }

    def _enter(self, db: Connection, row: Row, actor: str) -> None:
        where = (versions.c.profile == row["profile"], versions.c.version == row["version"])
        db.execute(delete(versions).where(*where, versions.c.state.in_(("pending", "rejected"))))
        db.execute(insert(versions), [row])
        action = "publish" if row["state"] == "published" else "submit"
        who = actor or row["vendor_key"] or "nobody"
        note(db, self._clock(), who, action, row["profile"], row["version"], row["sha256"])


def current(rows: Sequence[Row]) -> Row | None:
    """Return the version that counts: the newest release in use, else the newest pre-release."""
    usable = [row for row in rows if row["state"] in USABLE]
    releases = [row for row in usable if "-" not in row["version"]]
    return next(iter(releases or usable), None)


def _field(profile: str, stored: Sequence[str]) -> Field:
    measurement, name, kind, unit = stored
    return Field(measurement, name, kind, unit, profile)


def _gives_way(there: Row, sent: Submission) -> bool:
    """Return whether an unsigned version that nobody approved gives way to a signed one."""
    return bool(sent.key and not there["vendor_key"] and there["state"] in ("pending", "rejected"))


def _by_digest(db: Connection, digest: str) -> Row | None:
    return next(iter(_rows(db, versions.c.sha256 == digest)), None)


def _one(db: Connection, profile: str, version: str) -> Row | None:
    where = (versions.c.profile == profile, versions.c.version == version)
    return next(iter(_rows(db, *where)), None)


def _rows(db: Connection, *where: Any) -> list[Row]:
    return [dict(row) for row in db.execute(select(*_LIGHT).where(*where)).mappings()]
