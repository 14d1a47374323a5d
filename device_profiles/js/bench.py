"""The codecs that a worker holds: warm contexts, and an eye on what they keep between messages."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_profiles.js.engine import Codec, Refused, load
from device_profiles.js.wire import FATAL, Load, Result

MOST_CONTEXTS = 64
"""Contexts kept warm; the one that was longest unused goes first."""

_WATCHED_FIRST = 16
_WATCHED_EVERY = 256
_WATCHED_BELOW_S = 0.01
_TICK_S = 0.002
_MOST_CHECKED = 40
_CHECKED = "decodeUplink"


@dataclass(slots=True)
class _Kept:
    """A codec, and what was seen of it."""

    source: Load
    fresh: bool
    calls: int = 0
    watched: bool = True


class Bench:
    """Runs codecs.

    Args:
        clock: Seconds, only for differences.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[int, _Kept] = {}
        self._warm: OrderedDict[int, Codec] = OrderedDict()

    def load(self, source: Load) -> Result:
        """Take a codec in; return the names of its functions or why it is refused."""
        try:
            codec = _compiled(source)
        except Refused as exc:
            return exc.code, exc.reason
        self._kept[source.key] = _Kept(source, source.fresh)
        self._keep_warm(source.key, codec)
        return "", codec.functions

    def stateful(self, key: int) -> bool:
        """Return whether a codec is known to keep state between messages."""
        return self._kept[key].fresh

    def call(self, key: int, function: str, given: str) -> Result:
        """Return what a function of a codec makes of one input."""
        kept = self._kept[key]
        if kept.fresh:
            return _once(kept.source, function, given)
        try:
            codec = self._warm.get(key) or self._keep_warm(key, _compiled(kept.source))
        except Refused as exc:
            return exc.code, exc.reason
        self._warm.move_to_end(key)
        before = self._clock()
        result = codec.call(function, given)
        if result[0] in FATAL:
            del self._warm[key]  # it was stopped half way: who knows what it left behind
            return result
        kept.calls += 1
        due = 1 < kept.calls <= _WATCHED_FIRST or kept.calls % _WATCHED_EVERY == 0
        if due and kept.watched and self._clock() - before < _WATCHED_BELOW_S:
            return self._watch(kept, function, given, result)
        return result

    def check(self, key: int, inputs: Sequence[str]) -> bool:
        """Return whether results depend on what was decoded before, in several orders."""
        source = self._kept[key].source
        order = list(inputs[:_MOST_CHECKED])
        for turn in range(3):
            reused = _compiled(source)
            for given in order:
                # the clock and chance differ between two fresh contexts as well, and then say
                # nothing; hidden state differs only from the one in between
                first = _once(source, _CHECKED, given)
                found = reused.call(_CHECKED, given)
                if first[0] in FATAL or found[0] in FATAL:
                    return False
                if first != found and first == _once(source, _CHECKED, given):
                    return True
            random.Random(turn).shuffle(order)  # noqa: S311 - an order, not a secret
        return False

    def clear(self) -> None:
        """Forget the warm contexts; they are made anew when they are needed."""
        self._warm.clear()

    def _watch(self, kept: _Kept, function: str, given: str, result: Result) -> Result:
        first = _once(kept.source, function, given)
        if first == result or first[0] in FATAL:
            return result
        ticked = self._clock() + _TICK_S
        while self._clock() < ticked:
            pass  # so that a codec that looks at the clock sees another time
        if first != _once(kept.source, function, given):
            kept.watched = False  # the clock, or chance: nothing can be told from differences
            return result
        kept.fresh = True
        del self._warm[kept.source.key]
        return first

    def _keep_warm(self, key: int, codec: Codec) -> Codec:
        self._warm[key] = codec
        if len(self._warm) > MOST_CONTEXTS:
            self._warm.popitem(last=False)
        return codec


def _compiled(source: Load) -> Codec:
    return load(source.text, source.time_ms, source.memory_mb)


def _once(source: Load, function: str, given: str) -> Result:
    """Return what a codec makes of an input when it has seen no other."""
    try:
        return _compiled(source).call(function, given)
    except Refused as exc:
        return exc.code, exc.reason
