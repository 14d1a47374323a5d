"""Payload kinds: from the bytes of a message to what the profile's first decode step takes."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import msgspec

from device_profiles.codecs import parse_cbor
from gateway_core.errors import PayloadError

_decode = msgspec.json.Decoder().decode
_LONGEST_NUMBER = 40
_CBOR_FORMATS = (60, 112)


def read_json(payload: bytes) -> Any:
    """Return a JSON value; a number too large for its type is kept as one that gets flagged.

    Raises:
        PayloadError: ``not_json``: malformed, NaN or Infinity, not UTF-8, nested too deeply.
    """
    try:
        return _decode(payload)
    except msgspec.ValidationError:
        pass  # well-formed, but 1e999 or thousands of digits are in it
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise PayloadError("not_json", str(exc)[:120]) from exc
    try:
        return json.loads(payload, parse_int=_integer, parse_constant=_refuse)
    except (ValueError, RecursionError) as exc:
        raise PayloadError("not_json", str(exc)[:120]) from exc


def _integer(digits: str) -> int:
    return int(digits[:_LONGEST_NUMBER])


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_cbor(payload: bytes) -> Any:
    """Return a CBOR value as JSON would have it; raises `PayloadError`."""
    return parse_cbor(payload)


def read_object(payload: bytes, content_format: int | None) -> Any:
    """Return a JSON value, or a CBOR one where the CoAP Content-Format says so."""
    if content_format in _CBOR_FORMATS:
        return parse_cbor(payload)
    return read_json(payload)


def read_hex(payload: bytes) -> bytes:
    """Return the bytes that hexadecimal text stands for; raises ``not_hex``."""
    try:
        return bytes.fromhex(payload.decode("ascii"))
    except ValueError as exc:
        raise PayloadError("not_hex", "expected hexadecimal text") from exc


def read_base64(payload: bytes) -> bytes:
    """Return the bytes that base64 text stands for; raises ``not_base64``."""
    try:
        return base64.b64decode(payload.strip(), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError("not_base64", "expected base64 text") from exc


def read_text(payload: bytes) -> dict[str, str]:
    """Return ``{"text": …}``; raises ``not_text`` where the bytes are not UTF-8."""
    try:
        return {"text": payload.decode("utf-8")}
    except UnicodeDecodeError as exc:
        raise PayloadError("not_text", "expected UTF-8 text") from exc


def read_word(payload: bytes, _format: int | None) -> str:
    """Return a message that is text, without blanks around it; raises ``not_text``."""
    return read_text(payload)["text"].strip()
