"""Writes the profile of an imported LoRaWAN device: its examples become its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from device_profiles.codecs import Values
from device_profiles.importers.imported import field_name, flow, key, slug
from device_profiles.importers.lorawan_examples import Tried
from device_profiles.importers.lorawan_folder import Device
from device_profiles.importers.lorawan_measures import Guess, Inferred
from device_profiles.lorawan import uplink
from gateway_core.errors import PayloadError

EUI = "24e124136b502217"
"""Of the device in vectors."""

GATEWAY_TOPIC = "milesight/{gateway}/up"
"""Where a Milesight gateway is expected to publish, unless somebody says otherwise."""

MOST_VECTORS = 500
MOST_RECEIVED = 100
MOST_COMMANDS = 30
MOST_TEXT = 700_000
"""Characters of vectors: a profile has at most 1 MiB."""

_NO_GUESS = (
    '  rssi: {from: $lora.rssi, type: float, unit: "dB[mW]", kind: diagnostic}  # review: all?'
)
"""Where no example gives a value: a profile has at least one measurement."""

_PLAIN_INPUT = {"bytes", "fPort", "recvTime"}
_PORTS = range(256)
_DOWN_PORTS = range(1, 224)


@dataclass(slots=True)
class Draft:
    """A profile that is to be written.

    Attributes:
        device: Of which device.
        codec: The codec's file name beside the profile.
        digest: SHA-256 of the codec, hexadecimal.
        inferred: The measurements.
        tried: The examples that agree with the codec.
        fresh: Whether the codec keeps state between messages.
        topic: Of Milesight gateways.
        remarks: Takes what was left out.
    """

    device: Device
    codec: str
    digest: str
    inferred: Inferred
    tried: Sequence[Tried]
    fresh: bool
    topic: str
    remarks: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The profile's id."""
        return f"{slug(self.device.vendor) or 'vendor'}/{slug(self.device.name) or 'device'}"

    def text(self) -> str:
        """Return the profile as YAML."""
        device = self.device
        fresh = ", fresh: true" if self.fresh else ""
        commands = self._commands()
        lines = [
            "# Imported; look at what says 'review' before it is used.",
            "format: 1",
            f"id: {self.id}",
            "version: 1.0.0",
            "status: draft",
            f"title: {flow({'en': device.title or device.name})}",
            f"vendor: {flow(device.vendor_title)}",
            f"model: {flow(device.name)}",
            f"docs: {flow(device.docs)}",
            "match:",
            "  - {via: chirpstack-v4}",
            "  - {via: ttn-v3}",
            f"  - {{via: milesight-gateway, topic: {flow(self.topic)}}}  # review: as set up there",
            'device: {id: "{device}", pattern: "[0-9a-f]{16}"}',
            "time: {from: time, format: rfc3339, max_age: 7d, max_ahead: 5m}",
            f"decode: [{{js: {{file: {flow(self.codec)}, sha256: {self.digest}{fresh}}}}}]",
            "measurements:",
            *(_measurement(guess) for guess in self.inferred.guesses),
            *([] if self.inferred.guesses else [_NO_GUESS]),
            *(f"  # no measurement for {flow(left)[1:-1]}" for left in self.inferred.left_out),
            f"store: {{measurement: {field_name(self.id)}}}  # review",
            "egress: {class: operational, default: none}  # review: nothing leaves the site so far",
            *(["commands:", *(line for line, _ in commands)] if commands else []),
            "tests:",
            *self._vectors([vector for _, vector in commands]),
        ]
        return "\n".join(lines) + "\n"

    @property
    def _gateway_topic(self) -> str:
        return self.topic.replace("{", "").replace("}", "")

    def _vectors(self, commands: list[dict[str, Any]]) -> list[str]:
        vectors: list[dict[str, Any]] = [
            {
                "name": "a network server's message that is not JSON",
                "recv": {"topic": f"application/a1/device/{EUI}/event/up", "hex": "ff"},
                "expect": {"reject": "not_json"},
            },
            {
                "name": "a network server's message that names no device",
                "recv": {"topic": "v3/a1/devices/d1/up", "payload": {"uplink_message": {}}},
                "expect": {"reject": "bad_envelope"},
            },
            {
                "name": "a gateway's message that is not JSON",
                "recv": {"topic": self._gateway_topic, "hex": "ff"},
                "expect": {"reject": "not_json"},
            },
            *commands,
        ]
        vectors += map(_codec_vector, self.tried)
        room = min(MOST_RECEIVED, MOST_VECTORS - len(vectors))
        for tried in self.tried:
            made = self._received(tried, all_servers=room == MOST_RECEIVED)
            room -= len(made)
            if room < 0:
                break
            vectors += made
        lines: list[str] = []
        size, names = 0, dict[str, int]()
        for vector in vectors[:MOST_VECTORS]:
            name = vector["name"]
            count = names[name] = names.get(name, 0) + 1
            line = f"  - {flow({**vector, 'name': name if count == 1 else f'{name} ({count})'})}"
            size += len(line)
            if size > MOST_TEXT:
                break
            lines.append(line)
        if len(lines) < len(vectors):
            self.remarks.append(f"{len(vectors) - len(lines)} of {len(vectors)} vectors do not fit")
        return lines

    def _received(self, tried: Tried, *, all_servers: bool) -> list[dict[str, Any]]:
        """Return vectors that send an example's bytes through network servers."""
        example = tried.example
        given = example.input
        if example.function != "decodeUplink" or not given.keys() <= _PLAIN_INPUT:
            return []
        payload, port, stamp = given["bytes"], given.get("fPort"), given.get("recvTime")
        if not all(byte in _PORTS for byte in payload) or not (
            port is None or (type(port) is int and port in _PORTS)
        ):
            return []
        if stamp is not None and not isinstance(stamp, str):
            return []
        expect = self._expected(tried.values)
        topics = {
            "chirpstack-v4": f"application/a1/device/{EUI}/event/up",
            "ttn-v3": "v3/a1/devices/d1/up",
            "milesight-gateway": self._gateway_topic,
        }
        return [
            {
                "name": f"{_name(tried)}, by {via}",
                "source": f"{example.file.name}, {example.place}",
                "recv": {
                    "topic": topic,
                    "payload": uplink(via, EUI, bytes(payload), fport=port, stamp=stamp),
                },
                "expect": expect,
            }
            for via, topic in list(topics.items())[: 3 if all_servers else 1]
        ]

    def _expected(self, values: Values | PayloadError | None) -> dict[str, Any]:
        if isinstance(values, PayloadError) or values is None:
            return {"reject": values.code if values else "not_applicable"}
        fields, flags = self.inferred.fields(values)
        expect: dict[str, Any] = {"device": EUI, "points": [fields] if fields else []}
        return {**expect, "quality": flags} if flags else expect

    def _commands(self) -> list[tuple[str, dict[str, Any]]]:
        """Return a command, and a vector of it, for each example of a downlink."""
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for tried in self.tried:
            example = tried.example
            data = example.input.get("data")
            if example.function != "encodeDownlink" or not isinstance(data, dict):
                continue
            made, port = tried.found, tried.found.get("fPort")
            if made.get("errors") or not made.get("bytes") or not _safe(data):
                continue
            extra = "" if port is not None else ", fport: 1"
            if port is not None and port not in _DOWN_PORTS:
                continue
            name = field_name(example.description or "downlink", found)
            line = (
                f"  {key(name)}: {{role: engineer, send: {{js: {{data: {flow(data)}{extra}}}}}}}"
                f"{'' if port is not None else '  # review: fport'}"
            )
            vector = {
                "name": f"command {name}",
                "source": f"{example.file.name}, {example.place}",
                "command": {"name": name, "device": EUI, "captures": {"app": "a1"}},
                "expect": {"topic": f"application/a1/device/{EUI}/command/down"},
            }
            found[name] = (line, vector)
            if len(found) == MOST_COMMANDS:
                break
        return list(found.values())


def _measurement(guess: Guess) -> str:
    doubt = f"  # review: {guess.doubt}" if guess.doubt else ""
    return f"  {key(guess.name)}: {flow(guess.spec)}{doubt}"


def _codec_vector(tried: Tried) -> dict[str, Any]:
    example = tried.example
    return {
        "name": f"{_name(tried)}, {example.function}",
        "source": f"{example.file.name}, {example.place}",
        "codec": {
            "function": example.function,
            "input": example.input,
            "output": tried.found if example.function == "normalizeUplink" else example.output,
        },
    }


def _name(tried: Tried) -> str:
    return tried.example.description or tried.example.place


def _safe(data: Any) -> bool:
    """Return whether no text in it would be read as a template."""
    if isinstance(data, dict):
        return all(map(_safe, data.values()))
    if isinstance(data, list):
        return all(map(_safe, data))
    return not isinstance(data, str) or "{" not in data
