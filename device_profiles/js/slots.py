"""Who may use a worker: a few processes, lent so that a bad codec waits for bad ones only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import structlog

from device_profiles.js.child import Child, Stopped

log = structlog.get_logger()

MOST_WORKERS = 3
"""Worker processes; the second and third start only when the others are busy."""

_COLD_S = 0.02
"""How long a call waits for a running worker before another one is started."""

_REST_S = 10.0
"""How long none is started after one could not be."""


class Standing(IntEnum):
    """What is known of a codec; it decides how many workers such codecs may hold at once."""

    PROVEN = 0
    NEW = 1
    STRUCK = 2


_SHARE = {Standing.PROVEN: MOST_WORKERS, Standing.NEW: MOST_WORKERS - 1, Standing.STRUCK: 1}


@dataclass(slots=True, eq=False)
class Slot:
    """Place for one worker; only the borrower touches it.

    Attributes:
        child: The process; None before the first use and after its end.
        age: Of the memory of codecs that the process was started with.
    """

    child: Child | None = None
    age: int = 0

    def retire(self) -> None:
        """Kill the process, if there is one."""
        child, self.child = self.child, None
        if child is not None:
            child.kill()


@dataclass(slots=True, eq=False)
class _Waiting:
    key: Hashable
    standing: Standing
    patient: bool = True
    slot: Slot | None = None


class Slots:
    """Lends workers to threads, one codec at a time each.

    Args:
        clock: Seconds on a clock that never jumps.
        start: Starts a worker.
    """

    def __init__(
        self, clock: Callable[[], float], start: Callable[[Callable[[], float]], Child]
    ) -> None:
        self._clock = clock
        self._start = start
        self._changed = threading.Condition()
        self._free = [Slot() for _ in range(MOST_WORKERS)]
        self._all = tuple(self._free)
        self._lent: dict[Hashable, Standing] = {}
        self._queue: list[_Waiting] = []
        self._rest_until = 0.0

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return [slot.child.pid for slot in self._all if slot.child is not None]

    @property
    def busy(self) -> int:
        """How many are lent."""
        return len(self._lent)

    @contextmanager
    def lend(self, key: Hashable, standing: Standing) -> Iterator[Slot]:
        """Lend a worker for the length of a ``with`` block, in the order of asking.

        Args:
            key: The codec; it never has two workers.
            standing: Of the codec: of those that were struck only one at a time has a worker, and
                one worker is always left to the proven.
        """
        one = _Waiting(key, standing)
        with self._changed:
            self._queue.append(one)
            self._deal()
            while one.slot is None:
                self._changed.wait(_COLD_S if one.patient else None)
                if one.patient:
                    one.patient = False
                    self._deal()
        try:
            yield one.slot
        finally:
            with self._changed:
                self._free.append(one.slot)
                del self._lent[key]
                self._deal()

    def prepare(self, count: int) -> None:
        """Start workers now, so that the first calls need not wait; they come up meanwhile.

        Raises:
            Stopped: ``codec_unavailable``.
        """
        with self._changed:
            for slot in self._free[:count]:
                slot.child = slot.child or self._start(self._clock)

    def ready(self, slot: Slot, age: int) -> Child:
        """Return the slot's worker, started where there is none of this age.

        Raises:
            Stopped: ``codec_unavailable``.
        """
        if slot.child is not None and not slot.child.alive():
            log.warning("worker_found_dead", pid=slot.child.pid)
            slot.retire()
        if slot.age != age:
            slot.retire()
        if slot.child is None:
            if self._clock() < self._rest_until:
                raise Stopped("codec_unavailable", "the worker could not be started a moment ago")
            slot.child, slot.age = self._start(self._clock), age
        return slot.child

    def replace(self, slot: Slot) -> None:
        """Kill the slot's worker and start the next one at once; it comes up meanwhile."""
        slot.retire()
        try:
            slot.child = self._start(self._clock)
        except Stopped:
            log.exception("worker_failed")

    def rest(self, slot: Slot, why: str) -> None:
        """Start none for a while, because it failed."""
        slot.retire()
        self._rest_until = self._clock() + _REST_S
        log.error("worker_failed", why=why)

    def close(self) -> None:
        """End the workers that nobody uses now."""
        with self._changed:
            for slot in self._free:
                slot.retire()

    def _deal(self) -> None:
        dealt = False
        for one in sorted(self._queue, key=lambda one: one.standing):
            slot = self._slot_for(one)
            if slot is None:
                continue
            self._free.remove(slot)
            self._queue.remove(one)
            self._lent[one.key] = one.standing
            one.slot = slot
            dealt = True
        if dealt:
            self._changed.notify_all()

    def _slot_for(self, one: _Waiting) -> Slot | None:
        like = sum(standing >= one.standing for standing in self._lent.values())
        if not self._free or one.key in self._lent or like >= _SHARE[one.standing]:
            return None
        warm = next((slot for slot in self._free if slot.child is not None), None)
        if warm is None and one.patient and self._lent:
            return None
        return warm or self._free[0]
