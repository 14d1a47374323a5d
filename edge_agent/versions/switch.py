"""The switch: other versions of profiles take over between two batches, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from device_profiles.profile import Profile
from edge_agent.config import EdgeConfig
from edge_agent.holdings.lock import Lock
from edge_agent.holdings.versions import Versions
from edge_agent.knowledge import Knowledge, read_knowledge
from edge_agent.policy import Policy
from gateway_core.errors import ConfigError, GatewayError, PayloadError

log = structlog.get_logger()

Adopt = Callable[[Knowledge], Awaitable[None]]
"""Lets what was read take over in the running agent."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What became of a plan.

    Attributes:
        applied: Profiles that are read with another version now, with the version before.
        failed: Profiles whose wanted version is not in use, and why.
    """

    applied: Mapping[str, str]
    failed: Mapping[str, str]


class Switch:
    """Changes versions while the agent runs; one change at a time.

    Args:
        config: Names the site's files.
        versions: Of this edge.
        adopt: Lets what was read take over.
    """

    def __init__(self, config: EdgeConfig, versions: Versions, adopt: Adopt) -> None:
        self._config = config
        self._versions = versions
        self._adopt = adopt
        self._turn = asyncio.Lock()
        self._knowledge: Knowledge | None = None

    @property
    def lock(self) -> Lock:
        """What is in use, as it was written down."""
        return self._versions.lock

    @property
    def profiles(self) -> Mapping[str, Profile]:
        """The profiles in use, by id."""
        return self._knowledge.catalogue.profiles if self._knowledge is not None else {}

    @property
    def policy(self) -> Policy:
        """What may leave now."""
        return self._knowledge.policy if self._knowledge is not None else Policy({})

    async def reload(self) -> None:
        """Read the site's files again, with the versions in use.

        Raises:
            ConfigError: A file has a mistake; everything goes on as it was.
        """
        async with self._turn:
            files = await asyncio.to_thread(self._versions.files)
            await self._take(self.lock, await self._read(files))

    async def note(self, knowledge: Knowledge) -> None:
        """Write down what the agent was started with."""
        async with self._turn:
            await self._write(self.lock, knowledge)

    async def pin(self, profile: str, version: str | None) -> Switched:
        """Hold a version of a profile whatever the plan says; None: follow the plan again.

        Raises:
            PayloadError: ``bad_pin``: there is no such version here, or the site's own folder has
                the profile.
        """
        async with self._turn:
            lock = self.lock.pinned(profile, version)
            if version is not None:
                await asyncio.to_thread(self._check_pin, profile, version)
            return await self._change(lock)

    async def follow(self, lock: Lock) -> Switched:
        """Use what a plan says, where pins and the site's own folders do not say otherwise.

        A version that does not load, or does not fit beside the site's own profiles, leaves the
        one before in place.

        Args:
            lock: With the plan's versions under ``planned``, their bundles cached.
        """
        async with self._turn:
            return await self._change(replace(lock, pins=self.lock.pins))

    async def _change(self, lock: Lock) -> Switched:
        before = self.lock.used
        wanted, failed = await asyncio.to_thread(self._versions.wanted, lock)
        if not failed and wanted == await asyncio.to_thread(self._versions.files):
            await asyncio.to_thread(self._versions.write, lock)
            return Switched({}, self._overruled(lock))
        try:
            knowledge = await self._read(wanted)
            bad = _unfit(knowledge, wanted)
            if bad:
                failed |= bad
                kept = await asyncio.to_thread(self._versions.files)
                for profile in bad:
                    del wanted[profile]
                    if profile in kept:
                        wanted[profile] = kept[profile]
                knowledge = await self._read(wanted)
            await self._take(lock, knowledge)
        except ConfigError as exc:
            why = f"the site's own files have a mistake: {exc.faults[0]}"
            return Switched({}, failed | dict.fromkeys(wanted, why))
        after = self.lock.used
        applied = {
            name: before[name].version if name in before else ""
            for name, used in after.items()
            if name not in before or before[name].sha256 != used.sha256
        }
        return Switched(applied, {**self._overruled(lock), **failed})

    def _overruled(self, lock: Lock) -> dict[str, str]:
        """Return which planned versions are not in use because the site says otherwise."""
        used = self.lock.used
        return {
            name: self._why_not(name)
            for name, planned in lock.planned.items()
            if name in used and used[name].sha256 != planned.sha256
        }

    async def _read(self, fetched: Mapping[str, Path]) -> Knowledge:
        return await asyncio.to_thread(
            read_knowledge, self._config, strict=True, versions=self._versions, fetched=fetched
        )

    async def _take(self, lock: Lock, knowledge: Knowledge) -> None:
        await self._adopt(knowledge)
        await self._write(lock, knowledge)

    async def _write(self, lock: Lock, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        try:
            await asyncio.to_thread(
                self._versions.save, lock, knowledge.catalogue, knowledge.origins
            )
        except GatewayError as exc:  # the versions are in use; the next start has the ones before
            log.warning("lock_unwritten", why=str(exc))

    def _why_not(self, profile: str) -> str:
        if profile in self.lock.pins:
            return f"held at {self.lock.pins[profile]} on site"
        used = self.lock.used[profile]
        return f"the site's own folder has {used.version}"

    def _check_pin(self, profile: str, version: str) -> None:
        used = self.lock.used.get(profile)
        if used is not None and used.origin == "site":
            detail = f"{profile} {used.version} is in the site's own folder, which goes first"
            raise PayloadError("bad_pin", detail)
        here = self._versions.here(profile)
        if version not in here:
            known = ", ".join(here) or "none"
            raise PayloadError("bad_pin", f"{profile} {version} is not on this edge; here: {known}")


def _unfit(knowledge: Knowledge, wanted: Mapping[str, Path]) -> dict[str, str]:
    """Return which of the wanted files could not be used, and why."""
    faults = {fault.file: str(fault) for fault in reversed(knowledge.catalogue.faults)}
    bad = {profile: faults[file] for profile, file in wanted.items() if file in faults}
    for profile in wanted.keys() & set(knowledge.catalogue.set_aside):
        bad[profile] = "it stores a field otherwise than a profile of the site's own folder"
    return bad
