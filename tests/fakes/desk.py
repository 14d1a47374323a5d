"""A profile desk over a database of its own, its clock in the test's hands, and signed bundles."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from collector.profiles.desk import ProfileDesk, open_desk
from collector.profiles.versions import Row, Submission
from collector.registry.database import open_database
from device_profiles.bundle import digest_of, pack_text
from device_profiles.plan import Plan, Report, open_plan
from device_profiles.signing import Signer, make_key
from tests.fakes.profile_text import PROFILE

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
PLAIN = PROFILE[: PROFILE.index("commands:")] + PROFILE[PROFILE.index("tests:") :]
"""A profile about which nobody must be asked."""


@dataclass
class Time:
    """A clock that stands still until it is moved.

    Attributes:
        now: Nanoseconds since 1970.
    """

    now: int = START

    def __call__(self) -> int:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Move on."""
        self.now += round(seconds * SECOND)


@dataclass
class Desk:
    """The desk, and what a vendor and edges do with it.

    Attributes:
        desk: The desk.
        time: Its clock.
        vendor: The vendor acme's key, enrolled.
        said: Reports sent so far.
    """

    desk: ProfileDesk
    time: Time
    vendor: Signer
    said: int = field(default=0)

    async def publish(self, version: str, text: str = PLAIN, old: str = "", new: str = "") -> Row:
        """Submit a signed version as its vendor does."""
        row, _ = await self.desk.versions.submit(self.signed(version, text.replace(old, new)))
        return row

    def signed(self, version: str, text: str = PLAIN, key: Signer | None = None) -> Submission:
        """Return a version as a vendor sends it."""
        data = pack_text(text.replace("version: 1.0.0", f"version: {version}")).encode()
        signer = key or self.vendor
        signature = signer.sign("bundle", digest_of(data).encode())
        return Submission("acme/room", data, signer.public.id, signature)

    async def plan(self, edge: str) -> Plan:
        """Return an edge's plan as the edge reads it."""
        sealed = await self.desk.plans.of(edge)
        return open_plan(sealed.data, self.desk.registry, edge)

    async def runs(self, edge: str) -> dict[str, str]:
        """Return role to version of what an edge is told to do with acme/room."""
        return {each.role: each.version for each in (await self.plan(edge)).entries}

    async def say(self, edge: str, kind: str, version: str, **more: object) -> None:
        """Send a report as an edge does."""
        self.said += 1
        row = await self.desk.versions.one("acme/room", version)
        assert row is not None
        about = (f"r{self.said}", self.time(), kind, "acme/room", version, row["sha256"])
        await self.desk.take(Report(edge, *about, **more))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def desk_at(url: str, folder: Path) -> AsyncIterator[Desk]:
    """Open a desk over a database; the vendor acme's key is enrolled."""
    time = Time()
    vendor = make_key(folder / "vendor.key")
    async with open_database(url) as database:
        desk = open_desk(database, folder, time, 100)
        await desk.trust.add("acme", vendor.public.pem, "op")
        yield Desk(desk, time, vendor)
