"""EdgeX events: the readings that a device service publishes, typed by the type that each names.

EdgeX sends every simple value as text ("2.15e+01") beside its ``valueType``; the type is therefore
declared by the message and nothing is guessed. An event comes bare, as an add-event request, or
inside the envelope of the message bus, whose payload is an object or base64 of one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.codecs.cbor import parse_cbor
from device_profiles.codecs.contract import Context, Decode, Packet
from device_profiles.codecs.grammar import Path, mapping, text
from device_profiles.codecs.instants import Instants
from device_profiles.codecs.jsontext import parse_json
from gateway_core.clock import NS
from gateway_core.errors import PayloadError

MAX_READINGS = 10_000
_SAME_EVENT_NS = NS
_INTEGER = re.compile(r"[+-]?\d{1,39}")
_FLOAT = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?")
_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "T", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "F", "0"), False),
}  # what Go's ParseBool takes
_WHOLE = tuple(f"{sign}nt{bits}" for sign in ("I", "Ui") for bits in (8, 16, 32, 64))


def compile_edgex(spec: object, path: Path, *, many: bool) -> Decode:
    """Compile ``edgex: {}``.

    Args:
        spec: ``{}`` or ``{profile: NAME}``: readings that name another EdgeX profile are not for
            this one.
        path: Where it stands, for errors.
        many: Whether a message may tell of several devices.
    """
    found = mapping(spec if spec is not None else {}, path, ("profile",))
    wanted = text(found["profile"], (*path, "profile")) if "profile" in found else None

    def decode(payload: object, _context: Context) -> list[Packet]:
        message = parse_json(payload) if isinstance(payload, bytes) else payload
        events = message if isinstance(message, list) else [message]
        out = Instants(many=many)
        foreign = False
        for each in events:
            foreign |= _enter(_event(each), wanted, out)
        packets = out.packets()
        if foreign and not packets:
            raise PayloadError("not_applicable", "the readings are of another EdgeX profile")
        return packets

    return decode


def _event(message: object) -> Mapping[str, Any]:
    """Return the event within request and envelope."""
    for _ in range(3):
        if not isinstance(message, dict):
            break
        if isinstance(message.get("readings"), list):
            return message
        if "event" in message:
            message = message["event"]
        else:
            message = _content(message.get("payload"), message.get("contentType"))
    raise PayloadError("bad_envelope", "no EdgeX event: expected a list 'readings'")


def _content(payload: object, content_type: object) -> object:
    """Return what the bus's envelope holds."""
    if not isinstance(payload, str):
        return payload
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise PayloadError("bad_envelope", "'payload' is neither an object nor base64") from exc
    return parse_cbor(data) if content_type == "application/cbor" else parse_json(data)


def _enter(event: Mapping[str, Any], wanted: str | None, out: Instants) -> bool:
    """Enter the readings of one event; return whether some are of another profile."""
    if len(event["readings"]) > MAX_READINGS:
        raise PayloadError("too_many_points", f"more than {MAX_READINGS} readings")
    foreign = False
    for reading in event["readings"]:
        if not isinstance(reading, dict) or not isinstance(reading.get("resourceName"), str):
            raise PayloadError("bad_envelope", "a reading without 'resourceName'")
        kind = reading.get("profileName", event.get("profileName"))
        if wanted is not None and isinstance(kind, str) and kind != wanted:
            foreign = True
            continue
        device = reading.get("deviceName", event.get("deviceName"))
        if not isinstance(device, str):
            raise PayloadError("bad_device_id", "an EdgeX reading without 'deviceName'")
        values = {reading["resourceName"]: _value(reading)}
        names = {"profile_name": kind, "source_name": event.get("sourceName")}
        captures = {name: said for name, said in names.items() if isinstance(said, str)}
        out.add(device, _time(reading, event), values, captures)
    return foreign


def _time(reading: Mapping[str, Any], event: Mapping[str, Any]) -> int | None:
    """Return when a reading was taken: with its event, unless it is another instant.

    Device services stamp the readings of one event some microseconds apart.
    """
    mine, whole = reading.get("origin"), event.get("origin")
    if type(mine) is int and mine > 0:
        if type(whole) is int and abs(whole - mine) < _SAME_EVENT_NS:
            return whole
        return mine
    return whole if type(whole) is int and whole > 0 else None


def _value(reading: Mapping[str, Any]) -> Any:
    kind = reading.get("valueType")
    if kind in ("Object", "ObjectArray"):
        return reading.get("objectValue")
    if kind == "Binary":
        return reading.get("binaryValue")
    value = reading.get("value")
    if not isinstance(value, str) or not isinstance(kind, str):
        return value
    if kind.endswith("Array") and value[:1] == "[" and value[-1:] == "]":
        parts = value[1:-1].split(",") if value[1:-1].strip() else []
        return [_typed(part.strip(), kind.removesuffix("Array")) for part in parts]
    return _typed(value, kind)


def _typed(value: str, kind: str) -> Any:
    """Return a value as its type; one that is not of it stays text, which quality flags."""
    read = _TYPES.get(kind)
    return value if read is None else read(value)


def _whole(value: str) -> int | str:
    return int(value) if _INTEGER.fullmatch(value) else value


def _float(value: str) -> float | str:
    return float(value) if _FLOAT.fullmatch(value) else value


_TYPES: dict[str, Callable[[str], Any]] = {
    "Bool": lambda value: _BOOLS.get(value, value),
    **dict.fromkeys(("Float32", "Float64"), _float),
    **dict.fromkeys(_WHOLE, _whole),
}
