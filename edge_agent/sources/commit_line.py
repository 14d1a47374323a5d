"""Commits what was received, in order, several commits at a time; acknowledges after each."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog

from edge_agent.arrival import Apart, Arrival, Ingest, undivided
from gateway_core.errors import Unavailable
from gateway_core.meter import Meter

log = structlog.get_logger()

COMMITS_AT_ONCE = 8
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
MOST_LOAD = 256 * 1024
"""Bytes at which a load that waits for its turn takes no more: all that waits, as one, might not
fit even into an empty spool, and would be held for ever."""


Word = TypeVar("Word")
"""An acknowledgement, as the link understands it."""

Mark = TypeVar("Mark")
"""What is remembered of a message that may come again."""

_Mark_contra = TypeVar("_Mark_contra", contravariant=True)


class Remembers(Protocol[_Mark_contra]):
    """Remembers which messages were committed."""

    def enter(self, marks: Sequence[_Mark_contra], *, settled: bool) -> Mapping[str, bytes | None]:
        """Return the state to store with the messages of these marks."""

    def stored(self, state: Mapping[str, bytes | None]) -> None:
        """Note that a commit has happened; ``state`` as `enter` returned it."""


@dataclass(slots=True)
class Load(Generic[Word, Mark]):
    """What one commit stores and what is acknowledged after it.

    Attributes:
        arrivals: New messages in the order of receipt.
        words: Acknowledgements to send, as the link understands them; redelivered messages
            have one without an arrival.
        marks: What to remember of the arrivals that have a packet id.
        again: How many came again and were recognised.
        size: Bytes as received.
        done: Whether it was committed.
        due: Whether the state of the link is to be stored even where nothing else is.
        slow: Whether only parts of it are left that take long to decode.
        heeded: How many of its arrivals were asked for alarms while they had to wait.
        state: To store with the arrivals.
    """

    arrivals: list[Arrival] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    again: int = 0
    size: int = 0
    done: bool = False
    due: bool = False
    slow: bool = False
    heeded: int = 0
    state: Mapping[str, bytes | None] = field(default_factory=dict)


class CommitLine(Generic[Word, Mark]):
    """Between a link to a broker and the pipeline.

    The link fills `open` and calls `go`, or `soon`. Acknowledgements leave in the order of receipt
    (MQTT 5.0 section 4.6), so a load that commits early waits for those before it. When more than
    ``most_messages`` or ``most_bytes`` are uncommitted, `on_pressure` is called with True, and
    with False when half of it is gone. `on_held` likewise, while what was received does not fit.

    Args:
        source: For metrics and logs.
        ingest: Returns after the commit. `Unavailable` (a full spool) is tried again, the
            same load, until it fits; meanwhile nothing is acknowledged and no load begins.
        redelivery: Gives the state to store with each load.
        meter: Counts what came and what came again.
        most_messages: Uncommitted messages at which reading stops.
        most_bytes: Uncommitted bytes at which reading stops.
        apart: Parts a load: what is slow to decode is stored later than the rest, and
            acknowledged, with what came after it, when all of the load is stored. And asked for
            the alarms of what waits while there is no room.
    """

    def __init__(
        self,
        source: str,
        ingest: Ingest,
        redelivery: Remembers[Mark],
        meter: Meter,
        *,
        most_messages: int,
        most_bytes: int,
        apart: Apart = undivided,
    ) -> None:
        self.open: Load[Word, Mark] = Load()
        self.on_acknowledged: Callable[[list[Word]], None] = lambda _words: None
        self.on_pressure: Callable[[bool], None] = lambda _pressed: None
        self.on_held: Callable[[bool], None] = lambda _held: None
        self._source = source
        self._ingest = ingest
        self._apart = apart
        self._entered: asyncio.Future[None] | None = None  # of the load before
        self._redelivery = redelivery
        self._meter = meter
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._tasks: asyncio.TaskGroup | None = None
        self._closed: deque[Load[Word, Mark]] = deque()
        self._flying: deque[Load[Word, Mark]] = deque()
        self._messages = 0
        self._bytes = 0
        self._pressed = self._going = False
        self._held = 0
        self._turn = asyncio.Lock()
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Run commits as tasks of ``tasks`` from now on."""
        self._tasks = tasks

    def go(self) -> None:
        """Begin to commit what is open, if it is time; slow down the link if it is too much."""
        while self._may_begin() and (self._closed or self._waiting()):
            if not self._closed:
                self._close()
            load = self._closed.popleft()
            self._flying.append(load)
            assert self._tasks is not None
            self._tasks.create_task(self._commit(load))
        if self.open.size >= MOST_LOAD:
            self._close()
        if self._held and self._tasks is not None:
            self._heed(self._tasks)
        self._judge_pressure()

    def _heed(self, tasks: asyncio.TaskGroup) -> None:
        """Let alarms of what waits behind a load that does not fit go before it."""
        for load in (*self._closed, self.open):
            fresh = load.arrivals[load.heeded :]
            if fresh:
                load.heeded = len(load.arrivals)
                tasks.create_task(self._apart.heed(fresh))

    def soon(self) -> None:
        """As `go`, but begin in the next step of the loop: what many connections bring is one."""
        if self.open.size >= MOST_LOAD:
            self._close()
        self._judge_pressure()
        if not self._going:
            self._going = True
            asyncio.get_running_loop().call_soon(self._go)

    def _go(self) -> None:
        self._going = False
        self.go()

    def _may_begin(self) -> bool:
        # What is stored and only waits to be acknowledged behind a slow load holds up nobody.
        flying = sum(not (load.slow or load.done) for load in self._flying)
        return self._tasks is not None and not self._held and flying < COMMITS_AT_ONCE

    def _waiting(self) -> bool:
        return bool(self.open.words or self.open.arrivals or self.open.due)

    def _close(self) -> None:
        """Let the open load take no more, and enter what is to be remembered of it."""
        load: Load[Word, Mark] = self.open
        self.open = Load()
        alone = not self._flying and not self._closed
        load.state = self._redelivery.enter(load.marks, settled=alone)
        self._closed.append(load)
        self._messages += len(load.arrivals)
        self._bytes += load.size
        self._idle.clear()
        self._count(load)

    async def store(self, state: Mapping[str, bytes | None]) -> None:
        """Store state alone; returns after the commit."""
        await self._stored((), state)

    async def drained(self) -> None:
        """Return when nothing received is left to commit.

        A load that does not fit is not given up here either: the broker would send the QoS 1
        messages again, but those of QoS 0 exist nowhere else.
        """
        self.go()
        await self._idle.wait()

    async def _commit(self, load: Load[Word, Mark]) -> None:
        try:
            if load.arrivals:
                await self._store(load)
            elif load.state:
                await self._stored((), load.state)
            load.done = True
            self._redelivery.stored(load.state)
        finally:
            if not load.done:
                # What is not Unavailable ends the program: begin nothing more, wait for nothing.
                self._tasks = None
                self._idle.set()
        words: list[Word] = []
        while self._flying and self._flying[0].done:
            first = self._flying.popleft()
            words += first.words
            self._messages -= len(first.arrivals)
            self._bytes -= first.size
        if words:
            self.on_acknowledged(words)
        self.go()
        if not self._flying and not self._closed and not self._waiting():
            self._idle.set()

    async def _store(self, load: Load[Word, Mark]) -> None:
        """Store a load, in parts where some of it is slow to decode.

        What can be read at once is read in the order of receipt, load after load. The marks are
        stored last: a message that they name is known to be stored.
        """
        before, mine = self._entered, asyncio.get_running_loop().create_future()
        self._entered = mine
        try:
            now, slow = await self._apart.part(load.arrivals)
            if before is not None:
                await before
        finally:
            mine.set_result(None)  # the next one goes on in a later step of the loop
        if not slow:
            await self._stored(now, load.state)
            return
        if now:
            await self._stored(now, {})
        load.slow = True
        self.go()
        async with asyncio.TaskGroup() as parts:
            for part in slow:
                parts.create_task(self._stored(part, {}))
        await self._stored((), load.state)

    async def _stored(self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]) -> None:
        try:
            await self._ingest(arrivals, state)
        except Unavailable as why:
            self._held += 1
            if self._held == 1:
                log.warning("ingest_held", source=self._source, why=str(why))
                self.on_held(True)  # noqa: FBT003  # a callback's only argument
                self.go()
            try:
                await self._stored_in_turn(arrivals, state)
            finally:
                self._held -= 1
            if not self._held:
                log.info("ingest_resumed", source=self._source)
                self.on_held(False)  # noqa: FBT003

    async def _stored_in_turn(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> None:
        wait = FIRST_WAIT_S
        async with self._turn:
            while True:
                self._meter.count("tidegate_ingest_held", source=self._source)
                await asyncio.sleep(wait)
                try:
                    await self._ingest(arrivals, state)
                except Unavailable:
                    wait = min(2 * wait, LONGEST_WAIT_S)
                else:
                    return

    def _count(self, load: Load[Word, Mark]) -> None:
        came, again = len(load.arrivals), load.again
        if came:
            self._meter.count("tidegate_mqtt_received", came, source=self._source)
        if again:
            self._meter.count("tidegate_mqtt_redelivered", again, source=self._source)

    def _judge_pressure(self) -> None:
        messages = self._messages + len(self.open.arrivals)
        size = self._bytes + self.open.size
        if not self._pressed:
            if messages >= self._most_messages or size >= self._most_bytes:
                self._pressed = True
                self.on_pressure(True)  # noqa: FBT003  # a callback's only argument
        elif 2 * messages <= self._most_messages and 2 * size <= self._most_bytes:
            self._pressed = False
            self.on_pressure(False)  # noqa: FBT003
