"""The ``js`` step of a profile's ``decode``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_profiles.codecs import Carrier, Context, SpecError, Values
from device_profiles.js.installed import missing_engine
from device_profiles.js.output import read_output
from device_profiles.js.runtime import Runtime, shared
from device_profiles.js.source import Place, Source, read_source
from gateway_core.errors import PayloadError

_NS_IN_MS = 1_000_000
_LAST_PORT = 255


class JsCodec:
    """Decodes messages with a vendor's codec; the worker starts with the first message.

    Args:
        source: The codec.
        runtime: Gives what runs it.
        carrier: Opens the message that carries the device's own bytes, or None.
    """

    def __init__(
        self,
        source: Source,
        runtime: Callable[[], Runtime] = shared,
        carrier: Carrier | None = None,
    ) -> None:
        self.source = source
        self._runtime = runtime
        self._carrier = carrier
        self._tail = f',"variables":{source.variables}}}'

    def __call__(self, payload: object, context: Context) -> Values:
        """Return the values of one message, and what stands around them in its carrier.

        Raises:
            PayloadError: What the carrier raises, and ``not_bytes not_applicable codec_error
                codec_threw codec_timeout codec_memory codec_output codec_crashed codec_broken
                codec_quarantined codec_unavailable``.
        """
        if not isinstance(payload, bytes):
            raise PayloadError("not_bytes", "the message holds no bytes for the codec")
        around: Values = {}
        if self._carrier is not None:
            payload, context, around = self.carried(payload, context)
        code, text = self._runtime().call(self.source, (self.input_of(payload, context),))[0]
        if code:
            raise PayloadError(code, text)
        return {**around, **read_output(text)} if around else read_output(text)

    def carried(self, payload: bytes, context: Context) -> tuple[bytes, Context, Values]:
        """Return the device's bytes, what is known beside them, and what stood around them.

        Raises:
            PayloadError: The carrier cannot be read.
        """
        if self._carrier is None:
            return payload, context, {}
        inner, around = self._carrier(payload)
        port = around.get("fPort")
        if type(port) is int and 0 <= port <= _LAST_PORT:
            context = replace(context, fport=port)
        return inner, context, around

    def decode_many(self, messages: Sequence[tuple[bytes, Context]]) -> list[Values | PayloadError]:
        """Return the values of devices' own bytes, whatever carried them; cheaper together."""
        inputs = [self.input_of(payload, context) for payload, context in messages]
        found: list[Values | PayloadError] = []
        for code, text in self._runtime().call(self.source, inputs):
            try:
                found.append(PayloadError(code, text) if code else read_output(text))
            except PayloadError as exc:
                found.append(exc)
        return found

    def trouble(self) -> str | None:
        """Return why the codec cannot be used at all, or None."""
        code, text = self._runtime().load(self.source)
        return text if code else None

    def keeps_state(self, messages: Sequence[tuple[bytes, Context]]) -> bool:
        """Return whether what a message gives depends on the messages before it."""
        inputs = [self.input_of(payload, context) for payload, context in messages]
        return self._runtime().keeps_state(self.source, inputs)

    def input_of(self, payload: bytes, context: Context) -> str:
        """Return the codec's input as JSON; what is not known is left out."""
        parts = [f'{{"bytes":{list(payload)}']
        if context.fport is not None:
            parts.append(f'"fPort":{context.fport}')
        sent = context.captures.get("time")
        if sent is not None:
            parts.append(f'"recvTime":{json.dumps(sent)}')
        elif context.received:
            parts.append(f'"recvTime":{context.received // _NS_IN_MS}')
        return ",".join(parts) + self._tail


def compile_js(
    spec: Mapping[str, Any], path: Place, folder: Path | None, carrier: Carrier | None = None
) -> JsCodec:
    """Read and pin the codec that a ``js`` step names; nothing of it is run yet.

    Args:
        spec: The step.
        path: Where it stands, for errors.
        folder: Of the profile, or None.
        carrier: Opens what carries the device's bytes, or None.

    Raises:
        SpecError: No engine here, no such file, or another one than pinned.
    """
    trouble = missing_engine()
    if trouble is not None:
        raise SpecError(path, trouble)
    return JsCodec(read_source(spec, path, folder), carrier=carrier)
