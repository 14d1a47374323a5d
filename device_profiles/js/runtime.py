"""Runs codecs in a worker that is started when the first is needed and replaced when one hangs."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Sequence
from functools import cache

import structlog

from device_profiles.js.breaker import Breaker
from device_profiles.js.child import Child, Stopped
from device_profiles.js.source import Source
from device_profiles.js.wire import LARGEST_RESULT, Call, Check, Load, Reply, Request, Result
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

_LOADING_COST_S = 0.2
_KILL_COST_S = 0.05
_REST_S = 10.0
_STRIKES = ("codec_timeout", "codec_memory", "codec_crashed")


class Runtime:
    """All codecs of this program, one worker.

    Calls block, and may come from any thread; one is served at a time.

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
        self._start = start
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._breaker = Breaker(clock)
        self._keys: dict[Source, int] = {}
        self._next_key = 0
        self._stateful: set[int] = set()
        self._broken: dict[int, Result] = {}
        self._rest_until = 0.0

    @property
    def worker(self) -> int | None:
        """The process id of the worker; None when there is none."""
        return None if self._child is None else self._child.pid

    def load(self, source: Source) -> Result:
        """Return the name of the function that decodes, or why the codec cannot be used."""
        with self._lock:
            key, began = self._key(source), self._clock()
            try:
                return self._load(self._ready(), source, key, again=True)
            except Stopped as exc:
                return self._struck(source, exc, began)

    def call(self, source: Source, inputs: Sequence[str]) -> list[Result]:
        """Return what a codec makes of messages, each for itself.

        Args:
            source: The codec.
            inputs: JSON texts as `engine.Codec.call` takes them.
        """
        results: list[Result] = []
        with self._lock:
            key = self._key(source)
            for at in range(0, len(inputs), MOST_AT_ONCE):
                results += self._batch(source, key, list(inputs[at : at + MOST_AT_ONCE]))
        return results

    def keeps_state(self, source: Source, inputs: Sequence[str]) -> bool:
        """Return whether a codec's results depend on the messages before; False when unknown."""
        with self._lock:
            key, began = self._key(source), self._clock()
            try:
                child = self._ready()
                if self._load(child, source, key, again=True)[0]:
                    return False
                return child.ask(Check(key, list(inputs)), CHECKING_WALL_S).stateful
            except Stopped as exc:
                self._struck(source, exc, began)
                return False

    def close(self) -> None:
        """End the worker; the next call starts another."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _batch(self, source: Source, key: int, inputs: list[str]) -> list[Result]:
        """Decode some messages at once; when that fails, each alone, to find the one to blame."""
        refused = self._refusal(source)
        if refused is not None:
            return [refused] * len(inputs)
        began = self._clock()
        try:
            child = self._ready()
            loaded = self._load(child, source, key)
            if loaded[0]:
                return [loaded] * len(inputs)
            wall = WALL_S if len(inputs) == 1 else 2 * WALL_S
            reply = self._ask(child, Call(key, inputs), wall, len(inputs))
        except Stopped as exc:
            if len(inputs) > 1 and exc.code != "codec_unavailable":
                self._replace_worker()
                return [result for one in inputs for result in self._batch(source, key, [one])]
            return [self._struck(source, exc, began)] * len(inputs)
        if reply.stateful and key not in self._stateful and not source.fresh:
            self._stateful.add(key)
            log.warning("codec_found_stateful", codec=source.digest, now="a context a message")
        for code, _text in reply.results:
            if code in _STRIKES:
                self._count(source, source.time_ms / 1000)
        return reply.results

    def _ask(self, child: Child, request: Request, wall_s: float, count: int) -> Reply:
        reply = child.ask(request, wall_s)
        if len(reply.results) != count:
            raise Stopped("codec_crashed", "the worker answered something else")
        if any(len(text) > LARGEST_RESULT for _code, text in reply.results):
            raise Stopped("codec_output", "a result is too long")
        return reply

    def _load(self, child: Child, source: Source, key: int, *, again: bool = False) -> Result:
        if key in child.loaded and not again:
            return "", ""
        if key in self._broken and not again:
            return self._broken[key]
        fresh = source.fresh or key in self._stateful
        request = Load(key, source.text, source.time_ms, source.memory_mb, fresh)
        result = self._ask(child, request, LOADING_WALL_S, 1).results[0]
        if not result[0]:
            child.loaded.add(key)
        elif result[0] in _STRIKES:
            self._count(source, _LOADING_COST_S)
        else:
            self._broken[key] = result
        return result

    def _ready(self) -> Child:
        if self._child is not None and not self._child.alive():
            log.warning("worker_found_dead", pid=self._child.pid)
            self._retire()
        if self._child is None:
            if self._clock() < self._rest_until:
                raise Stopped("codec_unavailable", "the worker could not be started a moment ago")
            self._child = self._start(self._clock)
        return self._child

    def _refusal(self, source: Source) -> Result | None:
        left = self._breaker.wait(source.digest)
        if left <= 0:
            return None
        return "codec_quarantined", f"wasted too much time; tried again in {left:.0f} s"

    def _struck(self, source: Source, why: Stopped, began: float) -> Result:
        """Replace the worker; the codec answers for it, unless the worker never came up."""
        if why.code == "codec_unavailable":
            self._retire()
            self._rest_until = self._clock() + _REST_S
            log.error("worker_failed", why=why.reason)
        else:
            wasted = self._clock() - began
            self._replace_worker()
            log.warning("worker_killed", codec=source.digest, code=why.code, why=why.reason)
            self._count(source, wasted + _KILL_COST_S)
        return why.code, why.reason

    def _count(self, source: Source, cost_s: float) -> None:
        span = self._breaker.strike(source.digest, cost_s)
        if span:
            log.error("codec_quarantined", codec=source.digest, seconds=span)

    def _replace_worker(self) -> None:
        """Kill the worker and start the next one at once; it comes up while others are served."""
        self._retire()
        try:
            self._child = self._start(self._clock)
        except Stopped:
            log.exception("worker_failed")

    def _retire(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _key(self, source: Source) -> int:
        key = self._keys.get(source)
        if key is not None:
            return key
        if len(self._keys) >= MOST_CODECS:
            for memory in (self._keys, self._stateful, self._broken):
                memory.clear()
            self._retire()
        self._next_key += 1
        self._keys[source] = self._next_key
        return self._next_key


@cache
def shared() -> Runtime:
    """Return the runtime of this program; its worker ends with the program."""
    runtime = Runtime()
    atexit.register(runtime.close)
    return runtime
