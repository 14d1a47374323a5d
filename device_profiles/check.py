"""What the schema cannot say: names that refer to nothing, rules that contradict themselves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from device_profiles.build_entries import ENVELOPE_NAMES
from device_profiles.check_lwm2m import check_lwm2m
from device_profiles.durations import duration_ns
from device_profiles.egress import NUMERIC_ONLY
from device_profiles.faults import Faults, Place
from device_profiles.homeassistant.learning import ENTITY_NAMES, KIND
from device_profiles.route import Entry

_NUMERIC = ("float", "int")
_TAGS = ("edge", "device", "profile")


def check_profile(data: Mapping[str, Any], entries: Sequence[Entry], faults: Faults) -> None:
    """Enter every mistake that makes a profile mean something else than it says."""
    _check_egress(data, faults)
    check_lwm2m(data, faults)
    _check_tags(data, entries, faults)
    _check_availability(data.get("availability", {}), faults)
    _check_commands(data, faults)
    _check_tests(data, faults)


def _check_egress(data: Mapping[str, Any], faults: Faults) -> None:
    fields, egress = data["measurements"], data["egress"]
    _check_release(egress["default"], ("egress", "default"), faults)
    for name, rule in egress.get("allow", {}).items():
        place: Place = ("egress", "allow", name)
        if name not in fields:
            faults.add(place, f"there is no measurement {name!r}{_near(name, fields)}")
            continue
        _check_release(rule, place, faults)
        if isinstance(rule, dict) and fields[name]["type"] not in _NUMERIC:
            for fn in rule.get("fns", ()):
                if fn in NUMERIC_ONLY:
                    kind = fields[name]["type"]
                    faults.add((*place, "fns"), f"{fn!r} is for numbers, {name!r} is {kind}")


def _check_release(rule: Any, place: Place, faults: Faults) -> None:
    if not isinstance(rule, dict):
        return
    if ("every" in rule) != ("fns" in rule):
        missing = "fns" if "every" in rule else "every"
        faults.add(place, f"the key {missing!r} is missing: an aggregate needs both")
    elif not rule:
        faults.add(place, "expected none, raw or {every, fns}")
    if "every" in rule and duration_ns(rule["every"]) < duration_ns("1s"):
        faults.add((*place, "every"), "the shortest window is 1s")


def _check_tags(data: Mapping[str, Any], entries: Sequence[Entry], faults: Faults) -> None:
    step = next(iter(data["decode"][-1]))
    if step == "line-protocol":
        return  # the tags of a line become captures: only a message can show them
    known = set(_TAGS) | ENVELOPE_NAMES
    if step == "edgex":
        known |= {"profile_name", "source_name"}
    for entry in entries:
        known.update(entry.template.names)
        if entry.via == KIND:
            known |= ENTITY_NAMES
    for index, tag in enumerate(data["store"].get("tags", ())):
        if tag not in known:
            where: Place = ("store", "tags", index)
            faults.add(where, f"{tag!r} is no capture of a topic or path{_near(tag, known)}")
        elif tag in data["measurements"]:
            faults.add(("store", "tags", index), f"{tag!r} is a measurement already")


def _check_availability(spec: Mapping[str, Any], faults: Faults) -> None:
    if "expect_every" in spec and "offline_after" in spec:
        every, after = duration_ns(spec["expect_every"]), duration_ns(spec["offline_after"])
        if after < every:
            faults.add(("availability", "offline_after"), "shorter than expect_every")


def _check_commands(data: Mapping[str, Any], faults: Faults) -> None:
    fields = data["measurements"]
    for name, spec in data.get("commands", {}).items():
        confirmed = spec.get("confirm", {}).get("measurement")
        if confirmed is not None and confirmed not in fields:
            faults.add(
                ("commands", name, "confirm", "measurement"),
                f"there is no measurement {confirmed!r}{_near(str(confirmed), fields)}",
            )


def _check_tests(data: Mapping[str, Any], faults: Faults) -> None:
    """Enter vectors that name what is not there: they could only ever fail."""
    for index, test in enumerate(data["tests"]):
        kinds = [kind for kind in ("recv", "steps", "command", "codec") if kind in test]
        place: Place = ("tests", index)
        if len(kinds) != 1:
            faults.add(place, "expected one of 'recv', 'steps', 'command' and 'codec'")
            continue
        for where, part in _parts(test, place):
            _check_expect(part.get("expect", {}), data, (*where, "expect"), faults)
            received = part.get("recv")
            if received is not None and ("topic" in received) == ("path" in received):
                faults.add((*where, "recv"), "expected one of 'topic' and 'path'")
        name = test.get("command", {}).get("name")
        if name is not None and name not in data.get("commands", {}):
            known = data.get("commands", {})
            faults.add((*place, "command", "name"), f"no command {name!r}{_near(name, known)}")


def _parts(test: Mapping[str, Any], place: Place) -> Iterable[tuple[Place, Mapping[str, Any]]]:
    yield place, test
    for index, step in enumerate(test.get("steps", ())):
        yield (*place, "steps", index), step


def _check_expect(
    expect: Mapping[str, Any], data: Mapping[str, Any], place: Place, faults: Faults
) -> None:
    fields, alarms = data["measurements"], data.get("alarms", {})
    for device, told in expect.get("devices", {}).items():
        _check_expect(told, data, (*place, "devices", device), faults)
    for index, point in enumerate(expect.get("points", ())):
        for name in point:
            if name not in fields and name != "time":
                faults.add(
                    (*place, "points", index, name),
                    f"there is no measurement {name!r}{_near(name, fields)}",
                )
    for index, alarm in enumerate(expect.get("alarms", ())):
        if alarm[1:] not in alarms:
            faults.add(
                (*place, "alarms", index), f"no alarm {alarm[1:]!r}{_near(alarm[1:], alarms)}"
            )


def _near(word: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
