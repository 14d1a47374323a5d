"""Bytes of simulated messages: CBOR values and plain ``struct`` layouts."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from device_profiles.codecs.grammar import Order
from device_profiles.codecs.scalar import parse_scalar
from gateway_core.errors import ConfigError, Fault

_HEADS = ((1 << 8, 24, ">B"), (1 << 16, 25, ">H"), (1 << 32, 26, ">I"), (1 << 64, 27, ">Q"))

Pack = Callable[[dict[str, Any]], bytes]


def encode_cbor(value: Any) -> bytes:
    """Return the CBOR form (RFC 8949) of an object, list, text, number, bool or None."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, dict):
        return _head(5, len(value)) + b"".join(
            encode_cbor(key) + encode_cbor(item) for key, item in value.items()
        )
    return _head(4, len(value)) + b"".join(map(encode_cbor, value))


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for limit, info, form in _HEADS:
        if argument < limit:
            return bytes([major << 5 | info]) + struct.pack(form, argument)
    raise OverflowError("CBOR integers have at most 64 bits")


def pack_struct(step: dict[str, Any]) -> Pack:
    """Return the packer of a ``struct`` step that has only numbers of fixed size.

    Values that are not given are 0; numbers that do not fit are cut to the nearest that does.

    Raises:
        ConfigError: A field is conditional, a group, text or of another kind.
    """
    spec = step["struct"]
    order: Order = "little" if spec.get("order") == "little" else "big"
    places: list[tuple[str, int, struct.Struct]] = []
    at = 0
    for field in spec["fields"]:
        name, form = (field, field) if isinstance(field, str) else next(iter(field.items()))
        if isinstance(form, dict):
            if not form.keys() <= {"type", "at"}:
                raise ConfigError(Fault("", 0, 0, name, "such fields cannot be made, only read"))
            at, form = form.get("at", at), form["type"]
        scalar = parse_scalar(form, order, (name,))
        if not scalar.skip:
            if scalar.convert is not None or len(scalar.code) != 1:
                raise ConfigError(Fault("", 0, 0, name, f"{form} cannot be made, only read"))
            places.append((name, at, struct.Struct((scalar.order or ">") + scalar.code)))
        at += scalar.size
    size = max([at, *(start + one.size for _, start, one in places)])

    def pack(values: dict[str, Any]) -> bytes:
        raw = bytearray(size)
        for name, start, one in places:
            one.pack_into(raw, start, _fitted(values.get(name, 0), one))
        return bytes(raw)

    return pack


def _fitted(value: Any, one: struct.Struct) -> Any:
    code = one.format[-1]
    if code in "efd":
        return float(value)
    bits = one.size * 8
    low, high = (0, 2**bits - 1) if code.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return min(max(round(value), low), high)
