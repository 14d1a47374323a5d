"""The ``js`` step of a profile's ``decode``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_profiles.codecs import Carrier, Context, SpecError, Values
from device_profiles.js.ahead import Key, known_answers
from device_profiles.js.downlink import Downlink, read_downlink
from device_profiles.js.installed import missing_engine
from device_profiles.js.output import read_json, read_output
from device_profiles.js.runtime import UPLINK, Runtime, shared
from device_profiles.js.source import NONE, Place, Source, read_source
from device_profiles.js.wire import DECODERS, Result
from gateway_core.errors import PayloadError

_NS_IN_MS = 1_000_000
_NS_IN_S = 1_000_000_000
_LAST_PORT = 255


class JsCodec:
    """A vendor's codec: decodes messages, and makes downlinks; workers start with the first call.

    Args:
        source: The codec.
        runtime: Gives what runs it.
        carrier: Opens the message that carries the device's own bytes, or None.
        normalize: Whether decoded values get ``normalized`` from the codec's normalizeUplink.

    Attributes:
        source: The codec.
        function: What decodes: ``decodeUplink``, or ``normalized``.
    """

    def __init__(
        self,
        source: Source,
        runtime: Callable[[], Runtime] = shared,
        carrier: Carrier | None = None,
        *,
        normalize: bool = False,
    ) -> None:
        self.source = source
        self.function = "normalized" if normalize else UPLINK
        self._runtime = runtime
        self._carrier = carrier
        self._tail = "}" if source.variables == NONE else f',"variables":{source.variables}}}'

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
        answer, answers = None, known_answers()
        if answers:
            key = self._key(payload, context)
            answer = answers.get(key) or answers.get((*key[:3], None))
        if answer is None:
            answer = self.ask((self.input_of(payload, context),))[0]
        values = values_of(answer)
        return {**around, **values} if around else values

    def question(self, payload: bytes, context: Context) -> tuple[Key, str]:
        """Return the codec's input for a message, and the key under which the answer is found.

        Raises:
            PayloadError: What the carrier raises.
        """
        if self._carrier is not None:
            payload, context, _ = self.carried(payload, context)
        return self._key(payload, context), self.input_of(payload, context)

    def _key(self, payload: bytes, context: Context) -> Key:
        told = context.captures.get("time")
        return id(self), payload, context.fport, told or context.received // _NS_IN_S

    def ask(self, inputs: Sequence[str]) -> list[Result]:
        """Return what the codec decodes from inputs as `input_of` writes them; cheaper together."""
        return self._runtime().call(self.source, inputs, self.function)

    def call(self, function: str, given: Mapping[str, Any]) -> Any:
        """Return what one of the codec's functions returns, as JSON would have it.

        Args:
            function: ``decodeUplink``, ``encodeDownlink`` (these in any form that the codec has),
                ``decodeDownlink``, ``normalizeUplink``, or another known name as it is.
            given: Its input; a ``recvTime`` (RFC 3339, or milliseconds since 1970) becomes a Date.

        Returns:
            Objects as dicts, lists, numbers, texts; ``NaN`` and infinities are None.

        Raises:
            PayloadError: ``codec_threw codec_timeout codec_memory codec_output codec_crashed
                codec_broken codec_quarantined codec_unavailable``.
        """
        known = {} if self.source.variables == NONE else json.loads(self.source.variables)
        text = json.dumps({"variables": known, **given} if known else dict(given))
        code, found = self._runtime().call(self.source, (text,), function)[0]
        if code:
            raise PayloadError(code, found)
        return read_json(found)

    def encode(self, data: Mapping[str, Any], fport: int | None = None) -> Downlink:
        """Return the downlink that the codec makes of a command's data.

        Args:
            data: What ``encodeDownlink`` finds as ``input.data``.
            fport: The port where the codec names none, and what older forms are told.

        Raises:
            PayloadError: As `call`, and ``codec_error`` with the codec's own words.
        """
        given: dict[str, Any] = {"data": dict(data)}
        if fport is not None:
            given["fPort"] = fport
        return read_downlink(self.call("encodeDownlink", given), fport)

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
        found: list[Values | PayloadError] = []
        for result in self.ask([self.input_of(payload, context) for payload, context in messages]):
            try:
                found.append(values_of(result))
            except PayloadError as exc:
                found.append(exc)
        return found

    def functions(self) -> tuple[str, ...]:
        """Return the names of the known functions that the codec has; empty where it is broken."""
        code, text = self._runtime().load(self.source)
        return () if code else tuple(text.split())

    def trouble(self) -> str | None:
        """Return why the codec cannot decode at all, or None."""
        code, text = self._runtime().load(self.source)
        if code:
            return text
        names = text.split()
        if not any(name in names for name in DECODERS):
            return f"has no function {', '.join(DECODERS[:-1])} or {DECODERS[-1]}"
        if self.function != UPLINK and "normalizeUplink" not in names:
            return "has no function normalizeUplink, which 'normalize' needs"
        return None

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


def values_of(result: Result) -> Values:
    """Return the values in a codec's answer, or raise `PayloadError`."""
    code, text = result
    if code:
        raise PayloadError(code, text)
    return read_output(text)


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
    return JsCodec(
        read_source(spec, path, folder),
        carrier=carrier,
        normalize=spec.get("normalize", False),
    )
