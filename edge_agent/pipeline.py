"""The road from arrivals to the spool: read everything, then one durable append.

`ingest` returns only after the commit, so a source may acknowledge what it returned for, and
nothing else. What cannot be read is stored raw beside the readings, in the same transaction, with
a stable reason. Announcements of devices and alarms whose append failed are *owed*: they go out
with the next append, because the memory that noticed them has moved on.

Invariants:

* every arrival ends as records, as a refusal, or (a message without any measurement of its
  profile) in the counter ``tidegate_empty_total``; of a message about several devices each does;
* whatever a decoder raises, the other arrivals of the batch are not affected;
* between the first look at memory and the append nothing is awaited, so that any number of
  batches may be on their way to the disk at once;
* an arrival that moved a decoder's memory is read once: if its append fails, all that was read
  with it is owed, and when its source brings it again it is recognised.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import structlog

from device_profiles.codecs import Ask
from device_profiles.js.ahead import NOTHING, Answers, known
from device_profiles.moments import RECEIPTS
from edge_agent.arrival import Arrival
from edge_agent.clock.keeper import Keeper
from edge_agent.commands.waiting import Waiting
from edge_agent.draft import Draft
from edge_agent.heeded import Heeded
from edge_agent.reader import Reader
from edge_agent.refusals import KEPT_PAYLOAD, Complaints, refusal
from edge_agent.registry import Registry
from edge_agent.remainder import remainder
from edge_agent.rules import Rules
from edge_agent.taken import Raw, Taken
from edge_agent.tally import Tally
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.model import Listed, Record, Refusal

log = structlog.get_logger()

MOST_TOLD = 65_536
State = Mapping[str, bytes | None]
NO_STATE: State = {}


class Log(Protocol):
    """What the pipeline needs of a spool."""

    async def append(
        self,
        records: Sequence[Record],
        refused: Sequence[Refusal] = (),
        *,
        source: str,
        state: State | None = None,
        replayed: Iterable[int] = (),
    ) -> object:
        """Store durably, all or nothing."""


Foresee = Callable[[Sequence[Arrival]], Awaitable[Answers]]

SendBack = Callable[[Sequence[tuple[str, Ask]]], None]
"""Takes what decoders would have sent, each with the source to send it through; returns at once."""


class Pipeline:
    """Takes arrivals in and stores what they say.

    Args:
        spool: Where everything goes.
        reader: Reads one arrival.
        registry: Is told of feeds.
        rules: Are asked what did not happen.
        waiting: Is shown the readings that commands may wait for.
        raw: Is offered what was committed; None where nothing is kept raw.
        keeper: Marks what comes in while the clock is not trusted; None: it always is.

    Attributes:
        foresee: Asks codecs about what is to be replayed; None where nobody does.
        send_back: Is given what is to be sent once what it is about is stored.
        tally: How each profile does.
    """

    def __init__(
        self,
        spool: Log,
        reader: Reader,
        registry: Registry,
        rules: Rules,
        waiting: Waiting | None = None,
        raw: Raw | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._spool = spool
        self._keeper = keeper
        self._raw = raw
        self._reader = reader
        self._registry = registry
        self._rules = rules
        self._waiting = waiting or Waiting()
        self._owed = Draft()
        self._complaints = Complaints()
        self._heeded = Heeded()
        self.send_back: SendBack = lambda _asks: None
        self.foresee: Foresee | None = None
        self.tally = Tally()
        self._owing = "agent"
        self._told: dict[int, tuple[Arrival, str | None]] = {}

    async def ingest(
        self, arrivals: Sequence[Arrival], state: State = NO_STATE
    ) -> list[str | None]:
        """Store what the arrivals of one source say.

        Args:
            arrivals: All from one source.
            state: Spool state to store in the same transaction.

        Returns:
            For each arrival None, or the code of the reason why it was refused. All are durable.

        Raises:
            SpoolFull: Nothing was stored; do not acknowledge, call again.
            Unavailable: The disk failed; likewise.
        """
        if self._owed.bound:
            await self._pay()
        draft = self._draft()
        read = self._read(arrivals, draft)
        source = arrivals[0].source if arrivals else "agent"
        if draft.refused:
            self._complaints.tell(source, draft.refused)
        try:
            await self._append(source, draft, state)
        except PayloadError as exc:
            return await self._apart(arrivals, state, exc)
        except BaseException:
            if draft.bound:
                self._recognise(arrivals, read.verdicts)
            else:
                self._heeded.note(arrivals, read.received)  # their alarms are owed
            raise
        if self._waiting.devices:
            self._waiting.observed(draft.records)
        if arrivals:
            self.tally.add(read.profiles, read.refusers, arrivals[-1].received)
        if self._raw is not None and arrivals:
            self._raw.offer(arrivals, read.received, read.profiles, read.verdicts)
        return read.verdicts

    async def replay(self, arrivals: Sequence[Arrival], ids: Sequence[int]) -> list[str | None]:
        """Read refused payloads again; what becomes records is no longer a refusal.

        Args:
            arrivals: Made from refusals of one source.
            ids: Of those refusals, in the same order.

        Returns:
            For each None, or the code of the reason why it stays refused. What a message says of
            devices that still cannot be taken in becomes a refusal of its own.

        Raises:
            SpoolFull: Nothing was changed.
        """
        answers = NOTHING if self.foresee is None else await self.foresee(arrivals)
        draft = self._draft()
        with known(answers):
            verdicts = self._read(arrivals, draft, live=False).verdicts
        mended = [i for i, verdict in zip(ids, verdicts, strict=True) if verdict is None]
        if mended or draft.owes:
            await self._append(arrivals[0].source, draft, NO_STATE, mended)
        return verdicts

    async def record(self, source: str, records: Sequence[Record], state: State = NO_STATE) -> None:
        """Store verdicts of cameras and systems, and with them keys of the spool's state.

        Raises:
            SpoolFull: Nothing was stored; call again.
        """
        draft = self._draft()
        draft.records.extend(records)
        await self._append(source, draft, state)
        self._registry.observe(records)

    async def tick(self, now: int) -> None:
        """Let the rules notice what did not happen: ``for:`` ran out, a device fell silent.

        Args:
            now: Nanoseconds since 1970.

        Raises:
            SpoolFull: Nothing was stored; it is owed and goes out with the next append.
        """
        draft = self._draft()
        if not draft.owes:
            self._rules.tick(now, draft)
            self._reader.memory.tick(now, draft)
        await self._append("rules", draft, NO_STATE)

    async def heed(self, arrivals: Sequence[Arrival]) -> None:
        """Store the alarms that arrivals raise which must wait until there is room for them.

        Only of profiles that read each message by itself; the readings are stored in their turn,
        and the alarms not a second time. What is still not stored is owed.
        """
        owed = self._owed
        before = len(owed.news)
        for arrival in arrivals:
            if not self._heeded.knows(arrival) and self._reader.heed(arrival, owed):
                self._heeded.note((arrival,))
        if len(owed.news) > before and not owed.bound:
            with contextlib.suppress(Unavailable):
                await self._append("rules", self._draft(), NO_STATE)

    def begin_replay(self) -> None:
        """Let the next calls of `replay` know nothing of earlier ones."""
        self._reader.memory.begin_replay()

    def announce(self, news: Iterable[Listed]) -> None:
        """Let announcements of the registry go out with the next append or tick."""
        self._owed.news.extend(news)

    def _read(self, arrivals: Sequence[Arrival], draft: Draft, *, live: bool = True) -> Taken:
        RECEIPTS.trusted = self._keeper is None or not self._keeper.doubtful
        try:
            return self._read_each(arrivals, draft, live=live)
        finally:
            RECEIPTS.trusted = True

    def _read_each(self, arrivals: Sequence[Arrival], draft: Draft, *, live: bool) -> Taken:
        reader, told, found = self._reader, self._told, Taken()
        judged, read_by, stamped = found.verdicts, found.profiles, found.received
        at, end, plainly = 0, len(arrivals), live and not (told or self._heeded)
        while at < end:
            if plainly:
                at = reader.plain.read(arrivals, at, draft, found)
                if at == end:
                    break
            arrival = arrivals[at]
            at += 1
            if told and id(arrival) in told:
                found.add(arrival.received, told.pop(id(arrival))[1])
                continue
            verdict: str | None = None
            detail = ""
            given = self._heeded.take(arrival)
            reader.heeded = given is not None
            try:
                if given:
                    left = reader.read_again(arrival, given, draft)
                else:
                    left = reader.read(arrival, draft, live=live)
                if left:
                    draft.refused.extend(remainder(arrival, left, KEPT_PAYLOAD))
            except PayloadError as exc:
                verdict, detail = exc.code, exc.detail
            except MemoryError:  # nothing is wrong with the message
                raise
            except Exception as exc:
                # A decoder's bug: the message is kept, the program goes on, a person is told.
                log.exception("decoder_failed", address=arrival.address, source=arrival.source)
                verdict, detail = "decoder_error", type(exc).__name__
            if verdict is not None:
                found.add(arrival.received, verdict)
                found.refusers.append(reader.refuser)
                if live:
                    draft.refused.append(refusal(arrival, verdict, detail))
                continue
            judged.append(None)
            read_by.append(reader.profile)
            stamped.append(reader.received)
        reader.tell_lineage(draft)
        return found

    def _recognise(self, arrivals: Sequence[Arrival], verdicts: Sequence[str | None]) -> None:
        """Note arrivals whose reading is owed: their source has them, and brings them again."""
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]
        for arrival, verdict in zip(arrivals, verdicts, strict=True):
            self._told[id(arrival)] = (arrival, verdict)

    async def _pay(self) -> None:
        """Store what is owed before anything new is read, so that it does not grow."""
        await self._append(self._owing, self._draft(), NO_STATE)

    def _draft(self) -> Draft:
        draft, self._owed = self._owed, Draft()
        return draft

    async def _append(
        self, source: str, draft: Draft, state: State, replayed: Sequence[int] = ()
    ) -> None:
        if not (draft.owes or draft.records or draft.refused or state or replayed):
            return
        records = [*draft.news, *draft.records] if draft.news else draft.records
        if self._keeper is not None:
            draft.kept |= self._keeper.news()
            told, records = records, self._keeper.stamp(records)
            if records is not told:
                self._rules.put_right(records)
        changes = {**draft.kept, **state} if draft.kept else state
        try:
            await self._spool.append(
                records, draft.refused, source=source, state=changes, replayed=replayed
            )
        except PayloadError:
            self._owe(draft)  # the arrivals are read again, one of them without its record
            raise
        except BaseException:
            self._owe(draft)
            self._owed.asks[:0] = draft.asks
            if draft.bound:
                self._owing = source
                self._owed.bound = True
                self._owed.refused[:0] = draft.refused
                self._owed.records[:0] = [] if replayed else draft.records
            raise
        if draft.asks:
            self.send_back(draft.asks)

    def _owe(self, draft: Draft) -> None:
        self._owed.news[:0] = draft.news
        self._owed.kept = {**draft.kept, **self._owed.kept}

    async def _apart(
        self, arrivals: Sequence[Arrival], state: State, why: PayloadError
    ) -> list[str | None]:
        """Store arrivals one of which made a record that the spool cannot write.

        No decoder should; if one does, its message is refused and the others are stored.
        """
        if len(arrivals) > 1:
            half = len(arrivals) // 2
            verdicts = await self.ingest(arrivals[:half])
            return verdicts + await self.ingest(arrivals[half:], state)
        draft = self._draft()
        draft.refused = [refusal(arrival, why.code, why.detail) for arrival in arrivals]
        await self._append(arrivals[0].source if arrivals else "agent", draft, state)
        return [why.code for _ in arrivals]
