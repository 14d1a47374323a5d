"""Everything about the life of profiles at the centre, in one place, and what moves it on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import func, select

from collector.profiles.assignment import NOTHING, assign
from collector.profiles.audit import Row, history
from collector.profiles.lineage import Lineage
from collector.profiles.plans import Plans
from collector.profiles.reports import Reports
from collector.profiles.rollouts import Rollouts
from collector.profiles.state import read_state
from collector.profiles.tables import rollouts, versions
from collector.profiles.trust import Trust
from collector.profiles.versions import Versions
from collector.registry.database import Database
from device_profiles.plan import Report
from device_profiles.signing import BadKey, PublicKey, Signer, load_signer, make_key
from gateway_core.clock import Clock
from gateway_core.errors import ConfigError, Fault

log = structlog.get_logger()

KEY_FILE = "registry.key"
_LOOK_EVERY_S = 1.0
_REPORTS = 1000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Overview:
    """What goes on.

    Attributes:
        pending: Versions that wait for a person, the oldest first.
        rollouts: The newest of each profile, the last changed first.
        edges: Profile to what each edge is told and said.
    """

    pending: list[Row]
    rollouts: list[Row]
    edges: dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class ProfileDesk:
    """The parts.

    Attributes:
        trust: Vendors' keys.
        versions: What was published.
        rollouts: Who shall use it.
        plans: What each edge is told.
        reports: What edges say.
        lineage: What edges used.
        registry: The key that edges know this registry by.
        database: The registry's.
    """

    trust: Trust
    versions: Versions
    rollouts: Rollouts
    plans: Plans
    reports: Reports
    lineage: Lineage
    registry: PublicKey
    database: Database

    async def take(self, report: Report) -> None:
        """Store what an edge says and act on it at once.

        Raises:
            Unavailable: The database does not answer; nothing was stored.
        """
        if await self.reports.take(report) and report.kind != "backtest":
            await self.go_on()

    async def go_on(self) -> None:
        """Move roll-outs on."""
        for row in await self.rollouts.go_on():
            about = {name: row[name] for name in ("profile", "version", "stage")}
            log.info("rollout_moved", **about)

    async def run(self) -> None:
        """Move roll-outs on as time passes, until cancelled.

        Raises:
            Unavailable: The database does not answer.
        """
        while True:
            await self.go_on()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def whereabouts(self, profile: str) -> list[Row]:
        """Return, for each known edge, what it is told and what it last said of a profile."""
        state = await self.database.ask(read_state)
        last: dict[str, Row] = {}
        for row in await self.reports.of(profile, limit=_REPORTS):
            if row["kind"] in ("applied", "failed", "running"):
                last.setdefault(row["edge"], row)
        found = []
        for known in await self.plans.known():
            edge = known["edge"]
            told = assign(edge, state.rollouts, state.pins, state.usable).get(profile, NOTHING)
            said = last.get(edge)
            row = {"edge": edge, "asked": known["asked"], "serial": known["serial"]}
            row |= {"active": told.active, "shadow": told.shadow}
            row |= {"said": said and said["kind"], "version": said and said["version"]}
            found.append(row | {"detail": said["said"].get("detail", "") if said else ""})
        return found

    async def overview(self) -> Overview:
        """Return what goes on: versions that wait, and each profile's newest roll-out."""
        waiting = select(versions.c.profile, versions.c.version, versions.c.questions)
        waiting = waiting.where(versions.c.state == "pending")
        waiting = waiting.order_by(versions.c.submitted).limit(_SHOWN)
        newest = select(func.max(rollouts.c.number)).group_by(rollouts.c.profile)
        latest = select(rollouts).where(rollouts.c.number.in_(newest))
        latest = latest.order_by(rollouts.c.since.desc()).limit(_SHOWN)
        pending, going = await self.database.ask(
            lambda db: tuple([dict(r) for r in db.execute(q).mappings()] for q in (waiting, latest))
        )
        edges = {row["profile"]: await self.whereabouts(row["profile"]) for row in going}
        return Overview(pending, going, edges)

    async def history(self, profile: str, limit: int) -> list[Row]:
        """Return what was done to a profile, newest first."""
        return await self.database.ask(lambda db: history(db, profile, limit))


def open_desk(database: Database, data_dir: Path, clock: Clock, most_edges: int) -> ProfileDesk:
    """Return the desk; the registry's key is made with the first start.

    Raises:
        ConfigError: The key cannot be read or made.
    """
    signer = _key(data_dir / KEY_FILE)
    trust = Trust(database, clock)
    return ProfileDesk(
        trust,
        Versions(database, trust, clock),
        Rollouts(database, clock),
        Plans(database, signer, clock, most_edges),
        Reports(database, clock),
        Lineage(database),
        signer.public,
        database,
    )


def _key(path: Path) -> Signer:
    if path.exists():
        try:
            return load_signer(path)
        except BadKey as exc:
            message = (
                "is damaged: put it back from a backup (tidegate collector restore --check shows "
                "that one is whole); edges follow no other key, so none is made"
            )
            raise ConfigError(Fault(path, 0, 0, "", message)) from exc
    signer = make_key(path)
    log.info("registry_key_made", key=signer.public.id, public=f"{path}.pub")
    return signer
