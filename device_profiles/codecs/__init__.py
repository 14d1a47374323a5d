"""Codecs: from the bytes of one message to named values, compiled once from a profile's ``decode``.

``compile_decode(steps, split=...)`` gives the decoder, ``unwrap(via, payload)`` opens a network
server's envelope, ``parse_json`` and ``parse_cbor`` read whole objects. How specifications are
written: docs/reference/codecs.md.
"""

from __future__ import annotations

from device_profiles.codecs.cbor import parse_cbor
from device_profiles.codecs.contract import (
    Ask,
    Context,
    Decode,
    Envelope,
    Held,
    Message,
    Packet,
    SpecError,
    Values,
)
from device_profiles.codecs.envelope import unwrap
from device_profiles.codecs.jsontext import parse_json
from device_profiles.codecs.naming import NAMING
from device_profiles.codecs.steps import Carrier, compile_carrier, compile_decode

NAMING_STEPS = ("senml", *NAMING)
"""Decode steps whose messages name their devices themselves."""

__all__ = [
    "NAMING_STEPS",
    "Ask",
    "Carrier",
    "Context",
    "Decode",
    "Envelope",
    "Held",
    "Message",
    "Packet",
    "SpecError",
    "Values",
    "compile_carrier",
    "compile_decode",
    "parse_cbor",
    "parse_json",
    "unwrap",
]
