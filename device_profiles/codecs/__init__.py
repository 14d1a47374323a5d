"""Codecs: from the bytes of one message to named values, compiled once from a profile's ``decode``.

``compile_decode(steps, split=...)`` gives the decoder, ``unwrap(via, payload)`` opens a network
server's envelope, ``parse_json`` and ``parse_cbor`` read whole objects. See docs/reference/codecs.md.
"""

from __future__ import annotations

from device_profiles.codecs.contract import (
    Context,
    Decode,
    Envelope,
    Packet,
    SpecError,
    Values,
)

__all__ = ["Context", "Decode", "Envelope", "Packet", "SpecError", "Values"]
