"""The fetcher: asks the centre which versions to use, checks them, and lets them take over.

Nothing is used that was not vouched for: the plan is signed by the registry whose key the site was
given, each bundle has the digest that the plan names, its vendor's signature where there is one,
and it loads here. A version that fails any of it leaves the one before in place.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from device_profiles.plan import Entry, Plan, Task, open_plan
from device_profiles.profile import load_profile
from device_profiles.signing import PublicKey, load_public
from edge_agent.holdings.lock import Lock, Used
from edge_agent.holdings.versions import Versions
from edge_agent.versions.exchange import Exchange
from edge_agent.versions.proving import Proving
from edge_agent.versions.reporting import Reports, blank
from edge_agent.versions.running import Running
from edge_agent.versions.switch import Switch
from gateway_core.errors import ConfigError, GatewayError, PayloadError

log = structlog.get_logger()

_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class FetcherOptions:
    """What a fetcher needs to know.

    Attributes:
        edge: This edge's id.
        key_file: The registry's public key.
        every_s: How often the plan is asked for.
    """

    edge: str
    key_file: Path
    every_s: float = 30.0


@dataclass(slots=True)
class _Had:
    """What of a plan is here, by profile, and (by bundle) what could not be had."""

    planned: dict[str, Used] = field(default_factory=dict)
    shadow: dict[str, Used] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class Fetcher:
    """Follows the plan of one registry; a part of the agent.

    Args:
        options: See there.
        exchange: To the registry.
        versions: Has the bundles.
        switch: Lets versions take over.
        proving: Runs shadows and backtests.
        reports: Are sent.
        running: Tells how the versions do that took over.
    """

    def __init__(
        self,
        options: FetcherOptions,
        exchange: Exchange,
        versions: Versions,
        switch: Switch,
        proving: Proving,
        reports: Reports,
        running: Running,
    ) -> None:
        self._options = options
        self._exchange = exchange
        self._versions = versions
        self._switch = switch
        self._proving = proving
        self._reports = reports
        self._running = running

    async def run(self) -> NoReturn:
        """Follow the plan, for ever; run under `supervise`.

        Raises:
            Unavailable: The centre does not answer; what is in use stays.
        """
        while True:
            await self.poll()
            spread = 1 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - spreads edges in time
            await asyncio.sleep(self._options.every_s * spread)

    async def poll(self) -> None:
        """Ask once, and tell what there is to tell.

        Raises:
            Unavailable: The centre does not answer.
        """
        data = await self._exchange.plan()
        if data is not None:
            try:
                key = await asyncio.to_thread(load_public, self._options.key_file)
                lock = self._switch.lock
                seen = lock.serial if lock.registry == key.id else 0
                plan = open_plan(data, key, self._options.edge, seen)
            except (ConfigError, PayloadError) as exc:
                log.error("plan_refused", why=str(exc))  # noqa: TRY400 - not a bug
            else:
                await self._follow(plan)
                self._exchange.took()
        for report, name in self._running.reports(self._switch.lock.used):
            self._reports.add(report, name)
        await self._reports.send(self._exchange)

    async def _follow(self, plan: Plan) -> None:
        had = _Had()
        withdrawn = {each.sha256: each.reason for each in plan.withdrawn}
        for entry in plan.entries:
            why = withdrawn.get(entry.sha256)
            if why is None:
                why = await self._have(entry, entry.id)
            else:
                why = f"withdrawn: {why}"
            if why:
                had.failed[entry.sha256] = why
                continue
            group = had.planned if entry.role == "active" else had.shadow
            group[entry.id] = Used(entry.version, entry.sha256)
        before = self._switch.lock
        for entry in plan.entries:
            if entry.role == "active" and entry.id not in had.planned:
                kept = before.planned.get(entry.id)
                if kept is not None and kept.sha256 not in withdrawn:
                    had.planned[entry.id] = kept
        switched = await self._switch.follow(
            replace(
                before,
                registry=plan.registry,
                serial=plan.serial,
                planned=had.planned,
                shadow=had.shadow,
            )
        )
        self._tell(plan.entries, had.failed, switched.failed, before)
        await self._begin(plan.tasks)

    async def _have(self, entry: Entry | Task, profile: str) -> str:
        """Fetch and check a bundle; return why it cannot be used, or nothing.

        Raises:
            Unavailable: The centre does not give it now.
        """
        try:
            file = await asyncio.to_thread(self._versions.cache.open, entry.sha256)
        except PayloadError:
            data = await self._exchange.bundle(entry.sha256)
            try:
                file = await asyncio.to_thread(self._versions.cache.keep, data, entry.sha256)
            except PayloadError as exc:
                return exc.detail
        try:
            if entry.key:
                message = entry.sha256.encode()
                PublicKey(entry.key).verify("bundle", message, entry.signature)
            found = await asyncio.to_thread(load_profile, file)
        except PayloadError as exc:
            return exc.detail
        except ConfigError as exc:
            return str(exc).replace(f"{file.parent}/", "")
        if (found.id, found.version) != (profile, entry.version):
            return f"the bundle holds {found.id} {found.version}"
        return ""

    def _tell(
        self,
        entries: Iterable[Entry],
        unfit: Mapping[str, str],
        failed: Mapping[str, str],
        before: Lock,
    ) -> None:
        used = self._switch.lock.used
        for entry in entries:
            active, now = entry.role == "active", used.get(entry.id)
            why = unfit.get(entry.sha256) or (failed.get(entry.id) if active else None)
            if why is not None:
                log.warning("version_failed", profile=entry.id, version=entry.version, why=why)
                report = blank("failed", entry.id, entry.version, entry.sha256, detail=why)
                self._reports.add(report, why)
            elif active and now is not None:
                old = before.used.get(entry.id)
                previous = old.version if old is not None and old != now else ""
                report = blank("applied", entry.id, entry.version, entry.sha256)
                report = msgspec.structs.replace(report, previous=previous)
                self._reports.add(report, now.since)

    async def _begin(self, tasks: tuple[Task, ...]) -> None:
        ready = []
        for task in tasks:
            try:
                why = await self._have(task, task.profile)
            except GatewayError as exc:
                log.warning("task_waits", task=task.id, why=str(exc))
                continue
            if why:
                report = blank("backtest", task.profile, task.version, task.sha256, task=task.id)
                self._reports.add(msgspec.structs.replace(report, detail=why), task.id)
            else:
                ready.append(task)
        self._proving.backtest(tuple(ready))
