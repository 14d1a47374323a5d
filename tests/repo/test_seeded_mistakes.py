"""The promise: a mistake in a profile is caught before it is used, by lint or by its own vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.catalogue import SHIPPED
from device_profiles.examples import run_tests
from device_profiles.lint import find_in
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError

FILE = Path(SHIPPED) / "milesight" / "em300-th.yaml"
TEXT = FILE.read_text("utf-8")

# (the mistake, what stands there, what somebody wrote instead, who catches it)
MISTAKES = [
    ("a unit that is none", "unit: Cel,", "unit: degC,", "grammar"),
    ("a unit of another quantity", "unit: Cel,", "unit: C,", "unit-of-another-quantity"),
    ("no unit", 'battery:     {type: int, unit: "%", range', "battery:     {type: int, range", "grammar"),
    ("a conversion too many", "unit: Cel,", 'unit: Cel, wire_unit: "[degF]",', "vectors"),
    ("a key that does not exist", "scale: 0.1,", "scal: 0.1,", "grammar"),
    ("ten times too large", "scale: 0.1,", "scale: 1,", "vectors"),
    ("half of the scale", "scale: 0.5,", "scale: 0.25,", "vectors"),
    ("a range that is too narrow", "range: [-30, 70]", "range: [-30, 30]", "vector-against-limits"),
    ("a range that is too wide", "range: [-30, 70]", "range: [-3000, 7000]", "vectors"),
    ("the other byte order", "order: little", "order: big", "vectors"),
    ("an unsigned number", '"03 67": [temperature: i16]', '"03 67": [temperature: u8]', "vectors"),
    ("another key", '"04 68": [humidity', '"04 67": [humidity', "vectors"),
    ("a field by another name", '"04 68": [humidity: u8]', '"04 68": [humid: u8]', "vectors"),
    ("a case that no message has", '"ff 01": [protocol', '"ff 02": [x: u8]\n        "ff 01": [protocol', "layout-untested"),
    ("unknown channels are let through", '"20 ce": {list: history,', '"99 00": [x: u8]\n        "20 ce": {list: history,', "vectors"),
    ("records at the message's time", "each: {from: history, time: timestamp}", "each: {from: history}", "vectors"),
    ("records are lost", "each: {from: history, time", "each: {from: histroy, time", "vectors"),
    ("an alarm on a field that is not there", "raise: temperature > 60.0", "raise: temperatur > 60.0", "grammar"),
    ("an alarm with the wrong type", "raise: temperature > 60.0", "raise: temperature > 60", "grammar"),
    ("an alarm that is no condition", "raise: temperature > 60.0", "raise: temperature", "grammar"),
    ("an alarm that never comes", "raise: battery < 10", "raise: battery < 1", "alarm-never-raised"),
    ("an alarm that never ends", "clear: temperature < 55.0", "clear: temperature < -40.0", "alarm-never-cleared"),
    ("an alarm without hysteresis", "clear: temperature < 55.0", "clear: temperature < 59.0", "vectors"),
    ("an egress rule for nothing", "    humidity:    {every", "    humidty:    {every", "grammar"),
    ("a tag that is no capture", "tags: [edge, device, profile]", "tags: [edge, device, profile, sit]", "grammar"),
    ("a tag that is new in every message", "tags: [edge, device, profile]", "tags: [edge, device, profile, time]", "tag-without-bound"),
    ("ids of another form", "[0-9a-f]{16}", "[0-9A-F]{16}", "vectors"),
    ("the wrong format of time", "format: rfc3339", "format: unix", "vectors"),
    ("a command's payload", "data: /xD/}}\ntests", "data: /xH/}}\ntests", "vectors"),
    ("a way that nobody tried", "  - {via: ttn-v3}", '  - {via: ttn-v3}\n  - {via: mqtt, topic: "x/{device}"}', "match-untested"),
]  # fmt: skip


def caught(text: str) -> set[str]:
    """Return who catches something: rules of lint, and ``vectors``."""
    try:
        profile = load_profile(text, FILE)
    except ConfigError:
        return {"grammar"}
    failed = any(not outcome.passed for outcome in run_tests(profile))
    return {one.rule for one in find_in(profile)} | ({"vectors"} if failed else set())


def test_nothing_is_caught_where_nothing_is_wrong() -> None:
    assert caught(TEXT) == set()


@pytest.mark.parametrize(
    ("right", "wrong", "by"), [case[1:] for case in MISTAKES], ids=[case[0] for case in MISTAKES]
)
def test_a_seeded_mistake_is_caught(right: str, wrong: str, by: str) -> None:
    assert right in TEXT
    assert by in caught(TEXT.replace(right, wrong, 1))
