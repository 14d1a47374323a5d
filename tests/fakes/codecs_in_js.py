"""JavaScript codecs for tests, and the worker that runs them."""

from __future__ import annotations

from device_profiles.codecs import Context
from device_profiles.js.runtime import Runtime
from device_profiles.js.source import Source
from device_profiles.js.step import JsCodec
from gateway_core.clock import monotonic
from gateway_core.errors import PayloadError

PAYLOAD = bytes.fromhex("01755c03673401046865")
"""Battery 92 %, 30.8 °C, 50.5 % relative humidity."""

RECEIVED = 1_744_103_718_000_000_000
CONTEXT = Context(received=RECEIVED, fport=85)

GOOD = """
function decodeUplink(input) {
  return {data: {battery: input.bytes[2], port: input.fPort}};
}
"""


class Shifted:
    """The monotonic clock, which a test can put forward."""

    def __init__(self) -> None:
        self.by = 0.0

    def __call__(self) -> float:
        return monotonic() + self.by


def codec(runtime: Runtime, text: str, **limits: object) -> JsCodec:
    """Return a codec that is run by `runtime`."""
    return JsCodec(Source(f"digest of {text}", text, **limits), lambda: runtime)


def decoded(runtime: Runtime, text: str, payload: bytes = PAYLOAD, **limits: object) -> object:
    """Return what a codec makes of a message: its values, or the rejection code."""
    try:
        return codec(runtime, text, **limits)(payload, CONTEXT)
    except PayloadError as exc:
        return exc.code
