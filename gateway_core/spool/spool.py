"""The spool itself: what the rest of the program sees of it, on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import apsw

from gateway_core.clock import Clock
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Loss, Receipt, Record, Refusal
from gateway_core.spool import accounts, jobs, room, rows, schema
from gateway_core.spool.amending import Amending
from gateway_core.spool.committer import Committer, Job, Outcome
from gateway_core.spool.lookup import Lookup
from gateway_core.spool.position import Position
from gateway_core.spool.segment import Chunk, chunk
from gateway_core.spool.shapes import Books, Quarantined, Span, SpoolOptions
from gateway_core.spool.transaction import Transaction
from gateway_core.spool.writer import MakeWriting, Writer

T = TypeVar("T")

_ROW = 64  # bytes that a queued job costs beside its payload


class Spool:
    """A durable log with named consumers; made by `open_spool`. Belongs to one event loop.

    Every method may raise `SpoolDamaged`, which should end the program: `open_spool` mends it.

    Attributes:
        path: The SQLite file.
        owner: Who the spool belongs to; the ``edge`` of the `Loss` records it appends.
        epoch: Random id made when the file was created.
        alarms_appended: How many alarms were appended since the file was opened.
    """

    def __init__(
        self,
        path: Path,
        owner: str,
        options: SpoolOptions,
        db: apsw.Connection,
        clock: Clock,
        writing: MakeWriting = Writer,
    ) -> None:
        self.path, self.owner, self.epoch = path, owner, schema.about(db, "epoch")
        self.alarms_appended = 0
        self._options = options
        self._head = rows.head_of(db)
        found = {name: rows.load_position(db, name) for name in rows.consumers(db)}
        self._positions = {name: each for name, each in found.items() if each}
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[Job, asyncio.Future[None]] = {}
        self._pending = 0
        self._gate = asyncio.Lock()
        self._eased, self._grew = asyncio.Event(), asyncio.Event()
        self._writer = writing(Committer(db, path, owner, options, clock, self._report), options)
        self._lookup = Lookup(path, owner, self.epoch, options.cache_records)
        self._writer.start()

    @property
    def head(self) -> int:
        """Last committed sequence number; 0 when nothing was ever appended."""
        return self._head

    async def append(
        self,
        records: Sequence[Record],
        refused: Sequence[Refusal] = (),
        *,
        source: str,
        state: Mapping[str, bytes | None] | None = None,
        replayed: Iterable[int] = (),
        placed: Callable[[int], Mapping[str, bytes | None]] | None = None,
    ) -> Span | None:
        """Commit ``records``, ``refused`` and ``state`` together; return the records' numbers.

        When this returns, all survive a power cut; only then may their sender be thanked. Waits
        while too much waits for its commit already.

        Args:
            records: In order; an empty sequence is fine. Must not be altered afterwards.
            refused: Payloads that could not be read.
            source: Whose ``accepted`` counter grows, for example ``mqtt:site``.
            state: Keys to set (or, with None, to delete) in the same transaction.
            replayed: Ids of refused payloads to delete in the same transaction.
            placed: Returns further keys to set, made from the first number that is given out.

        Returns:
            None when ``records`` is empty.

        Raises:
            SpoolFull: The budget is used up; nothing of this append was stored.
            Unavailable: The disk failed; nothing of this append was stored.
            PayloadError: ``unstorable``: a record cannot be written (an integer beyond 64 bits).
        """
        chunks = self._chunks(records)
        size = sum(len(each.body) for each in chunks) + sum(len(r.payload) + _ROW for r in refused)
        gone = tuple(replayed)
        async with self._gate:  # first come, first served
            while self._pending > self._options.pending_bytes:
                self._eased.clear()
                await self._eased.wait()
            work = jobs.appending(chunks, refused, source, state or {}, gone, placed)
            job = Job(work, len(records) or len(refused), size + _ROW)
            done = self._enqueue(job)
        await done
        return cast("Span | None", job.result)

    async def register(self, consumer: str) -> None:
        """Create the consumer's cursor before the oldest record held; nothing if it exists."""
        if consumer not in self._positions:
            await self._do(jobs.registering(consumer))

    async def forget(self, consumer: str) -> None:
        """Delete a consumer that no longer exists, so that it holds nothing back."""
        await self._do(jobs.forgetting(consumer))

    async def read(self, consumer: str, limit: int, linger_s: float = 0.0, above: int = 0) -> Batch:
        """Return 1 to ``limit`` consecutive unsettled records above ``above``, oldest first.

        Waits for the first one; then up to ``linger_s`` for ``limit`` of them. Never spans a hole.

        Raises:
            Unavailable: The consumer is not registered, or the disk failed.
        """
        while True:
            run = self._position(consumer).next_run(self._head, above)
            if run is None:
                await self.grown(self._head)
                continue
            first, last = run
            if linger_s > 0 and last == self._head and last - first + 1 < limit:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(linger_s):
                        await self.grown(first + limit - 2)
                last = (self._position(consumer).next_run(self._head, above) or run)[1]
            found = await self._lookup.fetch(first, last, limit)
            if isinstance(found, Batch):
                return found
            await self._do(jobs.condemning(found))

    async def read_after(self, seq: int, limit: int) -> Batch | None:
        """Return the oldest records with numbers above ``seq``, or None when there is none yet."""
        at: int | None = seq + 1
        while at is not None and at <= self._head:
            found = await self._lookup.fetch(at, self._head, limit)
            if isinstance(found, Batch):
                return found
            await self._do(jobs.condemning(found))
            at = await self._lookup.next_held(found.last + 1)
        return None

    async def read_beyond(self, consumer: str, seq: int, limit: int) -> Batch | None:
        """Return the consumer's oldest unsettled records with numbers above ``seq``, or None."""
        while (run := self._position(consumer).next_run(self._head, seq)) is not None:
            found = await self._lookup.fetch(run[0], run[1], limit)
            if isinstance(found, Batch):
                return found
            await self._do(jobs.condemning(found))
        return None

    async def alarms(self, seq: int, limit: int) -> list[int]:
        """Return the numbers of up to ``limit`` alarms above ``seq``, ascending."""
        return await self._lookup.ask(lambda db: rows.alarms(db, seq, limit))

    def outstanding(self, consumer: str) -> tuple[int, int]:
        """Return how many records a consumer has not settled, and in how many pieces.

        Of one instant and at once, however many there are; `books` counts them in the file.
        """
        position = self._position(consumer)
        waiting = self._head - position.settled - position.ahead.count()
        return waiting, len(position.ahead) + 1

    async def settle(
        self,
        consumer: str,
        first: int,
        last: int,
        receipt: Receipt = Receipt(),  # noqa: B008  # frozen
    ) -> None:
        """Enter what became of the records ``first`` to ``last``, in one transaction.

        May be out of order: what lies beyond the cursor is kept beside it, `read` skips it.
        Settling what is settled changes nothing.

        Raises:
            ValueError: The receipt speaks of more records than the range has.
            SpoolFull: ``receipt.append`` does not fit; nothing was settled.
            Unavailable: The disk failed, or no such consumer; nothing was settled.
        """
        if not 1 <= first <= last <= self._head:
            raise ValueError(f"{first} to {last} is not a range of records up to {self._head}")
        spoken = len(receipt.rejected) + sum(receipt.dropped.values())
        inside = all(first <= each.seq <= last for each in receipt.rejected)
        if spoken > last - first + 1 or not inside:
            raise ValueError(f"the receipt for {first} to {last} speaks of other records")
        chunks = self._chunks(receipt.append)
        await self._do(jobs.settling(consumer, first, last, receipt, chunks))

    async def grown(self, seq: int) -> None:
        """Wait until `head` is above ``seq``."""
        while self._head <= seq:
            await self._grew.wait()

    def settled(self, consumer: str) -> int:
        """Return the consumer's cursor: everything up to it is settled."""
        return self._position(consumer).settled

    def is_settled(self, consumer: str, seq: int) -> bool:
        """Tell whether a consumer has settled one record."""
        return not self._position(consumer).unsettled(seq, seq)

    def knows(self, consumer: str) -> bool:
        """Tell whether a consumer is registered."""
        return consumer in self._positions

    def front(self, consumer: str) -> int:
        """Return the highest number that a consumer settled: where its live data is."""
        return self._position(consumer).front

    async def books(self) -> Books:
        """Count everything; see `Books`."""
        return await self._lookup.ask(lambda db: accounts.load_books(db, self._options.max_bytes))

    async def state(self, prefix: str = "") -> dict[str, bytes]:
        """Return the keys that start with ``prefix``."""
        return await self._lookup.ask(lambda db: rows.load_state(db, prefix))

    async def state_between(self, low: str, high: str) -> dict[str, bytes]:
        """Return the keys from the last one that is not above ``low`` to ``high``, ascending."""
        return await self._lookup.ask(lambda db: rows.load_state_between(db, low, high))

    async def committed(self, since: int, until: int) -> Span | None:
        """Return the numbers still held that were committed between two instants, or None."""
        return await self._lookup.ask(lambda db: rows.committed(db, since, until))

    async def refusals(
        self, limit: int, after_id: int = 0, reason: str | None = None
    ) -> list[tuple[int, Refusal]]:
        """Return up to ``limit`` refused payloads with ids above ``after_id``, oldest first."""
        return await self._lookup.ask(lambda db: rows.load_refusals(db, limit, after_id, reason))

    async def amend(self, first: int, change: Callable[[int], Amending]) -> None:
        """Have what is stored from ``first`` on changed; see `gateway_core.spool.amending`."""
        at: int | None = first
        while at is not None:
            at = await self._do(change(at))

    async def discard_refusals(self, ids: Iterable[int]) -> int:
        """Delete refused payloads; return how many there were."""
        return await self._do(jobs.discarding(tuple(ids)))

    async def quarantined(
        self, limit: int, after_id: int = 0, consumer: str | None = None
    ) -> list[Quarantined]:
        """Return up to ``limit`` quarantined records with ids above ``after_id``, oldest first."""
        return await self._lookup.ask(
            lambda db: rows.load_quarantined(db, limit, after_id, consumer)
        )

    async def verify(self) -> list[Loss]:
        """Check every segment in the file; return the losses that this found (and recorded)."""
        losses: list[Loss] = []
        seq, until = 1, self._head
        while (at := await self._lookup.next_held(seq)) is not None and at <= until:
            found = await self._lookup.load(at, until, 1)
            if found.broken:
                losses += await self._do(jobs.condemning(found.broken))
                seq = found.broken.last + 1
            else:
                seq = found.segments[-1][0] + len(found.segments[-1][1])
        return losses

    async def tidy(self) -> int:
        """Apply retention now; return how many segments went. Runs by itself now and then."""
        return await self._do(room.expire)

    async def close(self) -> None:
        """Commit what is queued and close the file; `open_spool` calls it."""
        self._lookup.refuse()

        def end() -> None:
            self._lookup.close()  # first: the last to close empties the write-ahead log
            self._writer.close()

        await asyncio.to_thread(end)

    def _chunks(self, records: Sequence[Record]) -> list[Chunk]:
        most = self._options.group_records
        return [chunk(records[at : at + most]) for at in range(0, len(records), most)]

    def _position(self, consumer: str) -> Position:
        found = self._positions.get(consumer)
        if found is None:
            raise Unavailable(f"no consumer {consumer} is registered")
        return found

    def _enqueue(self, job: Job) -> asyncio.Future[None]:
        self._writer.submit(job)
        self._pending += job.size
        self._waiting[job] = done = self._loop.create_future()
        return done

    async def _do(self, work: Callable[[Transaction], T]) -> T:
        """Have the writer do ``work``; return once it is committed."""
        job = Job(work)
        await self._enqueue(job)
        return cast("T", job.result)

    def _report(self, outcome: Outcome) -> None:
        """Take the writer's report to the event loop; called on the writer's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is everyone who waits
            self._loop.call_soon_threadsafe(self._publish, outcome)

    def _publish(self, outcome: Outcome) -> None:
        for name, position in outcome.positions.items():
            if position is None:
                self._positions.pop(name, None)
            else:
                self._positions[name] = position
        for first, records in outcome.segments:
            self._lookup.recent.add(first, records)
        near = outcome.head - self._options.cache_records
        fronts = (each.front for each in self._positions.values())
        self._lookup.recent.passed(min((at for at in fronts if at >= near), default=0))
        for first in outcome.removed:
            self._lookup.recent.drop(first)
        for job in outcome.jobs:
            self._pending -= job.size
            done = self._waiting.pop(job, None)
            if done is None or done.done():  # its caller was cancelled
                continue
            if job.error is None:
                done.set_result(None)
            else:
                done.set_exception(job.error)
        self.alarms_appended += outcome.alarms
        if outcome.head > self._head:
            self._head = outcome.head
            self._grew.set()
            self._grew = asyncio.Event()
        self._eased.set()
