"""Telemetry and attributes as devices and gateways send them to ThingsBoard (its MQTT API).

A device sends an object of values, ``{"ts": milliseconds, "values": {…}}``, or a list of either; a
gateway sends an object of device name to such a thing.
"""

from __future__ import annotations

from typing import Any

from device_profiles.codecs.contract import Context, Decode, Packet
from device_profiles.codecs.grammar import Path, choice, mapping
from device_profiles.codecs.instants import Instants
from device_profiles.codecs.jsontext import parse_json
from gateway_core.errors import PayloadError

_MILLISECOND = 1_000_000


def compile_thingsboard(spec: object, path: Path, *, many: bool) -> Decode:
    """Compile ``thingsboard: {form: gateway}`` or ``{form: device}``.

    Args:
        spec: ``form``: who sends.
        path: Where it stands, for errors.
        many: Whether a message may tell of several devices.
    """
    found = mapping(spec, path, ("form",), "form")
    gateway = choice(found["form"], (*path, "form"), ("device", "gateway")) == "gateway"

    def decode(payload: object, _context: Context) -> list[Packet]:
        message = parse_json(payload) if isinstance(payload, bytes) else payload
        out = Instants(many=many)
        if not gateway:
            _enter(None, message, out)
        elif isinstance(message, dict):
            for device, said in message.items():
                try:
                    _enter(device, said, out)
                except PayloadError as exc:
                    if exc.code != "bad_envelope":
                        raise
                    out.refuse(exc.code, f"{device}: {exc.detail}")
        else:
            raise PayloadError("bad_envelope", "expected an object of device name to values")
        return out.packets()

    return decode


def _enter(device: str | None, said: object, out: Instants) -> None:
    """Enter what is said of one device: all of it or, where it cannot be read, nothing."""
    entries = said if isinstance(said, list) else [said]
    read = [_entry(each) for each in entries]
    for time, values in read:
        out.add(device, time, values)


def _entry(entry: object) -> tuple[int | None, dict[str, Any]]:
    if not isinstance(entry, dict):
        raise PayloadError("bad_envelope", "expected an object of values, or {ts, values}")
    if "ts" not in entry or "values" not in entry:
        return None, entry
    time, values = entry["ts"], entry["values"]
    if type(time) is not int or not isinstance(values, dict):
        raise PayloadError("bad_envelope", "'ts' is milliseconds and 'values' an object")
    return time * _MILLISECOND, values
