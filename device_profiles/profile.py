"""A device profile, compiled: everything that Tidegate knows about one kind of device."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from device_profiles.alarms import AlarmRule
from device_profiles.build_alarms import build_alarms, in_languages
from device_profiles.build_devices import build_devices
from device_profiles.build_entries import build_answers, build_entries
from device_profiles.build_measures import (
    build_clock,
    build_each,
    build_identity,
    build_measures,
    build_position,
)
from device_profiles.check import check_profile
from device_profiles.commands import Command, CommandSpec, compile_command
from device_profiles.document import read_profile
from device_profiles.durations import duration_ns
from device_profiles.egress import Egress, compile_egress
from device_profiles.faults import Faults
from device_profiles.identity import Identity
from device_profiles.js.step import JsCodec
from device_profiles.js_command import Encoding
from device_profiles.payloads import CommandFault
from device_profiles.reader import Reader
from device_profiles.route import Entry, Route
from gateway_core.config import YamlDocument
from gateway_core.errors import PayloadError

FieldType = Literal["float", "int", "bool", "string", "enum"]
FieldKind = Literal["gauge", "counter", "state", "event", "diagnostic"]

DEFAULT_HEARTBEAT = "1h"
"""Of a measurement with a deadband and no ``heartbeat``."""

BUILT_IN_TAGS = ("edge", "device", "profile")
"""Tags that every reading has; the rest of ``store.tags`` are captures."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One measurement as it is stored.

    Attributes:
        name: The field's name.
        type: Its type.
        unit: UCUM; empty for bool, string and enum.
        kind: What it is.
        low: Least good value, or None.
        high: Greatest good value, or None.
        values: Allowed texts of an enum; empty for the rest.
        title: Language to text.
        deadband: Change that a number must exceed to be sent on; 0 for any.
        heartbeat_ns: After so long it is sent on in any case; 0: every value is.
    """

    name: str
    type: FieldType
    unit: str
    kind: FieldKind
    low: float | None
    high: float | None
    values: tuple[str, ...]
    title: Mapping[str, str]
    deadband: float = 0.0
    heartbeat_ns: int = 0


@dataclass(frozen=True, slots=True)
class Availability:
    """When a device counts as silent.

    Attributes:
        expect_every_ns: How often it should be heard, or None.
        offline_after_ns: Silence that makes it offline, or None: then it never is.
    """

    expect_every_ns: int | None = None
    offline_after_ns: int | None = None

    def deadline(self, last_seen: int) -> int | None:
        """Return when a device that was last heard at ``last_seen`` is silent (nanoseconds)."""
        return None if self.offline_after_ns is None else last_seen + self.offline_after_ns


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """One profile.

    Attributes:
        id: ``vendor/model``.
        version: Semantic version.
        status: ``draft beta stable deprecated withdrawn``.
        title: Language to text.
        vendor: Who makes the device.
        model: Its model.
        measurement: The time series' measurement.
        tags: Tags beyond edge, device and profile.
        fields: Name to `FieldSpec`.
        alarms: Name to rule; run them with `AlarmRules`.
        egress: What may leave the site.
        commands: Name to command.
        availability: When a device counts as silent.
        entries: How its messages come.
        identity: Makes and checks device ids.
        digest: SHA-256 of the file, hexadecimal.
        document: The file.
        replaces: Id of the profile that it takes the place of; empty for none.
        successor: Id of the profile that takes its place; empty for none.
    """

    id: str
    version: str
    status: str
    title: Mapping[str, str]
    vendor: str
    model: str
    measurement: str
    tags: tuple[str, ...]
    fields: Mapping[str, FieldSpec]
    alarms: Mapping[str, AlarmRule]
    egress: Egress
    commands: Mapping[str, CommandSpec]
    availability: Availability
    entries: tuple[Entry, ...] = field(repr=False)
    identity: Identity = field(repr=False)
    digest: str
    document: YamlDocument = field(repr=False)
    replaces: str = ""
    successor: str = ""

    @property
    def file(self) -> str | Path:
        """Where it was read from."""
        return self.document.file

    @property
    def tests(self) -> list[dict[str, Any]]:
        """Its test vectors as written; run them with `examples.run_tests`."""
        found: list[dict[str, Any]] = self.document.data["tests"]
        return found

    @property
    def codec(self) -> JsCodec | None:
        """The vendor's JavaScript that decodes its messages, or None."""
        return next((e.decode for e in self.entries if isinstance(e.decode, JsCodec)), None)

    def encode_command(
        self,
        name: str,
        device: str,
        args: Mapping[str, object],
        captures: Mapping[str, str] | None = None,
    ) -> Command:
        """Return a command for one device, checked and ready to send.

        Args:
            name: The command's name.
            device: The device's id.
            args: Argument to value.
            captures: What the device's record adds for templates (``app``, ``mac``).

        Raises:
            PayloadError: ``unknown_command bad_device_id missing_arg unknown_arg arg_type
                arg_value arg_range missing_capture``.
        """
        spec = self.commands.get(name)
        if spec is None:
            known = ", ".join(self.commands) or "none"
            raise PayloadError("unknown_command", f"{self.id} has {known}")
        spoken = self.identity.spoken(self.identity.check(device))
        return spec.encode(spoken, args, captures or {})

    def route(self, entry: Entry, captures: dict[str, str]) -> Route:
        """Return the route of one topic or path through ``entry``."""
        return Route(self, tuple(captures.values()), entry)


