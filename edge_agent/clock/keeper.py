"""Marks what comes in while the clock is not trusted, and puts its times right once it is.

Invariants (tests/edge_agent/clock/test_keeper.py):

* nothing is refused, reordered or given up for the clock's sake;
* what the stretches were is stored with the first records of each, so that a program that was
  killed goes on; another start of the machine begins anew, and what is marked stays marked;
* times are put right a few segments at a time, each with how far it got, so that nothing is put
  right twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NoReturn

import msgspec
import structlog

from edge_agent.clock import kernel
from edge_agent.clock.step import Step
from edge_agent.clock.timeline import Stretch, Timeline
from gateway_core.clock import NS, Clock, steady_ns
from gateway_core.meter import Meter
from gateway_core.model import Reading, Record
from gateway_core.spool import Spool
from gateway_core.spool.amending import Amendment, amending
from gateway_core.time_marks import (
    REPAIRED,
    REPLACED,
    Judgement,
    instant_of,
    mark_of,
    marked,
    put_right,
)

log = structlog.get_logger()

KEY = "clock/timeline"
TICK_S = 1.0
_GOOD_EVERY_NS = 600 * NS


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine knows of time beside its wall clock.

    Attributes:
        steady: Nanoseconds since it was started.
        vouched: Whether a time service keeps the wall clock right; None: nobody can tell.
        boot: Names this run of the machine; empty where that is hidden.
    """

    steady: Clock = steady_ns
    vouched: Callable[[], bool | None] = kernel.vouched
    boot: Callable[[], str] = kernel.boot_id


class _Saved(msgspec.Struct):
    boot: str = ""
    served: bool = False
    good: int = 0
    stretches: list[Stretch] = []
    left: list[Stretch] = []


