"""Runs the test vectors of a profile: the proof that it means what its author meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from device_profiles.alarms import AlarmMemory, AlarmRules
from device_profiles.announced import Announced
from device_profiles.catalogue import Catalogue
from device_profiles.codec_vectors import run_codec
from device_profiles.decoded import Decoded, Point
from device_profiles.homeassistant.learning import KIND
from device_profiles.likeness import differing, plain, same
from device_profiles.line_preview import render_line
from device_profiles.memory import Attempt, MemoryOfOne
from device_profiles.profile import Profile
from gateway_core.errors import PayloadError
from gateway_core.model import Value

KEPT = "kept in memory: a part of a longer message, or an announcement"
EDGE = "edge1"
"""The ``edge`` tag in vectors."""

Line = Callable[[str, Mapping[str, str], Mapping[str, Value], int], str]
"""Renders measurement, tags, fields and time; `render_line` unless the caller has another."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one vector.

    Attributes:
        profile: The profile's id.
        name: The vector's name.
        passed: Whether everything was as expected.
        failures: What was not, for people; empty when it passed.
        line: Where the vector stands in the file.
    """

    profile: str
    name: str
    passed: bool
    failures: tuple[str, ...]
    line: int


@dataclass(slots=True)
class Received:
    """What one message gave.

    Attributes:
        decoded: The points, or None when it was refused.
        reject: The rejection code, or None.
        detail: Its explanation.
        told: Device and alarms, ``+rule`` raised and ``-rule`` cleared: an entry for each device
            of the message that can be read.
    """

    decoded: Decoded | None = None
    reject: str | None = None
    detail: str = ""
    told: list[tuple[Decoded, list[str]]] = field(default_factory=list)

    @property
    def quality(self) -> list[str]:
        """All flags of the message, sorted."""
        return sorted(flag for one, _ in self.told for flag in flags_of(one))

    @property
    def alarms(self) -> list[str]:
        """All alarms of the message."""
        return [change for _, changes in self.told for change in changes]


def flags_of(decoded: Decoded) -> list[str]:
    """Return all flags of what a message says of one device, sorted."""
    flags = [flag for point in decoded.readings for flag in point.flags]
    return sorted([*flags, *decoded.flags])


class Bench:
    """Feeds messages to one profile alone and keeps its memory and its alarm state.

    Args:
        profile: The profile.
    """

    def __init__(self, profile: Profile) -> None:
        self._catalogue = Catalogue([profile])
        self._rules = AlarmRules(profile)
        self._alarms: dict[str, AlarmMemory] = {}
        self._memory = MemoryOfOne()
        learns = any(entry.via == KIND for entry in profile.entries)
        self._announces = profile if learns else None

    def receive(
        self,
        address: str,
        payload: bytes,
        received: int,
        *,
        coap: bool = False,
        content_format: int | None = None,
    ) -> Received:
        """Decode one message and step the alarms.

        Args:
            address: Topic or path.
            payload: As sent.
            received: Receive time in nanoseconds; 0 means "not known".
            coap: Whether ``address`` is a CoAP path.
            content_format: CoAP Content-Format, or None.
        """
        catalogue = self._catalogue
        routes = catalogue.coap(address, content_format) if coap else catalogue.mqtt(address)
        if not routes and self._announces is not None:
            keys = self._memory.keys(KIND)
            route = Announced(self._announces, self._memory, keys).route(address)
            routes = [] if route is None else [route]
        result = Received(reject="no_match", detail=f"the profile does not match {address!r}")
        for route in routes:
            attempt = Attempt(self._memory)
            try:
                decoded = route.decode(payload, received, content_format, attempt)
            except PayloadError as exc:
                result = Received(reject=exc.code, detail=exc.detail)
                continue
            self._memory.take(attempt)
            told = [(one, self._step(one, received)) for one in decoded.devices]
            detail = KEPT if decoded.held else ""
            return Received(decoded, detail=detail, told=told)
        return result

    def _step(self, decoded: Decoded, received: int) -> list[str]:
        alarms: list[str] = []
        for point in decoded.readings:
            memory, changes = self._rules.step(
                self._alarms.get(decoded.device), point.fields, point.time, received or point.time
            )
            self._alarms[decoded.device] = memory
            alarms += [("+" if change == "raised" else "-") + rule for rule, change in changes]
        return alarms


def run_tests(profile: Profile, line: Line = render_line) -> list[Outcome]:
    """Run every vector of a profile, each from a clean state.

    Args:
        profile: The profile.
        line: Renders line protocol.
    """
    outcomes = []
    for index, test in enumerate(profile.tests):
        failures = _run(profile, test, line)
        place = profile.document.locate(("tests", index))[0]
        outcomes.append(Outcome(profile.id, test["name"], not failures, tuple(failures), place))
    return outcomes


def _run(profile: Profile, test: Mapping[str, Any], line: Line) -> list[str]:
    if "command" in test:
        return _run_command(profile, test["command"], test.get("expect", {}))
    if "codec" in test:
        return run_codec(profile, test["codec"])
    bench = Bench(profile)
    if "recv" in test:
        return _run_message(profile, bench, test["recv"], test.get("expect", {}), line)
    failures = []
    for number, step in enumerate(test["steps"], start=1):
        found = _run_message(profile, bench, step["recv"], step.get("expect", {}), line)
        failures += [f"step {number}: {failure}" for failure in found]
    return failures


def _run_message(
    profile: Profile, bench: Bench, recv: Mapping[str, Any], expect: Mapping[str, Any], line: Line
) -> list[str]:
    result = bench.receive(
        recv.get("topic", recv.get("path", "")),
        payload_of(recv),
        round(recv.get("at", 0) * 1_000_000) * 1_000,
        coap="path" in recv,
        content_format=recv.get("content_format"),
    )
    if "reject" in expect:
        if result.reject == expect["reject"]:
            return []
        return [f"expected reject {expect['reject']}, found {result.reject or 'no rejection'}"]
    if result.decoded is None:
        return [f"rejected: {result.reject}: {result.detail}"]
    return _compare(profile, result, result.decoded, expect, line)


def payload_of(recv: Mapping[str, Any]) -> bytes:
    """Return the bytes of a vector's message: ``hex``, text as it is, anything else as JSON."""
    if "hex" in recv:
        return bytes.fromhex(recv["hex"])
    payload = recv.get("payload", "")
    return payload.encode() if isinstance(payload, str) else msgspec.json.encode(payload)


