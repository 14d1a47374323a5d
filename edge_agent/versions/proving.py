"""Proving versions before they are used: beside the one in use, and on what the raw store has.

Every trial is another process that reads the raw store, so the road of live messages is not
touched: a shadow sees a message a second or two after its acknowledgement.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from device_profiles.plan import Report, Task
from edge_agent.holdings.lock import Used
from edge_agent.holdings.versions import Versions
from edge_agent.policy import Policy
from edge_agent.versions.compare import Summary
from edge_agent.versions.reporting import Reports, blank, with_summary
from edge_agent.versions.switch import Switch
from edge_agent.versions.trial import Job
from edge_agent.versions.trials import run_trial
from gateway_core.clock import Clock, monotonic
from gateway_core.errors import GatewayError, PayloadError, Unavailable

log = structlog.get_logger()

REPORT_S = 30.0
"""How often a shadow's counts are told while they grow."""
MOST_SHADOWS = 4
"""Shadows at a time: each is a process of some 60 MB."""
_LOOK_S = 2.0
_OFF = "this edge keeps no raw messages: raw.keep is 0s"


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two versions that are compared: what is tried, and what is in use (None: nothing)."""

    profile: str
    new: Used
    old: Used | None


class Proving:
    """Runs shadows and backtests; a part of the agent.

    Args:
        raw: The raw store's folder; None where nothing is kept raw.
        versions: Has the bundles.
        switch: Knows what is in use.
        reports: Take what was found.
        clock: For when a shadow began.

    Attributes:
        summaries: Profile to what its shadow found.
    """

    def __init__(
        self, raw: Path | None, versions: Versions, switch: Switch, reports: Reports, clock: Clock
    ) -> None:
        self.summaries: dict[str, Summary] = {}
        self._raw = raw
        self._versions = versions
        self._switch = switch
        self._reports = reports
        self._clock = clock
        self._running: dict[_Pair, asyncio.Task[None]] = {}
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        self._begun: set[str] = set()

    def backtest(self, tasks: tuple[Task, ...]) -> None:
        """Do the tasks that were not begun yet, one after another."""
        for task in tasks:
            if task.id not in self._begun:
                self._begun.add(task.id)
                self._tasks.put_nowait(task)

    async def run(self) -> NoReturn:
        """Run the shadows that the lock names and the backtests that are asked for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._backtests(), name="backtests")
            while True:
                self._reconcile(group)
                await asyncio.sleep(_LOOK_S)
        raise AssertionError  # the group runs until it is cancelled

    def _reconcile(self, group: asyncio.TaskGroup) -> None:
        lock = self._switch.lock
        wanted = [
            _Pair(profile, new, lock.used.get(profile)) for profile, new in lock.shadow.items()
        ][:MOST_SHADOWS]
        for pair in [pair for pair in self._running if pair not in wanted]:
            self._running.pop(pair).cancel()
            if pair.profile not in lock.shadow:
                self.summaries.pop(pair.profile, None)
        for pair in wanted:
            if pair not in self._running:
                self._running[pair] = group.create_task(self._shadow(pair), name=pair.profile)

    async def _shadow(self, pair: _Pair) -> None:
        """Follow live traffic with a version; end only when it is not wanted any more."""
        report = blank("shadow", pair.profile, pair.new.version, pair.new.sha256)
        told, last = monotonic(), -1
        began = self._clock()
        try:
            job = await asyncio.to_thread(self._job, pair.profile, pair.new, began, 0)
            async for progress in run_trial(job):
                summary = self.summaries[pair.profile] = progress.summary
                grown = summary.messages != last
                if grown and (last <= 0 or monotonic() - told >= REPORT_S):
                    told, last = monotonic(), summary.messages
                    self._tell(report, pair.old, summary, str(began), str(summary.messages))
        except GatewayError as exc:
            self._fail(report, exc)

    async def _backtests(self) -> NoReturn:
        while True:
            task = await self._tasks.get()
            report = blank("backtest", task.profile, task.version, task.sha256, task=task.id)
            try:
                await self._backtest(task, report)
            except GatewayError as exc:
                self._fail(report, exc)

    async def _backtest(self, task: Task, report: Report) -> None:
        new = Used(task.version, task.sha256)
        job = await asyncio.to_thread(self._job, task.profile, new, task.since_ns, task.limit)
        summary = Summary()
        async for progress in run_trial(job):
            summary = progress.summary
        self._tell(report, self._switch.lock.used.get(task.profile), summary, task.id)
        log.info("backtest_done", profile=task.profile, messages=summary.messages)

    def _job(self, profile: str, new: Used, since: int, limit: int) -> Job:
        """Return what a trial needs.

        Raises:
            PayloadError: The bundle is not there.
            Unavailable: Nothing is kept raw.
        """
        if self._raw is None:
            raise Unavailable(_OFF)
        file = self._versions.cache.open(new.sha256)
        used = self._switch.profiles.get(profile)
        old = str(used.file) if used is not None else ""
        return Job(str(self._raw), str(file), old, since, limit, follow=limit == 0)

    def _tell(self, report: Report, old: Used | None, summary: Summary, *names: str) -> None:
        full = with_summary(report, summary, self._policy())
        previous = old.version if old is not None else ""
        self._reports.add(msgspec.structs.replace(full, previous=previous), *names)

    def _fail(self, report: Report, why: GatewayError) -> None:
        detail = why.detail if isinstance(why, PayloadError) else str(why)
        log.warning("trial_failed", kind=report.kind, profile=report.profile, why=detail)
        if report.kind == "shadow":
            report = msgspec.structs.replace(report, kind="failed")
        self._reports.add(msgspec.structs.replace(report, detail=detail), detail)

    def _policy(self) -> Policy:
        return self._switch.policy
