"""From what a codec wrote to decoded values: absent is absent, and numbers stay what they were."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from device_profiles.codecs import Values
from gateway_core.errors import PayloadError

DEEPEST = 64
"""Objects and lists that may stand in one another."""

LARGEST_WHOLE = 1 << 53
"""The greatest number of which JavaScript still knows all neighbours."""

_decode = msgspec.json.Decoder().decode
_ODD = re.compile(r"null|\d{16}|\\u")
_BEYOND = "\0"
_LONGEST_REASON = 200


def read_output(text: str) -> Values:
    """Return the values in a codec's result.

    Args:
        text: JSON of ``{data, errors, warnings}``.

    Raises:
        PayloadError: ``codec_error`` with the codec's own words, ``not_applicable`` when it said
            nothing, ``codec_output`` when it said something that is no object.
    """
    data = data_in(_parsed(text))
    if _ODD.search(text) or text.count("{") + text.count("[") > DEEPEST:
        data = _clean(data, 0)
    return data if isinstance(data, dict) else {"items": data}


def data_in(found: Any) -> dict[str, Any] | list[Any]:
    """Return the ``data`` of a codec's result; raises `PayloadError` as `read_output` does."""
    if found is None:
        raise PayloadError("not_applicable", "the codec returns nothing for this message")
    if not isinstance(found, dict):
        raise PayloadError("codec_output", "the codec returned no object")
    errors = found.get("errors")
    if errors:
        raise PayloadError("codec_error", words_of(errors))
    data = found.get("data")
    if data is None:
        raise PayloadError("not_applicable", "the codec returns no data for this message")
    if not isinstance(data, dict | list):
        raise PayloadError("codec_output", "the codec's data is no object")
    return data


def read_json(text: str) -> Any:
    """Return a result as JavaScript's own JSON would have it; raises `PayloadError`."""
    return _finite(_clean(_parsed(text), 0, keep_null=True))


def _finite(value: Any) -> Any:
    """Return the value with None in the place of what JSON cannot write."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(text: str) -> Any:
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # half of a surrogate pair perhaps, which a device's text can be cut into
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PayloadError("codec_output", "the codec's result cannot be read") from exc


def words_of(errors: Any) -> str:
    """Return the first of a codec's errors as text."""
    first = errors[0] if isinstance(errors, list) else errors
    words = first if isinstance(first, str) else json.dumps(first, ensure_ascii=False)
    return _whole_text(words)[:_LONGEST_REASON]


def _clean(value: Any, depth: int, *, keep_null: bool = False) -> Any:
    """Return the value without nulls, and with numbers as JavaScript has them."""
    if depth > DEEPEST:
        raise PayloadError("codec_output", f"the codec's data is nested deeper than {DEEPEST}")
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get(_BEYOND), str):
            return _beyond(value[_BEYOND])
        return {
            _whole_text(key): _clean(item, depth + 1, keep_null=keep_null)
            for key, item in value.items()
            if keep_null or item is not None
        }
    if isinstance(value, list):
        return [_clean(item, depth + 1, keep_null=keep_null) for item in value]
    if type(value) is int and not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
        return float(value)
    return _whole_text(value) if isinstance(value, str) else value


def _beyond(text: str) -> Any:
    """Return a number that JSON cannot write: BigInt, NaN, Infinity."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _whole_text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