def _compare(
    profile: Profile, result: Received, decoded: Decoded, expect: Mapping[str, Any], line: Line
) -> list[str]:
    unread = sorted(one.code for one in decoded.unread)
    failures = _marks("unread", expect, unread)
    if "devices" in expect:
        failures += _compare_devices(expect["devices"], result)
    else:
        failures += _compare_one(result, decoded, expect)
    if "line" in expect:
        lines = [
            _line(profile, one.device, point, line)
            for one in decoded.devices
            for point in one.readings
        ]
        wanted = [expect["line"]] if isinstance(expect["line"], str) else expect["line"]
        if sorted(map(plain, lines)) != sorted(map(plain, wanted)):
            failures.append(f"line: expected {wanted}, found {lines}")
    return failures


def _compare_one(result: Received, decoded: Decoded, expect: Mapping[str, Any]) -> list[str]:
    if len(decoded.devices) > 1 and expect.keys() & {"device", "points", "online"}:
        names = ", ".join(one.device for one in decoded.devices)
        return [f"the message tells of several devices ({names}): expect 'devices'"]
    failures = []
    for key, found in (("device", decoded.device), ("online", decoded.online)):
        if key in expect and expect[key] != found:
            failures.append(f"{key}: expected {expect[key]!r}, found {found!r}")
    if "points" in expect:
        failures += differing(expect["points"], decoded.readings)
    failures += _marks("quality", expect, result.quality)
    return failures + _marks("alarms", expect, result.alarms)


def _compare_devices(expect: Mapping[str, Any], result: Received) -> list[str]:
    """Compare what a message says of several devices: exactly those that are listed."""
    found: dict[str, list[tuple[Decoded, list[str]]]] = {}
    for one, changes in result.told:
        found.setdefault(one.device, []).append((one, changes))
    failures = [f"device {name}: not expected" for name in found if name not in expect]
    for name, wanted in expect.items():
        told = found.get(name)
        if told is None:
            failures.append(f"device {name}: missing")
            continue
        points = [point for one, _ in told for point in one.readings]
        online = next((one.online for one, _ in told if one.online is not None), None)
        mine = differing(wanted["points"], points) if "points" in wanted else []
        if "online" in wanted and wanted["online"] != online:
            mine.append(f"online: expected {wanted['online']!r}, found {online!r}")
        mine += _marks("quality", wanted, [flag for one, _ in told for flag in flags_of(one)])
        mine += _marks("alarms", wanted, [change for _, changes in told for change in changes])
        failures += [f"device {name}: {failure}" for failure in mine]
    return failures


def _marks(key: str, expect: Mapping[str, Any], found: list[str]) -> list[str]:
    """Compare flags, alarms or codes; what is not named must not be there."""
    wanted = sorted(expect.get(key, ()))
    if wanted == sorted(found):
        return []
    return [f"{key}: expected {_listed(wanted)}, found {_listed(sorted(found))}"]


def _line(profile: Profile, device: str, point: Point, line: Line) -> str:
    tags = {"edge": EDGE, "device": device, "profile": profile.id, **point.tags}
    return line(profile.measurement, tags, point.fields, point.time)


def _listed(marks: list[str]) -> str:
    return ", ".join(marks) or "none"


def _run_command(profile: Profile, call: Mapping[str, Any], expect: Mapping[str, Any]) -> list[str]:
    captures = call.get("captures", {})
    try:
        command = profile.encode_command(
            call["name"], call.get("device", ""), call.get("args", {}), captures
        )
    except PayloadError as exc:
        if expect.get("reject") == exc.code:
            return []
        return [f"rejected: {exc}"]
    if "reject" in expect:
        return [f"expected reject {expect['reject']}, found no rejection"]
    found: dict[str, object] = {
        "topic": command.topic,
        "path": command.topic,
        "hex": command.payload.hex(),
        "bytes": list(command.payload),
    }
    if "text" in expect:
        found["text"] = command.payload.decode("utf-8", "replace")
    if "json" in expect:
        found["json"] = _json(command.payload)
    wanted = {key: value for key, value in expect.items() if key in found}
    if "hex" in wanted:
        wanted["hex"] = bytes.fromhex(str(wanted["hex"])).hex()
    return [
        f"{key}: expected {value!r}, found {found[key]!r}"
        for key, value in wanted.items()
        if not same(value, found[key])
    ]


def _json(payload: bytes) -> object:
    try:
        return msgspec.json.decode(payload)
    except msgspec.MsgspecError:
        return None
