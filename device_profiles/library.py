"""What the ``tidegate profiles`` commands do, as functions that return data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from device_profiles.catalogue import Catalogue
from device_profiles.decoded import Decoded
from device_profiles.examples import EDGE, Bench, Line, Outcome, flags_of, run_tests
from device_profiles.finding import Finding
from device_profiles.line_preview import render_line
from device_profiles.lint import expand, find, lint, lint_files
from device_profiles.profile import Profile, load_profile
from gateway_core.errors import ConfigError, Fault


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One line of ``tidegate profiles list``.

    Attributes:
        id: ``vendor/model``.
        version: Semantic version.
        status: ``draft beta stable deprecated withdrawn``.
        title: In English, else in any language, else empty.
        measurement: Where its readings go.
        fields: Names of the measurements.
        via: What its messages come by, each once.
        alarms: Names of the rules.
        commands: Names of the commands.
        tests: Number of vectors.
        file: Where it was read from.
    """

    id: str
    version: str
    status: str
    title: str
    measurement: str
    fields: tuple[str, ...]
    via: tuple[str, ...]
    alarms: tuple[str, ...]
    commands: tuple[str, ...]
    tests: int
    file: str


@dataclass(frozen=True, slots=True)
class TestReport:
    """The result of ``tidegate profiles test``.

    Attributes:
        outcomes: Of every vector of every file that could be read.
        faults: Mistakes in the files that could not.
    """

    outcomes: tuple[Outcome, ...]
    faults: tuple[Fault, ...]

    @property
    def passed(self) -> bool:
        """Whether every file could be read and every vector passed."""
        return not self.faults and all(outcome.passed for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class DecodedOnce:
    """The result of ``tidegate profiles decode``.

    Attributes:
        device: The device's id; None when the message was refused.
        points: Time in nanoseconds, fields and tags of each reading.
        quality: Flags ``<field>:<code>``.
        alarms: ``+rule`` for each alarm that this message raises from a clean state.
        online: What an availability message said.
        reject: The rejection code, or None.
        detail: Its explanation.
        lines: The readings of all devices as line protocol, with ``edge=edge1``.
        more: Of a message about several devices what it says of the others: device, points,
            quality, alarms, online.
        unread: Its devices that cannot be read: part (from 0 in the message's order), code, detail.
    """

    device: str | None
    points: tuple[dict[str, Any], ...]
    quality: tuple[str, ...]
    alarms: tuple[str, ...]
    online: bool | None
    reject: str | None
    detail: str
    lines: tuple[str, ...]
    more: tuple[dict[str, Any], ...] = ()
    unread: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def list_profiles(catalogue: Catalogue) -> list[ProfileRow]:
    """Return a row for every profile of a catalogue, by id."""
    return [_row(profile) for _, profile in sorted(catalogue.profiles.items())]


def _row(profile: Profile) -> ProfileRow:
    title = profile.title.get("en") or next(iter(profile.title.values()), "")
    return ProfileRow(
        profile.id,
        profile.version,
        profile.status,
        title,
        profile.measurement,
        tuple(profile.fields),
        tuple(dict.fromkeys(entry.via for entry in profile.entries)),
        tuple(profile.alarms),
        tuple(profile.commands),
        len(profile.tests),
        str(profile.file),
    )


def test_files(paths: Sequence[Path], line: Line = render_line) -> TestReport:  # noqa: PT028
    """Run the vectors of profile files or of the files below folders."""
    outcomes: list[Outcome] = []
    faults: list[Fault] = []
    for path in expand(paths):
        try:
            outcomes.extend(run_tests(load_profile(path), line))
        except ConfigError as exc:
            faults.extend(exc.faults)
    return TestReport(tuple(outcomes), tuple(faults))


test_files.__test__ = False  # type: ignore[attr-defined]  # a test runner would collect it


def decode_once(
    profile: Profile,
    payload: bytes,
    *,
    topic: str | None = None,
    path: str | None = None,
    content_format: int | None = None,
    received: int = 0,
) -> DecodedOnce:
    """Decode one message with one profile.

    Args:
        profile: The profile.
        payload: As sent.
        topic: MQTT topic; give this or ``path``.
        path: CoAP path.
        content_format: CoAP Content-Format, or None.
        received: Receive time in nanoseconds; 0 means "not known": any device time counts.
    """
    address = topic if topic is not None else path or ""
    found = Bench(profile).receive(
        address, payload, received, coap=topic is None, content_format=content_format
    )
    if found.decoded is None:
        return DecodedOnce(None, (), (), (), None, found.reject, found.detail, ())
    told = [_told(one, alarms) for one, alarms in found.told]
    return DecodedOnce(
        **told[0],
        reject=None,
        detail="",
        lines=tuple(_lines(profile, found.decoded)),
        more=tuple(told[1:]),
        unread=tuple(msgspec.structs.asdict(one) for one in found.decoded.unread),
    )


def _told(decoded: Decoded, alarms: Sequence[str]) -> dict[str, Any]:
    """Return what a message says of one device, as plain values."""
    return {
        "device": decoded.device,
        "points": tuple(
            {"time": p.time, "fields": p.fields, "tags": p.tags} for p in decoded.readings
        ),
        "quality": tuple(flags_of(decoded)),
        "alarms": tuple(alarms),
        "online": decoded.online,
    }


def _lines(profile: Profile, decoded: Decoded) -> Iterator[str]:
    for one in decoded.devices:
        tags = {"edge": EDGE, "device": one.device, "profile": profile.id}
        for point in one.readings:
            yield render_line(profile.measurement, {**tags, **point.tags}, point.fields, point.time)


__all__ = [
    "DecodedOnce",
    "Finding",
    "ProfileRow",
    "TestReport",
    "decode_once",
    "find",
    "lint",
    "lint_files",
    "list_profiles",
    "test_files",
]
