"""The way back: from field values to the message that a device would send, for simulators.

For profiles whose messages are JSON, CBOR, SenML or a plain ``struct``, also behind ChirpStack, The
Things Stack and Zigbee2MQTT. What cannot be turned around (``expr``, frames, TLV) is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from device_profiles.inverse import Wire, compile_wire
from device_profiles.lorawan import SERVERS, uplink
from device_profiles.packing import encode_cbor, pack_struct
from device_profiles.paths import parse_path
from device_profiles.profile import Profile
from device_profiles.route import Entry
from device_profiles.topics import fill, names_in, parse_template
from gateway_core.clock import NS
from gateway_core.errors import ConfigError
from gateway_core.model import Value

STAND_IN = "sim"
"""What a capture that the device id does not determine is filled with."""

_JSON, _CBOR, _SENML_JSON = 50, 60, 110

Body = Callable[[dict[str, Any], "str | None", str], bytes]
"""From wire values, time as RFC 3339 or None, and device id to the payload."""


class Encoder:
    """Makes the messages of one profile's devices.

    Args:
        profile: The profile.
        via: ``mqtt``, ``coap`` or a network server: the first data entry of that kind is used;
            None: the first of all.

    Attributes:
        fields: Names of the fields that can be sent.

    Raises:
        ConfigError: The profile has no such entry, or its messages cannot be turned around.
    """

    def __init__(self, profile: Profile, via: str | None = None) -> None:
        self._profile = profile
        self._data = profile.document.data
        self._entry = self._choose(via)
        self._identity = parse_template(profile.identity.template).levels[0]
        self._wires: dict[str, Wire] = {}
        for name, spec in self._data["measurements"].items():
            wire = compile_wire(name, spec)
            if wire is not None:
                self._wires[name] = wire
        self.fields = tuple(self._wires)
        steps = self._entry.steps
        self._kind = next(iter(steps[-1]))
        self._split = self._data.get("device", {}).get("split", ":")
        if len(steps) > 1 or self._kind not in ("json", "cbor", "senml", "struct"):
            raise self._fault(("decode",), f"{self._kind} messages cannot be made, only read")
        self._pack = pack_struct(steps[0]) if self._kind == "struct" else None

    def payload(
        self, device: str, values: Mapping[str, Value], time_ns: int | None
    ) -> tuple[str, bytes, int | None]:
        """Return topic or path, payload, and CoAP Content-Format (None for MQTT).

        Args:
            device: The device's id; it must be one of this profile's.
            values: Field to value; fields that cannot be sent are left out.
            time_ns: The device's own time, or None for a device without a clock.

        Raises:
            PayloadError: ``bad_device_id``.
        """
        device = self._profile.identity.check(device)
        captures = self._captures(device)
        wire: dict[str, Any] = {}
        for name, value in values.items():
            turned = self._wires.get(name)
            if turned is not None:
                turned.put(wire, value, flat=self._kind == "senml")
        if self._kind == "senml":
            body, content_format = self._senml(device, wire, time_ns), _SENML_JSON
        else:
            body, content_format = self._plain(wire, captures, time_ns)
        address = fill(self._entry.template.text, captures)
        return address, body, content_format if self._entry.via == "coap" else None

    def _choose(self, via: str | None) -> Entry:
        entries = [
            entry
            for entry in self._profile.entries
            if entry.role == "data" and via in (None, entry.via)
        ]
        if not entries:
            raise self._fault(("match",), f"no data by {via}")
        plain = [one for one in entries if one.formats is None or _JSON in one.formats]
        return (plain or entries)[0]

    def _fault(self, path: tuple[str | int, ...], message: str) -> ConfigError:
        return ConfigError(self._profile.document.fault(path, message))

    def _captures(self, device: str) -> dict[str, str]:
        captures = dict.fromkeys((*self._entry.template.names, "app"), STAND_IN)
        captures.update(device=device, dev_eui=device, dev=device)
        found = self._identity.pattern.fullmatch(device) if self._identity.pattern else None
        if found is not None:
            captures.update(zip(self._identity.names, found.groups(), strict=True))
        return captures

    def _senml(self, device: str, wire: dict[str, Any], time_ns: int | None) -> bytes:
        base: dict[str, Any] = {"bn": device + self._split}
        if time_ns is not None:
            base["bt"] = time_ns / NS
        records = [{"n": name, _senml_key(value): value} for name, value in wire.items()]
        return msgspec.json.encode([{**base, **records[0]}, *records[1:]] if records else [base])

    def _plain(
        self, wire: dict[str, Any], captures: dict[str, str], time_ns: int | None
    ) -> tuple[bytes, int]:
        via = self._entry.via
        stamp = None if time_ns is None else rfc3339(time_ns)
        time_from = self._data.get("time", {}).get("from")
        enveloped = via in SERVERS and time_from == "time"
        if time_ns is not None and time_from is not None and not enveloped:
            put_at(wire, parse_path(time_from), self._device_time(time_ns))
        for name in names_in(self._profile.identity.template):
            if name not in self._entry.template.names and via in ("mqtt", "coap"):
                put_at(wire, parse_path(name), captures.get(name, STAND_IN))
        raw = self._pack(wire) if self._pack is not None else None
        if via in SERVERS:
            body = wire if raw is None else raw
            app, device = captures["app"], captures["device"]
            return msgspec.json.encode(uplink(via, device, body, app=app, stamp=stamp)), _JSON
        if raw is not None:
            return raw, 42  # application/octet-stream
        formats = self._entry.formats
        if self._kind == "cbor" or (formats is not None and _JSON not in formats):
            return encode_cbor(wire), _CBOR
        return msgspec.json.encode(wire), _JSON

    def _device_time(self, time_ns: int) -> float | int | str:
        form = self._data["time"].get("format", "unix")
        if form == "rfc3339":
            return rfc3339(time_ns)
        if form == "unix_ms":
            return time_ns // 1_000_000
        return time_ns / NS if time_ns % NS else time_ns // NS


def rfc3339(time_ns: int) -> str:
    """Return a time as RFC 3339 text in UTC, to the microsecond."""
    seconds, rest = divmod(time_ns, NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1000:06d}Z"


def put_at(wire: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    """Put a value at a path, making objects on the way."""
    for segment in path[:-1]:
        wire = wire.setdefault(segment, {})
    wire[path[-1]] = value


def _senml_key(value: object) -> str:
    if isinstance(value, bool):
        return "vb"
    return "vs" if isinstance(value, str) else "v"