def load_profile(
    source: Path | str, name: str | Path = "<text>", *, strict: bool = True
) -> Profile:
    """Read, check and compile one profile.

    Args:
        source: The file, or the text itself, then called ``name``.
        name: What errors call a text.
        strict: False only for profiles that were linted before they were shipped.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    return compile_profile(read_profile(source, name, strict=strict))


def compile_profile(document: YamlDocument) -> Profile:
    """Compile a document that the schema let through; raises `ConfigError`."""
    data = document.data
    faults = Faults(document)
    reader = Reader(
        build_identity(data, faults),
        build_clock(data, faults),
        build_each(data, faults),
        build_measures(data, faults),
        tuple(tag for tag in data["store"].get("tags", ()) if tag not in BUILT_IN_TAGS),
        build_devices(data, faults),
        build_position(data, faults),
        tuple(name for name, spec in data["measurements"].items() if spec.get("required")),
    )
    folder = document.file.parent if isinstance(document.file, Path) else None
    entries = build_entries(data, reader, faults, folder)
    alarms = build_alarms(data, faults)
    commands = _build_commands(data, Encoding.of(entries), faults)
    entries.extend(build_answers(commands.values(), entries, reader))
    check_profile(data, entries, faults)
    faults.raise_any()
    return Profile(
        data["id"],
        data["version"],
        data.get("status", "draft"),
        in_languages(data.get("title", {})),
        data["vendor"],
        data["model"],
        data["store"]["measurement"],
        reader.tags,
        {name: _field(name, spec) for name, spec in data["measurements"].items()},
        alarms,
        compile_egress(data["egress"], data["measurements"]),
        commands,
        _availability(data.get("availability", {})),
        tuple(entries),
        reader.identity,
        hashlib.sha256(document.text.encode()).hexdigest(),
        document,
        data.get("replaces", ""),
        data.get("successor", ""),
    )


def _field(name: str, spec: Mapping[str, Any]) -> FieldSpec:
    low, high = spec.get("range", (None, None))
    return FieldSpec(
        name,
        spec["type"],
        spec.get("unit", ""),
        spec.get("kind", "gauge" if spec["type"] in ("float", "int") else "state"),
        low,
        high,
        tuple(spec.get("values", ())),
        in_languages(spec.get("title", {})),
        spec.get("deadband", 0.0),
        _heartbeat(spec),
    )


def _heartbeat(spec: Mapping[str, Any]) -> int:
    """Return after how long a value is sent on in any case; 0 where every value is."""
    if "deadband" not in spec and "heartbeat" not in spec:
        return 0
    return duration_ns(spec.get("heartbeat", DEFAULT_HEARTBEAT))


def _build_commands(
    data: Mapping[str, Any], encoding: Encoding, faults: Faults
) -> dict[str, CommandSpec]:
    commands = {}
    for name, spec in data.get("commands", {}).items():
        try:
            commands[name] = compile_command(name, spec, data["measurements"], encoding)
        except CommandFault as exc:
            faults.add(("commands", name, *exc.path), exc.message)
    return commands


def _availability(spec: Mapping[str, Any]) -> Availability:
    every, after = spec.get("expect_every"), spec.get("offline_after")
    return Availability(
        duration_ns(every) if every is not None else None,
        duration_ns(after) if after is not None else None,
    )
