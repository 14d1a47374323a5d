"""Cayenne LPP: channel, type, big-endian value, repeated (myDevices, Low Power Payload 1.0)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs.contract import Values
from device_profiles.codecs.grammar import Path, mapping
from device_profiles.codecs.layout import truncated
from gateway_core.errors import PayloadError


@dataclass(frozen=True, slots=True)
class _Kind:
    """One type of the table: its name, and its parts as ``(name, bytes, signed, divisor)``."""

    name: str
    parts: tuple[tuple[str, int, bool, int], ...]


def _one(name: str, size: int, divisor: int, *, signed: bool = False) -> _Kind:
    return _Kind(name, (("", size, signed, divisor),))


def _axes(name: str, size: int, divisor: int) -> _Kind:
    return _Kind(name, tuple((axis, size, True, divisor) for axis in "xyz"))


# IPSO object numbers less 3200
_KINDS = {
    0: _one("digital_input", 1, 1),
    1: _one("digital_output", 1, 1),
    2: _one("analog_input", 2, 100, signed=True),
    3: _one("analog_output", 2, 100, signed=True),
    101: _one("illuminance", 2, 1),
    102: _one("presence", 1, 1),
    103: _one("temperature", 2, 10, signed=True),
    104: _one("humidity", 1, 2),
    113: _axes("accelerometer", 2, 1000),
    115: _one("barometer", 2, 10),
    134: _axes("gyrometer", 2, 100),
    136: _Kind("gps", (("lat", 3, True, 10000), ("lon", 3, True, 10000), ("alt", 3, True, 100))),
}


def compile_cayenne(spec: object, path: Path) -> Callable[[bytes], Values]:
    """Compile ``cayenne-lpp: {}``.

    Values are named ``<type>_<channel>``, for example ``temperature_3``; ``gps``,
    ``accelerometer`` and ``gyrometer`` are mappings of their parts.
    """
    mapping(spec if spec is not None else {}, path, ("when",))
    return _decode


def _decode(data: bytes) -> Values:
    out: Values = {}
    pos, end = 0, len(data)
    while pos < end:
        if end - pos < 2:
            raise truncated(2, end - pos)
        kind = _KINDS.get(data[pos + 1])
        if kind is None:
            raise PayloadError("unknown_tag", f"type {data[pos + 1]} is not in the table")
        name = f"{kind.name}_{data[pos]}"
        pos += 2
        size = sum(part[1] for part in kind.parts)
        if pos + size > end:
            raise truncated(size, end - pos)
        out[name] = _value(data[pos : pos + size], kind)
        pos += size
    return out


def _value(raw: bytes, kind: _Kind) -> Any:
    found: dict[str, float | int] = {}
    at = 0
    for name, size, signed, divisor in kind.parts:
        number = int.from_bytes(raw[at : at + size], "big", signed=signed)
        found[name] = number if divisor == 1 else number / divisor
        at += size
    return found if len(found) > 1 else found[""]
