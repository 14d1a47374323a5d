"""Runs codecs in workers that are started when they are needed and replaced when one hangs."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import structlog

from device_profiles.js.breaker import LONGEST_S, Breaker
from device_profiles.js.child import Child, Stopped
from device_profiles.js.slots import Slot, Slots, Standing
from device_profiles.js.source import Source
from device_profiles.js.wire import LARGEST_RESULT, Call, Check, Load, Reply, Result
from gateway_core.clock import monotonic

log = structlog.get_logger()

WALL_S = 0.25
"""How long a worker may be silent about one message before it is killed."""

LOADING_WALL_S = 0.5
CHECKING_WALL_S = 10.0
MOST_CODECS = 256
"""Codecs that are remembered; with one more, all begin anew."""

MOST_AT_ONCE = 100
"""Messages that go to the worker together."""

UPLINK = "decodeUplink"
_LOADING_COST_S = 0.2
_KILL_COST_S = WALL_S + 0.05
_STRIKES = ("codec_timeout", "codec_memory", "codec_crashed")


@dataclass(slots=True, eq=False)
class _Known:
    """A codec, and what was seen of it."""

    source: Source
    key: int
    standing: Standing = Standing.NEW
    struck_at: float = 0.0
    stateful: bool = False
    broken: Result | None = None


class Runtime:
    """All codecs of this program.

    Calls block, and may come from any thread. Calls of one codec are served in order, one at a
    time; those of different codecs side by side, see `Slots`.

    Args:
        clock: Seconds on a clock that never jumps.
        start: Starts a worker.
    """

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        start: Callable[[Callable[[], float]], Child] = Child,
    ) -> None:
        self._clock = clock
        self._slots = Slots(clock, start)
        self._lock = threading.Lock()
        self._breaker = Breaker(clock)
        self._codecs: dict[Source, _Known] = {}
        self._age = 0
        self._next_key = 0

    @property
    def workers(self) -> list[int]:
        """The process ids of the workers."""
        return self._slots.workers

    @property
    def busy(self) -> int:
        """How many codecs have a worker now."""
        return self._slots.busy

    def prepare(self) -> None:
        """Start two workers now: one to decode, one to go on with while another hangs."""
        try:
            self._slots.prepare(2)
        except Stopped as exc:
            log.warning("worker_failed", why=exc.reason)  # the first message tries again

    def load(self, source: Source) -> Result:
        """Return the names of the codec's functions, or why the codec cannot be used."""
        known = self._known(source)
        with self._slots.lend(known.key, known.standing) as slot:
            try:
                return self._load(self._slots.ready(slot, self._age), known, again=True)
            except Stopped as exc:
                return self._struck(slot, known, exc)

    def call(self, source: Source, inputs: Sequence[str], function: str = UPLINK) -> list[Result]:
        """Return what a codec's function makes of inputs, each for itself.

        Args:
            source: The codec.
            inputs: JSON texts.
            function: As `engine.Codec.call` takes it.
        """
        known = self._known(source)
        results: list[Result] = []
        while len(results) < len(inputs):
            refused = self._refusal(source)
            if refused is not None:
                return results + [refused] * (len(inputs) - len(results))
            part = inputs[len(results) : len(results) + MOST_AT_ONCE]
            with self._slots.lend(known.key, known.standing) as slot:
                results += self._part(slot, known, function, part)
        return results

    def keeps_state(self, source: Source, inputs: Sequence[str]) -> bool:
        """Return whether a codec's results depend on the messages before; False when unknown."""
        known = self._known(source)
        with self._slots.lend(known.key, known.standing) as slot:
            try:
                child = self._slots.ready(slot, self._age)
                if self._load(child, known, again=True)[0]:
                    return False
                return child.ask(Check(known.key, list(inputs)), CHECKING_WALL_S).stateful
            except Stopped as exc:
                self._struck(slot, known, exc)
                return False

    def close(self) -> None:
        """End the workers; the next call starts another."""
        self._slots.close()

    def _part(
        self, slot: Slot, known: _Known, function: str, inputs: Sequence[str]
    ) -> list[Result]:
        """Return the results of the first inputs, at least of one.

        A worker that hung says at which message; those before it are asked for again, alone.
        """
        try:
            child = self._slots.ready(slot, self._age)
            loaded = self._load(child, known)
            if loaded[0]:
                return [loaded] * len(inputs)
            results = self._ask(child, Call(known.key, function, list(inputs)), len(inputs))
        except Stopped as exc:
            at = exc.at if 0 < exc.at < len(inputs) else 0
            struck = self._struck(slot, known, exc)
            if exc.code == "codec_unavailable":
                return [struck] * len(inputs)
            before = self._part(slot, known, function, inputs[:at]) if at else []
            return [*before, struck] if len(before) == at else before
        if results[-1][0] in _STRIKES:
            self._count(known, known.source.time_ms / 1000)
        elif known.standing is Standing.NEW or self._clock() - known.struck_at > LONGEST_S:
            known.standing = Standing.PROVEN
        return results

    def _ask(self, child: Child, request: Call, count: int) -> list[Result]:
        reply: Reply = child.ask(request, WALL_S)
        results = reply.results
        whole = len(results) == count or (results and results[-1][0] in _STRIKES)
        if not whole or len(results) > count:
            raise Stopped("codec_crashed", "the worker answered something else")
        if any(len(text) > LARGEST_RESULT for _code, text in results):
            raise Stopped("codec_output", "a result is too long")
        if reply.stateful:
            self._note_state(request.key)
        return results

    def _note_state(self, key: int) -> None:
        for known in list(self._codecs.values()):
            if known.key == key and not (known.stateful or known.source.fresh):
                known.stateful = True
                log.warning(
                    "codec_found_stateful", codec=known.source.digest, now="a context a message"
                )

    def _load(self, child: Child, known: _Known, *, again: bool = False) -> Result:
        if not again:
            if known.key in child.loaded:
                return "", ""
            if known.broken is not None:
                return known.broken
        source = known.source
        fresh = source.fresh or known.stateful
        request = Load(known.key, source.text, source.time_ms, source.memory_mb, fresh)
        results = child.ask(request, LOADING_WALL_S).results
        if len(results) != 1:
            raise Stopped("codec_crashed", "the worker answered something else")
        result = results[0]
        if not result[0]:
            child.loaded.add(known.key)
        elif result[0] in _STRIKES:
            self._count(known, _LOADING_COST_S)
        else:
            known.broken = result
        return result

    def _refusal(self, source: Source) -> Result | None:
        with self._lock:
            left = self._breaker.wait(source.digest)
        if left <= 0:
            return None
        return "codec_quarantined", f"wasted too much time; tried again in {left:.0f} s"

    def _struck(self, slot: Slot, known: _Known, why: Stopped) -> Result:
        """Replace the worker; the codec answers for it, unless the worker never came up."""
        if why.code == "codec_unavailable":
            self._slots.rest(slot, why.reason)
        else:
            self._slots.replace(slot)
            log.warning("worker_killed", codec=known.source.digest, code=why.code, why=why.reason)
            self._count(known, _KILL_COST_S)
        return why.code, why.reason

    def _count(self, known: _Known, cost_s: float) -> None:
        known.standing, known.struck_at = Standing.STRUCK, self._clock()
        with self._lock:
            span = self._breaker.strike(known.source.digest, cost_s)
        if span:
            log.error("codec_quarantined", codec=known.source.digest, seconds=span)

    def _known(self, source: Source) -> _Known:
        with self._lock:
            known = self._codecs.get(source)
            if known is None:
                if len(self._codecs) >= MOST_CODECS:
                    self._codecs.clear()
                    self._age += 1  # what the workers hold is forgotten with them
                self._next_key += 1
                known = self._codecs[source] = _Known(source, self._next_key)
            return known


@cache
def shared() -> Runtime:
    """Return the runtime of this program; its workers end with the program."""
    runtime = Runtime()
    atexit.register(runtime.close)
    return runtime
