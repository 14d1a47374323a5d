"""The commits: groups of jobs made into transactions, one at a time, by whoever calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import structlog

from gateway_core.clock import Clock, monotonic
from gateway_core.errors import GatewayError
from gateway_core.model import Loss, Record
from gateway_core.spool import room, rows, schema
from gateway_core.spool.ballast import Ballast
from gateway_core.spool.position import Position
from gateway_core.spool.shapes import SpoolOptions
from gateway_core.spool.transaction import Transaction

log = structlog.get_logger()

TIDY_S = 30.0
_LOOK_S = 5.0
_TELL_S = 60.0


@dataclass(slots=True, eq=False)
class Job:
    """Something to do inside a transaction.

    Attributes:
        work: Does it; may be called again in a transaction of its own when a group failed.
        records: How many records it appends; a job that appends none does not wait for company.
        size: Bytes that it holds until it is committed.
        result: What ``work`` returned, once committed.
        error: Why nothing of it was committed.
    """

    work: Callable[[Transaction], object]
    records: int = 0
    size: int = 0
    result: object = None
    error: Exception | None = None


@dataclass(slots=True)
class Outcome:
    """What one commit changed.

    Attributes:
        jobs: Finished, each with ``result`` or ``error``.
        head: Last committed sequence number.
        positions: Consumers that moved; None for one that was forgotten.
        segments: New ones: first sequence number and records.
        removed: First sequence numbers of the segments that went.
        alarms: How many alarms were appended.
    """

    jobs: list[Job]
    head: int
    positions: dict[str, Position | None] = field(default_factory=dict)
    segments: list[tuple[int, list[Record]]] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    alarms: int = 0


class Committer:
    """Owns the writing connection. Knows no threads: whoever calls must call from one at a time.

    Args:
        db: The writing connection.
        path: Of the file.
        owner: Of the spool.
        options: The limits.
        clock: The wall clock.
        report: Is told what became of each group.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: Path,
        owner: str,
        options: SpoolOptions,
        clock: Clock,
        report: Callable[[Outcome], None],
    ) -> None:
        self._db, self._path, self._owner = db, path, owner
        self._options, self._clock = options, clock
        self._report = report
        self._limit = options.max_bytes
        self._ballast = Ballast(path, options.ballast)
        self._looked = self._tidied = monotonic()
        self._given_up: Counter[str] = Counter()
        self._told = -_TELL_S
        self._epoch = schema.about(db, "epoch")
        self._head = rows.head_of(db)

    def begin(self) -> None:
        """Hold what is to be held of the disk."""
        self._ballast.take()

    def close(self) -> None:
        """Close the connection; what the disk says to that changes nothing of what is committed."""
        try:
            self._db.close()
        except apsw.Error as exc:  # the checkpoint's: the write-ahead log stays, and is read again
            log.warning("spool_checkpoint_failed", why=str(exc))

    def commit(self, jobs: list[Job]) -> None:
        """Commit a group, and what retention asks for now and then; blocks."""
        if monotonic() - self._tidied > TIDY_S:
            self._tidied = monotonic()
            jobs.append(Job(room.expire))
        if jobs:
            self._commit(jobs)

    def _commit(self, jobs: list[Job]) -> None:
        """Commit a group; when it fails, each of its jobs alone."""
        self._look_at_disk()
        try:
            outcome = self._transacted(jobs)
        except Exception as exc:  # whatever it is, the callers must hear of it
            if len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            jobs[0].error = exc
            if isinstance(exc, schema.SpoolDamaged):
                schema.suspect(self._path, str(exc))
            elif not isinstance(exc, GatewayError):
                log.exception("spool_job_failed")
            outcome = Outcome(jobs, self._head)
        self._report(outcome)

    def _end(self, tx: Transaction) -> None:
        """Commit; an error of the checkpoint that follows a commit is none of the commit's."""
        try:
            self._db.execute("COMMIT")
        except apsw.Error as exc:
            done = self._db.get_autocommit() and tx.segments and rows.head_of(self._db) == tx.head
            if not done:
                raise
            log.warning("spool_checkpoint_failed", why=str(exc))

    def _tell_losses(self, losses: list[Loss]) -> None:
        """Log what was given up for want of room, at most once a minute."""
        for loss in losses:
            if loss.reason != "damaged":
                self._given_up[loss.reason] += loss.last - loss.first + 1
        if self._given_up and monotonic() - self._told >= _TELL_S:
            self._told = monotonic()
            log.error("records_given_up", **self._given_up)
            self._given_up.clear()

    def _look_at_disk(self) -> None:
        """Go back to the whole budget once a disk that was full is so no more."""
        if self._ballast.held or monotonic() - self._looked < _LOOK_S:
            return
        self._looked = monotonic()
        if self._ballast.take() and self._limit < self._options.max_bytes:
            self._limit = self._options.max_bytes
            log.info("spool_disk_has_room", path=str(self._path))

    def _transacted(self, jobs: list[Job]) -> Outcome:
        """Commit a group; on a full disk make do, from then on, with the pages there are."""
        try:
            return self._transact(jobs)
        except schema.DiskFull:
            given = self._ballast.give()
            schema.empty_log(self._db)
            if not given:
                raise
            self._limit = min(self._limit, schema.used_bytes(self._db))
            self._transact([Job(room.expire)])
            return self._transact(jobs)

    def _transact(self, jobs: list[Job]) -> Outcome:
        db = self._db
        with schema.translated("the spool"):
            db.execute("BEGIN IMMEDIATE")
            try:
                tx = Transaction(
                    db,
                    self._options,
                    self._owner,
                    self._epoch,
                    self._clock(),
                    self._head,
                    self._limit,
                )
                for job in jobs:
                    job.result = job.work(tx)
                tx.close_segments()
                if tx.segments or tx.strict:
                    room.make_room(tx)
                tx.finish()
                self._end(tx)
            except BaseException:
                if not db.get_autocommit():
                    db.execute("ROLLBACK")
                raise
        self._head = tx.head
        self._tell_losses(tx.losses)
        segments = [(segment.first, records) for segment, records in tx.segments]
        return Outcome(jobs, tx.head, tx.positions, segments, tx.removed, tx.alarms)
