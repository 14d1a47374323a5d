"""JSON (RFC 8259): whole texts only; NaN, infinities and lone surrogates are refused."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway_core.errors import PayloadError

_decode = msgspec.json.Decoder().decode


def parse_json(payload: bytes) -> Any:
    """Return the value that a JSON text stands for.

    Raises:
        PayloadError: ``not_json``; the text is malformed, not UTF-8, too deep, or has a number
            that no double can hold.
    """
    try:
        return _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise PayloadError("not_json", str(exc)[:120]) from exc
