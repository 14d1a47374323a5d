"""What the values of Sparkplug B metrics mean: from data type and wire value to a plain value."""

from __future__ import annotations

import struct
from typing import Any

from gateway_core.errors import PayloadError

BOOLEAN, TEMPLATE = 11, 19
DEEPEST = 8
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
_KNOWN = range(1, 35)
_ARRAYS = {
    22: "b",
    23: "h",
    24: "i",
    25: "q",
    26: "B",
    27: "H",
    28: "I",
    29: "Q",
    30: "f",
    31: "d",
    34: "Q",
}
_BOOLEANS, _TEXTS = 32, 33
_PROPERTY_SETS = (20, 21)
_SCALARS = (
    "int_value",
    "long_value",
    "float_value",
    "double_value",
    "boolean_value",
    "string_value",
)


class Untyped(Exception):
    """A whole number whose data type nobody said: it may be negative."""


def plain_value(metric: Any, kind: int, depth: int = 0) -> Any:
    """Return a metric's value.

    Numbers, bools and text as they are; bytes and files as hexadecimal text; arrays as lists; data
    sets as ``{"rows": [{column: value}]}``; templates as ``{metric: value}``; None for null.

    Args:
        metric: A ``Metric``.
        kind: Its data type; 0 where nobody said.
        depth: How many templates it stands in.

    Raises:
        Untyped: See there.
        PayloadError: ``not_sparkplug``: an array that is none, templates in templates in …
    """
    if metric.is_null:
        return None
    if metric.HasField("dataset_value"):
        return _data_set(metric.dataset_value)
    if metric.HasField("template_value"):
        return _template(metric.template_value, depth + 1)
    if metric.HasField("bytes_value"):
        raw: bytes = metric.bytes_value
        return _array(raw, kind) if kind in _ARRAYS or kind in (_BOOLEANS, _TEXTS) else raw.hex()
    return scalar(metric, kind)


def scalar(holder: Any, kind: int) -> Any:
    """Return the value of anything that has ``int_value`` to ``string_value``; None for none.

    Raises:
        Untyped: See there.
    """
    for name in _SCALARS:
        if not holder.HasField(name):
            continue
        value = getattr(holder, name)
        if name not in ("int_value", "long_value"):
            return value
        if kind == BOOLEAN:
            return bool(value)
        wire = 32 if name == "int_value" else 64
        if kind in _SIGNED:
            return _signed(value, _SIGNED[kind], wire)
        if kind not in _KNOWN and value >> (wire - 1):
            raise Untyped
        return value
    return None


def _signed(value: int, bits: int, wire: int) -> int:
    """Return a negative number of ``bits`` bits; some senders extend its sign to the whole wire."""
    if value < 1 << bits:
        return value - (1 << bits) if value >> (bits - 1) else value
    return value - (1 << wire) if value >> (wire - 1) else value


def properties(metric: Any) -> dict[str, Any]:
    """Return a metric's properties that are scalars (``engUnit``, ``Quality``), of a known type."""
    found = metric.properties
    return {
        key: None if value.is_null else scalar(value, value.type)
        for key, value in zip(found.keys, found.values, strict=False)
        if value.type in _KNOWN and value.type not in _PROPERTY_SETS
    }


def _data_set(found: Any) -> dict[str, Any]:
    columns, kinds = list(found.columns), list(found.types)
    kinds += [0] * (len(columns) - len(kinds))
    return {
        "rows": [
            {
                column: scalar(element, kind)
                for column, kind, element in zip(columns, kinds, row.elements, strict=False)
            }
            for row in found.rows
        ]
    }


def _template(found: Any, depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise PayloadError("not_sparkplug", f"templates more than {DEEPEST} deep")
    return {
        metric.name: plain_value(metric, metric.datatype, depth)
        for metric in found.metrics
        if metric.name
    }


def _array(raw: bytes, kind: int) -> list[Any]:
    if kind == _TEXTS:
        return [part.decode("utf-8", "replace") for part in raw.removesuffix(b"\0").split(b"\0")]
    if kind == _BOOLEANS:
        count = int.from_bytes(raw[:4], "little")
        if len(raw) - 4 != (count + 7) // 8:
            raise PayloadError("not_sparkplug", f"{count} bits in {len(raw) - 4} bytes")
        return [bool(raw[4 + at // 8] >> (7 - at % 8) & 1) for at in range(count)]
    code = _ARRAYS[kind]
    size = struct.calcsize(f"<{code}")
    if len(raw) % size:
        raise PayloadError("not_sparkplug", f"an array of {size}-byte values in {len(raw)} bytes")
    return list(struct.unpack(f"<{len(raw) // size}{code}", raw))
