"""QuickJS-ng: one codec in one context, with limits on time, memory and stack."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _quickjs as quickjs  # the package around it starts a thread that nobody needs here

from device_profiles.js.wire import LARGEST_RESULT, Result

STACK_BYTES = 384 << 10
LOADING_S = 0.2
"""CPU time to compile a codec."""

FUNCTIONS = "decodeUplink, Decode, Decoder or rawDataToProtocol"

_HARNESS = Path(__file__).with_name("harness.js").read_text("utf-8")
_BUFFER = Path(__file__).with_name("buffer.js").read_text("utf-8")
_SCOPE = "tidegate scope"
_LONGEST_REASON = 300

_AS_MODULE = """
;globalThis["tidegate scope"] = {
  decodeUplink: typeof decodeUplink === "function" ? decodeUplink : undefined,
  Decode: typeof Decode === "function" ? Decode : undefined,
  Decoder: typeof Decoder === "function" ? Decoder : undefined,
  rawDataToProtocol: typeof rawDataToProtocol === "function" ? rawDataToProtocol : undefined,
};
"""


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
        function: The name of its entry point.
    """

    function: str
    _context: Any
    _harness: Any

    def call(self, given: str) -> Result:
        """Return what the codec makes of one input.

        Args:
            given: JSON text: ``bytes``, and where known ``fPort``, ``recvTime``, ``variables``.
        """
        try:
            found: str = self._harness("call", given)
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
        text: A classic script; one that only a module may be, is taken as a module.
        time_ms: CPU time of each call.
        memory_mb: Of the context, mebibytes.

    Raises:
        Refused: It does not compile, throws, runs too long, or has no function that is known.
    """
    try:
        context, harness = _started(text, memory_mb)
        try:
            context.eval(text)
        except quickjs.JSException as exc:
            if not str(exc).startswith("SyntaxError"):
                raise
            context, harness = _started(text, memory_mb)
            try:
                context.module(text + _AS_MODULE)
            except quickjs.JSException as second:
                raise (second if "export" in str(exc) or "import" in str(exc) else exc) from None
        function = harness("find", context.get(_SCOPE))
    except quickjs.JSException as exc:
        raise Refused(*_reason(exc, "codec_broken")) from exc
    if function is None:
        raise Refused("codec_broken", f"has no function {FUNCTIONS}")
    context.set_time_limit(time_ms / 1000)
    return Codec(function, context, harness)


def _started(text: str, memory_mb: int) -> tuple[Any, Any]:
    context = quickjs.Context()
    context.set_memory_limit(memory_mb << 20)
    context.set_max_stack_size(STACK_BYTES)
    context.set_time_limit(LOADING_S)
    harness = context.eval(_HARNESS)
    if "Buffer" in text:
        context.eval(_BUFFER)
    return context, harness


def _reason(exc: Exception, code: str) -> Result:
    """Return code and first line of what was thrown."""
    first = str(exc).split("\n", 1)[0][:_LONGEST_REASON]
    if first.startswith("InternalError: interrupted"):
        return "codec_timeout", "took more CPU time than it may"
    if first.startswith("InternalError: out of memory"):
        return "codec_memory", "took more memory than it may"
    return code, first
