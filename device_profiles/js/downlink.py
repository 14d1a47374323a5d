"""What a codec makes of a command: the device's own bytes, and the port they go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from device_profiles.js.output import words_of
from gateway_core.errors import PayloadError

LONGEST = 242
"""Bytes of a LoRaWAN application payload (RP002-1.0.4: the largest N of any data rate)."""

_PORTS = range(1, 224)


@dataclass(frozen=True, slots=True)
class Downlink:
    """An application payload.

    Attributes:
        payload: The bytes.
        fport: LoRaWAN port, 1 to 223.
    """

    payload: bytes
    fport: int


def read_downlink(found: Any, fport: int | None = None) -> Downlink:
    """Return the downlink in what ``encodeDownlink`` returned.

    Args:
        found: ``{bytes, fPort, errors, warnings}``.
        fport: The port where the codec names none.

    Raises:
        PayloadError: ``codec_error`` with the codec's own words, ``codec_output`` where there are
            no bytes or no port.
    """
    if not isinstance(found, dict):
        raise PayloadError("codec_output", "the codec made no object of the command")
    if found.get("errors"):
        raise PayloadError("codec_error", words_of(found["errors"]))
    given = found.get("bytes")
    if not isinstance(given, list) or not all(map(_is_byte, given)):
        raise PayloadError("codec_output", "the codec made no list of bytes of the command")
    if len(given) > LONGEST:
        raise PayloadError("codec_output", f"{len(given)} bytes, a downlink has at most {LONGEST}")
    port = found.get("fPort")
    if port is None:
        port = fport
    if port is None:
        raise PayloadError("codec_output", "the codec names no fPort: give one as 'fport'")
    if type(port) is not int or port not in _PORTS:
        raise PayloadError("codec_output", f"fPort {port!r} is not one of 1 to 223")
    return Downlink(bytes(byte & 0xFF for byte in given), port)


def _is_byte(value: object) -> bool:
    """Return whether a value is a byte; signed ones are what Alibaba Cloud's scripts make."""
    return type(value) is int and -128 <= value <= 255