class Keeper:
    """Keeps one edge's timeline.

    Args:
        spool: Whose records are put right.
        clock: The wall clock.
        machine: The other ones.
        saved: What the spool's state holds under `KEY`; empty for nothing.
        service: See `edge_agent.config.ClockSection`.
        wait_s: How long records of a clock that was not set yet wait before they go on.
        meter: Counts what is marked and put right.

    Attributes:
        timeline: How far the clock was to be trusted since the machine was started.
        marked: Mark to count since the program was started.
        stepped: Is told when the wall clock was set while the program runs.
    """

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        machine: Machine,
        saved: bytes,
        meter: Meter,
        *,
        service: Literal["auto", "required", "none"] = "auto",
        wait_s: float = 0.0,
    ) -> None:
        self._spool, self._clock, self._machine, self._meter = spool, clock, machine, meter
        self._wait_ns = round(wait_s * NS)
        before = _recalled(saved)
        self._boot, self._good = machine.boot(), before.good
        same = bool(self._boot) and self._boot == before.boot
        self.timeline = Timeline(
            machine.vouched if service != "none" else lambda: None,
            before.stretches if same else (),
            strict=service == "required" or (service == "auto" and before.served),
            good=before.good,
        )
        unfinished = before.left if same else [*before.left, *before.stretches]
        self._left = [each for each in unfinished if each.next]
        self._served = before.served
        self.marked: Counter[str] = Counter()
        self._due = True
        self.stepped: Callable[[Step], None] = lambda _step: None
        self._look()

    @property
    def holding(self) -> bool:
        """Whether what is stored should wait here, because its times may yet be put right."""
        now = self.timeline.stretches[-1]
        if any(each.next for each in self.timeline.stretches) or self._left:
            return True
        if now.trouble not in {"unset", "unsynced"}:
            return False
        began = now
        for each in reversed(self.timeline.stretches):
            if each.trouble is None:
                break
            began = each
        return self._machine.steady() - began.begin < self._wait_ns

    def gate(self) -> Callable[[], Awaitable[None]]:
        """Return what a consumer awaits before each batch, while times may yet be put right.

        An alarm does not wait, nor what it is read with.
        """
        alarms = self._spool.alarms_appended

        async def ready() -> None:
            nonlocal alarms
            while self.holding and alarms == self._spool.alarms_appended:  # noqa: ASYNC110
                await asyncio.sleep(TICK_S / 5)
            alarms = self._spool.alarms_appended

        return ready

    def stamp(self, records: list[Record]) -> list[Record]:
        """Return records that are about to be stored with their marks, or put right."""
        if self.timeline.plain:
            return records
        steady = self._machine.steady()
        return [self._stamped(each, steady) for each in records]

    def news(self) -> Mapping[str, bytes | None]:
        """Look at the clocks; return the state to store with what is received now."""
        self._look()
        return self._state() if self._due else {}

    async def run(self) -> NoReturn:
        """Attend to the clocks every second; run under `supervise`.

        Raises:
            Unavailable: The disk did not answer; it goes on from there.
        """
        while True:
            await self.attend()
            await asyncio.sleep(TICK_S)

    async def attend(self) -> None:
        """Look at the clocks, and put right what can be.

        Raises:
            Unavailable: The disk did not answer.
        """
        self._look()
        self._due |= self.timeline.tick(self._machine.steady(), self._spool.head)
        now = self._clock()
        if self.timeline.vouched and abs(now - self._good) > _GOOD_EVERY_NS:
            self._good, self._due = now, True
        if self._due:
            await self._spool.append((), source="clock", state=self._state())
        for stretch in [*self._left, *self.timeline.stretches]:
            if stretch.next:
                await self._put_right(stretch)
        self._left = [each for each in self._left if each.next]

    @property
    def doubtful(self) -> bool:
        """Whether receive times are not to be held against a device's own time."""
        return self.timeline.trouble is not None

    def _look(self) -> None:
        before, steady = self.timeline.stretches[-1:], self._machine.steady()
        if self.timeline.look(self._clock(), steady, self._spool.head):
            self._due = True
            now = self.timeline.stretches[-1]
            for last in before:
                self.stepped(Step(now.anchor - last.anchor, *last.window(steady)))
            tell = log.info if now.trouble is None else log.warning
            if len(self.timeline.stretches) > 1 or now.trouble:
                tell("clock_set", trouble=now.trouble or "none", vouched=self.timeline.vouched)

    def _state(self) -> dict[str, bytes | None]:
        self._due = False
        self._served = self._served or any(each.sure for each in self.timeline.stretches)
        return self._encoded(self.timeline.stretches, self._left)

    def _encoded(self, stretches: list[Stretch], left: list[Stretch]) -> dict[str, bytes | None]:
        saved = _Saved(self._boot, self._served, self._good, stretches, left)
        return {KEY: msgspec.json.encode(saved)}

    def _stamped(self, record: Record, steady: int) -> Record:
        stretch = self.timeline.at(instant_of(record), steady)
        if stretch is None:
            return record
        if stretch.by is not None:
            return self._right(record, stretch)
        if stretch.trouble is None or not isinstance(record, Reading | Judgement):
            return record
        self._count(stretch.trouble)
        return marked(record, stretch.trouble)

    def _count(self, mark: str) -> None:
        self.marked[mark] += 1
        self._meter.count("tidegate_clock_marked", mark=mark)

    def _right(self, record: Record, stretch: Stretch) -> Record:
        assert stretch.by is not None
        made = put_right(record, stretch.by, stretch.trouble or "")
        if stretch.by and made is not record:
            self._count(REPAIRED)
        return made

    async def _put_right(self, stretch: Stretch) -> None:
        """Put right what a stretch left in the spool."""
        by, steady = stretch.by or 0, self._machine.steady()
        since, until = stretch.window(steady)

        def change(seq: int, record: Record) -> Record:
            instant = instant_of(record)
            if not since <= instant <= until or (
                seq > stretch.last and self.timeline.at(instant, steady) is not stretch
            ):
                return record
            if isinstance(record, Reading) and not _waits(record, stretch.trouble or ""):
                return record
            return self._right(record, stretch)

        def told(following: int | None) -> Mapping[str, bytes | None]:
            moved = msgspec.structs.replace(stretch, next=following or 0)
            lists = self.timeline.stretches, self._left
            changed = [[moved if each is stretch else each for each in some] for some in lists]
            return self._encoded(*changed)

        change_at = partial(
            amending, amendment=Amendment(since, until, by), change=change, told=told
        )
        await self._spool.amend(stretch.next, change_at)
        stretch.next = 0  # said by the last step already
        log.info("clock_times_put_right", by_s=round(by / NS, 3), was=stretch.trouble or "unsure")


def _recalled(saved: bytes) -> _Saved:
    """Return what was saved; nothing where it cannot be read: marks stay, the edge starts."""
    try:
        return msgspec.json.decode(saved, type=_Saved) if saved else _Saved()
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        log.warning("clock_memory_unread", why=str(exc))
        return _Saved()


def _waits(reading: Reading, trouble: str) -> bool:
    """Tell whether a reading still has the mark, or still lacks one, that putting right changes."""
    marks = set(mark_of(reading.flags).split(",")) - {REPLACED, ""}
    return trouble in marks if trouble else not marks
