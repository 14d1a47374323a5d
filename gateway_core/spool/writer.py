"""The one thread that writes: collects jobs into groups and has each of them committed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gateway_core.clock import monotonic
from gateway_core.errors import Unavailable
from gateway_core.spool.committer import TIDY_S, Committer, Job
from gateway_core.spool.shapes import SpoolOptions


class Writing(Protocol):
    """Has jobs committed, in the order in which they came, one group at a time."""

    def start(self) -> None:
        """Begin to work."""

    def submit(self, job: Job) -> None:
        """Queue a job and return at once; the committer's report names it when it is done.

        Raises:
            Unavailable: It is closed.
        """

    def close(self) -> None:
        """Commit what is queued, then close the connection; blocks."""


MakeWriting = Callable[[Committer, SpoolOptions], Writing]
"""Makes what has a spool's jobs committed: `Writer`; where time is simulated, something else."""


class Writer:
    """A thread of its own; every write goes through `submit`, as `Writing` says.

    Args:
        committer: Is called on the thread.
        options: How long a group may wait, and how large it may be.
    """

    def __init__(self, committer: Committer, options: SpoolOptions) -> None:
        self._committer = committer
        self._options = options
        self._ready = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._waiting = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._committer.begin()
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; the report that names it comes from the writer's thread."""
        with self._ready:
            if self._closing:
                raise Unavailable("the spool is closed")
            self._jobs.append(job)
            self._waiting += job.records
            if len(self._jobs) == 1 or self._waiting >= self._options.group_records:
                self._ready.notify()

    def close(self) -> None:
        """Commit what is queued, then close the connection; blocks."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()
        self._committer.close()

    def _run(self) -> None:
        while (jobs := self._take()) is not None:
            self._committer.commit(jobs)

    def _take(self) -> list[Job] | None:
        """Wait for jobs, and for company if they append; None means that it is over."""
        with self._ready:
            while not self._jobs and not self._closing:
                if not self._ready.wait(TIDY_S):
                    break
            if self._waiting:
                self._linger()
            taken: list[Job] = []
            records = 0
            while self._jobs and (not taken or records < self._options.group_records):
                job = self._jobs.popleft()
                taken.append(job)
                records += job.records
            self._waiting -= records
            return None if self._closing and not taken else taken

    def _linger(self) -> None:
        """Wait while others join: longer for a small group, never beyond ``group_commit_s``."""
        longest, most = self._options.group_commit_s, self._options.group_records
        deadline = monotonic() + longest
        while not self._closing and self._waiting < most:
            before = self._waiting
            quiet = longest / 20 if before * 10 >= most else longest / 4
            left = deadline - monotonic()
            if left <= 0 or (not self._ready.wait(min(quiet, left)) and self._waiting == before):
                break
