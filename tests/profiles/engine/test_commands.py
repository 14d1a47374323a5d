"""Commands: arguments are checked, templates filled in their own types, nothing else gets in."""

import pytest

from device_profiles.commands import Command
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.profile_text import changed, room

GOOD = {"level": 40, "mode": "slow"}
HERE = {"site": "s1"}


def test_a_command_fills_its_templates_in_their_own_types():
    command = room().encode_command("set", "s1-n1", GOOD, HERE)
    assert command == Command("acme/s1/down/s1-n1", b'{"id":"s1-n1","level":40,"note":"go slow"}')


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ({"mode": "slow"}, "missing_arg"),
        (GOOD | {"more": 1}, "unknown_arg"),
        (GOOD | {"level": "40"}, "arg_type"),
        (GOOD | {"level": True}, "arg_type"),
        (GOOD | {"level": 40.5}, "arg_type"),
        (GOOD | {"level": [40]}, "arg_type"),
        (GOOD | {"level": 101}, "arg_range"),
        (GOOD | {"level": -1}, "arg_range"),
        (GOOD | {"level": float("nan")}, "arg_range"),
        (GOOD | {"level": 2**70}, "arg_range"),
        (GOOD | {"mode": "other"}, "arg_value"),
        (GOOD | {"mode": 1}, "arg_type"),
    ],
)
def test_a_wrong_argument_is_refused(args, code):
    with pytest.raises(PayloadError) as found:
        room().encode_command("set", "s1-n1", args, HERE)
    assert found.value.code == code


def test_an_unknown_command_a_bad_device_and_a_missing_capture_are_refused():
    for name, device, captures, code in [
        ("reboot", "s1-n1", HERE, "unknown_command"),
        ("set", "s1/#", HERE, "bad_device_id"),
        ("set", "S1-N1", HERE, "bad_device_id"),
        ("set", "s1-n1", {}, "missing_capture"),
    ]:
        with pytest.raises(PayloadError) as found:
            room().encode_command(name, device, GOOD, captures)
        assert found.value.code == code


def test_a_capture_cannot_widen_the_topic():
    for site in ("a/b", "+", "#", "a\n", "a/../b"):
        with pytest.raises(PayloadError, match="arg_value"):
            room().encode_command("set", "s1-n1", GOOD, {"site": site})


def test_binary_payloads_are_packed_in_the_order_that_is_written():
    profile = room(
        'json: {id: "{device}", level: "${level}", note: "go ${mode}"}',
        'bytes: ["8202", {arg: level, as: u16be}, {arg: level, as: i32le, scale: 10}, {arg: mode, as: u8, map: {slow: 1, fast: 2}}, {arg: level, as: f32}]',
    )
    command = profile.encode_command("set", "s1-n1", GOOD, HERE)
    assert command.payload.hex() == "82020028900100000142200000"


def test_a_number_that_does_not_fit_its_bytes_is_refused():
    profile = room(
        'json: {id: "{device}", level: "${level}", note: "go ${mode}"}',
        "bytes: [{arg: level, as: u8, scale: 10}]",
    )
    with pytest.raises(PayloadError, match="arg_range"):
        profile.encode_command("set", "s1-n1", GOOD, HERE)


def test_text_and_coap_commands():
    profile = room(
        'send: {topic: "acme/{site}/down/{device}", json: {id: "{device}", level: "${level}", note: "go ${mode}"}}',
        'send: {path: "cmd/{device}", text: "${level} ${mode}"}',
    )
    assert profile.encode_command("set", "s1-n1", GOOD) == Command(
        "cmd/s1-n1", b"40 slow", "coap", content_format=0
    )


def test_a_default_stands_in_for_what_is_left_out():
    profile = room("values: [slow, fast]}", "values: [slow, fast], default: fast}")
    assert b"go fast" in profile.encode_command("set", "s1-n1", {"level": 1}, HERE).payload


def test_a_command_in_javascript_needs_the_codec_that_decodes():
    text = changed(
        'json: {id: "{device}", level: "${level}", note: "go ${mode}"}', "js: {data: {}}"
    )
    with pytest.raises(ConfigError, match="the profile's 'decode' has no JavaScript codec"):
        load_profile(text, "js.yaml")
