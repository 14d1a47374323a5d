"""A spool's jobs committed as steps of the simulated loop, where a program has a thread for it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from gateway_core.errors import Unavailable
from gateway_core.spool.committer import Committer, Job
from gateway_core.spool.shapes import SpoolOptions


class StepWriting:
    """Commits groups one after another; how long one takes is drawn from the seed.

    Args:
        committer: Commits.
        options: How large a group may be.
        chance: For how long company is waited for, and how long the disk takes.
    """

    def __init__(self, committer: Committer, options: SpoolOptions, chance: random.Random) -> None:
        self._committer, self._options, self._chance = committer, options, chance
        self._jobs: deque[Job] = deque()
        self._due = self._closed = False
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        self._committer.begin()

    def submit(self, job: Job) -> None:
        if self._closed:
            raise Unavailable("the spool is closed")
        self._jobs.append(job)
        self._later()

    def close(self) -> None:
        self._closed = True
        while self._jobs:
            self._committer.commit(self._take())
        self._committer.close()

    def _later(self) -> None:
        if not self._due:
            self._due = True
            took = 0.0005 + self._chance.expovariate(1 / 0.01)
            if self._chance.random() < 0.01:
                took += 3 * self._chance.random()  # a disk that pauses
            self._loop.call_later(took, self._commit)

    def _commit(self) -> None:
        self._due = False
        if self._closed:
            return
        jobs = self._take()
        if self._jobs:
            self._later()
        self._committer.commit(jobs)

    def _take(self) -> list[Job]:
        taken: list[Job] = []
        records = 0
        while self._jobs and (not taken or records < self._options.group_records):
            job = self._jobs.popleft()
            taken.append(job)
            records += job.records
        return taken


def writing_by(chance: random.Random) -> Callable[[Committer, SpoolOptions], StepWriting]:
    """Return what makes a spool's writing."""
    return lambda committer, options: StepWriting(committer, options, chance)
