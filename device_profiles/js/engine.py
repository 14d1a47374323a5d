"""QuickJS-ng: one codec in one context, with limits on time, memory and stack."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import _quickjs as quickjs  # the package around it starts a thread that nobody needs here

from device_profiles.js.script import start
from device_profiles.js.wire import DECODERS, ENCODERS, LARGEST_RESULT, Result

STACK_BYTES = 2 << 20
"""Some 1,000 calls in one another: a codec may call itself for each byte, and deeper.

It is the process's own stack; where the system gives less than twice of it, half of that.
"""

LOADING_S = 0.2
"""CPU time to compile a codec."""

NORMALIZE = "normalizeUplink"
_LONGEST_REASON = 300


class Refused(Exception):
    """The codec cannot be loaded.

    Attributes:
        code: ``codec_broken``, ``codec_timeout`` or ``codec_memory``.
        reason: For people.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec, ready.

    Attributes:
        functions: The names of the functions that it has, parted by spaces.
    """

    functions: str
    _context: Any
    _harness: Callable[..., Any]
    _callers: dict[str, Any] = field(default_factory=dict)

    def call(self, function: str, given: str) -> Result:
        """Return what the codec makes of one input.

        Args:
            function: ``decodeUplink``, ``encodeDownlink`` (these two in any form that the codec
                has), ``decodeDownlink``, ``normalizeUplink``, ``normalized`` (decodeUplink, and
                normalizeUplink of that), or another known name as it is.
            given: JSON text of the input.
        """
        try:
            caller = self._callers.get(function) or self._harness("caller", function)
            if caller is None:
                return "codec_broken", _missing(function)
            self._callers[function] = caller
            found: str = caller(given)
        except quickjs.JSException as exc:
            return _reason(exc, "codec_threw")
        if found[:1] == "!":
            code = "codec_memory" if "out of memory" in found else "codec_output"
            return code, found[1 : _LONGEST_REASON + 1]
        if len(found) > LARGEST_RESULT:
            return "codec_output", f"{len(found)} characters are too many"
        return "", found


def load(text: str, time_ms: int, memory_mb: int) -> Codec:
    """Compile a codec in a context of its own.

    Args:
        text: The codec; see `script.start` for its forms.
        time_ms: CPU time of each call.
        memory_mb: Of the context, mebibytes.

    Raises:
        Refused: It does not compile, throws, runs too long, or has no function that is known.
    """
    given = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = STACK_BYTES if given == resource.RLIM_INFINITY else min(STACK_BYTES, given // 2)

    def new() -> Any:
        context = quickjs.Context()
        context.set_memory_limit(memory_mb << 20)
        context.set_max_stack_size(stack)
        context.set_time_limit(LOADING_S)
        return context

    try:
        context, harness, names = start(text, new, quickjs.JSException)
    except quickjs.JSException as exc:
        raise Refused(*_reason(exc, "codec_broken")) from exc
    if not names:
        raise Refused("codec_broken", _missing("decodeUplink"))
    context.set_time_limit(time_ms / 1000)
    return Codec(names, context, harness)


def _missing(function: str) -> str:
    forms = {"decodeUplink": DECODERS, "encodeDownlink": ENCODERS, "normalized": (NORMALIZE,)}
    *others, last = forms.get(function, (function,))
    return f"has no function {', '.join(others)} or {last}" if others else f"has no function {last}"


def _reason(exc: Exception, code: str) -> Result:
    """Return code and first line of what was thrown."""
    first = str(exc).split("\n", 1)[0][:_LONGEST_REASON]
    if first.startswith("InternalError: interrupted"):
        return "codec_timeout", "took more CPU time than it may"
    if first.startswith("InternalError: out of memory"):
        return "codec_memory", "took more memory than it may"
    return code, first
