"""One message may tell of several devices: each is read as if it had come alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from device_profiles.catalogue import Catalogue
from device_profiles.decoded import Decoded, Unread
from device_profiles.examples import run_tests
from device_profiles.library import decode_once
from device_profiles.profile import Profile, load_profile
from gateway_core.errors import ConfigError, PayloadError

AT = 1_700_000_000 * 10**9
GATEWAY = """\
format: 1
id: acme/gateway
version: 1.0.0
vendor: Acme
model: Gateway
match:
  - {via: mqtt, topic: "gw/{gw}/up"}
  - {via: mqtt, topic: "gw/{gw}/alive", role: availability}
device: {id: "{gw}-{name}", pattern: "[a-z0-9-]+"}
devices: {from: sensors}
time: {from: ts}
decode: [{json: {}}]
measurements:
  temperature: {from: t, type: float, unit: Cel, range: [-40, 85]}
store: {measurement: env, tags: [gw]}
egress: {class: operational, default: raw}
alarms:
  hot: {severity: major, raise: temperature > 60.0}
tests:
  - name: two
    recv: {topic: gw/g1/up, payload: {ts: 1700000000, sensors: [{name: a, t: 1}, {name: b, t: 61}]}}
    expect: {devices: {g1-a: {points: [{t: 1}]}, g1-b: {}}}
  - name: none
    recv: {topic: gw/g1/up, payload: {}}
    expect: {reject: no_devices}
  - name: bad
    recv: {topic: gw/g1/up, payload: "{"}
    expect: {reject: not_json}
"""
VECTOR = "expect: {devices: {g1-a: {points: [{t: 1}]}, g1-b: {}}}"
ONE = "[{temperature: 1}]"


def profile(*changes: tuple[str, str]) -> Profile:
    """Load the gateway's profile with pieces of its text replaced."""
    text = GATEWAY.replace(
        VECTOR, f"expect: {{devices: {{g1-a: {{points: {ONE}}}, g1-b: {{alarms: [+hot]}}}}}}"
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_profile(text, "gateway.yaml")


def read(message: object, *changes: tuple[str, str], topic: str = "gw/g1/up") -> Decoded:
    """Decode one message of the gateway."""
    (route,) = Catalogue([profile(*changes)]).mqtt(topic)
    return route.decode(json.dumps(message).encode(), AT)


def values(decoded: Decoded) -> dict[str, list[dict[str, Any]]]:
    """Return device to the fields of its points."""
    return {one.device: [point.fields for point in one.readings] for one in decoded.devices}


def test_each_element_of_a_list_is_one_device() -> None:
    found = read({"sensors": [{"name": "a", "t": 1}, {"name": "b", "t": 2}]})
    assert values(found) == {"g1-a": [{"temperature": 1.0}], "g1-b": [{"temperature": 2.0}]}
    assert [one.part for one in found.devices] == [0, 1]


def test_a_mapping_names_its_devices_by_its_keys() -> None:
    named = ("devices: {from: sensors}", "devices: {from: sensors, key: name}")
    found = read({"sensors": {"a": {"t": 1}, "b": {"t": 2}}}, named)
    assert values(found) == {"g1-a": [{"temperature": 1.0}], "g1-b": [{"temperature": 2.0}]}


def test_the_message_itself_may_be_the_list_or_the_mapping() -> None:
    whole = ("devices: {from: sensors}", "devices: {from: items}")
    assert values(read([{"name": "a", "t": 1}], whole)) == {"g1-a": [{"temperature": 1.0}]}
    keyed = ("devices: {from: sensors}", "devices: {key: name}")
    assert values(read({"a": {"t": 1}}, keyed)) == {"g1-a": [{"temperature": 1.0}]}


def test_a_device_may_have_a_list_of_records_or_a_single_number() -> None:
    keyed = ("devices: {from: sensors}", "devices: {key: name}\neach: {from: items, time: at}")
    old = {"a": [{"at": 1_699_999_000, "t": 1}, {"at": 1_699_999_100, "t": 2}]}
    assert values(read(old, keyed)) == {"g1-a": [{"temperature": 1.0}, {"temperature": 2.0}]}
    plain = ("from: t,", "from: value,")
    keyed = ("devices: {from: sensors}", "devices: {key: name}")
    assert values(read({"a": 21.5}, keyed, plain)) == {"g1-a": [{"temperature": 21.5}]}


def test_a_device_s_own_time_goes_before_that_of_the_message() -> None:
    found = read(
        {
            "ts": 1_700_000_100,
            "sensors": [{"name": "a", "t": 1}, {"name": "b", "t": 2, "ts": 1_700_000_050}],
        }
    )
    assert [one.readings[0].time // 10**9 for one in found.devices] == [
        1_700_000_100,
        1_700_000_050,
    ]


def test_a_device_named_twice_keeps_both_readings() -> None:
    found = read({"sensors": [{"name": "a", "t": 1}, {"name": "a", "t": 2}]})
    assert [point.time for one in found.devices for point in one.readings] == [AT, AT + 1]


def test_one_bad_id_leaves_the_other_devices() -> None:
    found = read({"sensors": [{"name": "A!", "t": 1}, {"name": "b", "t": 2}, {"t": 3}]})
    assert values(found) == {"g1-b": [{"temperature": 2.0}]}
    assert [(one.part, one.code) for one in found.unread] == [
        (0, "bad_device_id"),
        (2, "bad_device_id"),
    ]
    assert isinstance(found.more[0], Unread)


def test_a_message_without_any_good_id_is_refused() -> None:
    with pytest.raises(PayloadError, match="bad_device_id"):
        read({"sensors": [{"name": "A!", "t": 1}]})


@pytest.mark.parametrize("message", [{}, {"sensors": 5}, {"sensors": None}])
def test_a_message_without_the_list_is_refused(message: object) -> None:
    with pytest.raises(PayloadError, match="no_devices"):
        read(message)


def test_an_empty_list_says_nothing() -> None:
    assert read({"sensors": []}) == Decoded("", [])


def test_more_devices_than_a_message_may_have_are_refused() -> None:
    with pytest.raises(PayloadError, match="too_many_points"):
        read({"sensors": [{"name": "a", "t": 1}] * 10_001})


def test_availability_of_several_devices_in_one_message() -> None:
    state = {"sensors": [{"name": "a", "state": "online"}, {"name": "b", "state": "offline"}]}
    found = read(state, topic="gw/g1/alive")
    assert [(one.device, one.online) for one in found.devices] == [("g1-a", True), ("g1-b", False)]
    odd = read(
        {"sensors": [{"name": "a", "state": "maybe"}, {"name": "b", "state": 1}]},
        topic="gw/g1/alive",
    )
    assert ([one.code for one in odd.unread], odd.online) == (["bad_availability"], True)


def test_an_address_may_say_it_all_and_its_message_only_who() -> None:
    one = (
        ("devices: {from: sensors}\n", ""),
        ('"gw/{gw}/alive", role: availability', '"gw/{gw}/bye", role: availability, online: false'),
    )
    found = read({"name": "a"}, *one, topic="gw/g1/bye")
    assert (found.device, found.online) == ("g1-a", False)


def test_where_it_stands_in_an_availability_message_can_be_said() -> None:
    path = (
        ("devices: {from: sensors}\n", ""),
        ("role: availability", "role: availability, online: link.up"),
    )
    found = read({"name": "a", "link": {"up": True}}, *path, topic="gw/g1/alive")
    assert (found.device, found.online) == ("g1-a", True)


def test_a_senml_pack_may_tell_of_several_devices_where_the_profile_says_so() -> None:
    pack = [{"bn": "a:", "n": "t", "v": 1}, {"bn": "b:", "n": "t", "v": 2}]
    senml = (
        ("decode: [{json: {}}]", "decode: [{senml: {}}]"),
        ('"{gw}-{name}"', '"{gw}-{device}"'),
    )
    many = ("devices: {from: sensors}", "devices: many")
    found = read(pack, *senml, many)
    assert values(found) == {"g1-a": [{"temperature": 1.0}], "g1-b": [{"temperature": 2.0}]}
    alone = ("devices: {from: sensors}\n", "")
    with pytest.raises(PayloadError, match="mixed_devices"):
        read(pack, *senml, alone, ("role: availability", "role: availability, online: true"))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([("devices: {from: sensors}", "devices: many")], "'many' is for messages that name"),
        ([('id: "{gw}-{name}"', 'id: "{gw}"')], "all devices of a message would have the id"),
        ([("devices: {from: sensors}", "devices: {from: a..b}")], "not a path"),
        ([("devices: {from: sensors}", "devices: {form: a}")], "unknown key; did you mean 'from'?"),
        (
            [('topic: "gw/{gw}/up"', 'topic: "gw/{gw}/up", online: true')],
            "only for 'role: availability'",
        ),
    ],
)
def test_a_profile_that_cannot_tell_its_devices_apart_is_refused(
    changes: list[tuple[str, str]], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault.replace("(", r"\(").replace("?", r"\?")):
        profile(*changes)


def test_vectors_list_exactly_the_devices_of_a_message() -> None:
    assert [found.failures for found in run_tests(profile())] == [(), (), ()]
    missing = profile(("g1-b: {alarms: [+hot]}", "g1-c: {}"))
    assert run_tests(missing)[0].failures == ("device g1-b: not expected", "device g1-c: missing")
    calm = profile(("g1-b: {alarms: [+hot]}", "g1-b: {}"))
    assert run_tests(calm)[0].failures == ("device g1-b: alarms: expected none, found +hot",)
    single = profile(
        (f"devices: {{g1-a: {{points: {ONE}}}, g1-b: {{alarms: [+hot]}}}}", f"points: {ONE}")
    )
    assert "several devices (g1-a, g1-b)" in run_tests(single)[0].failures[0]


def test_vectors_name_the_devices_that_cannot_be_read() -> None:
    odd = profile(("{name: b, t: 61}", "{name: B, t: 61}"), (", g1-b: {alarms: [+hot]}", ""))
    assert run_tests(odd)[0].failures == ("unread: expected none, found bad_device_id",)
    said = profile(
        ("{name: b, t: 61}", "{name: B, t: 61}"),
        (", g1-b: {alarms: [+hot]}}", "}, unread: [bad_device_id]"),
    )
    assert run_tests(said)[0].failures == ()


def test_decode_prints_every_device_of_a_message() -> None:
    message = b'{"sensors": [{"name": "a", "t": 1}, {"name": "b", "t": 61}, {"t": 3}]}'
    found = decode_once(profile(), message, topic="gw/g1/up", received=AT)
    assert (found.device, [one["device"] for one in found.more]) == ("g1-a", ["g1-b"])
    assert found.more[0]["alarms"] == ("+hot",)
    assert [(one["part"], one["code"]) for one in found.unread] == [(2, "bad_device_id")]
    assert [line.split()[0].split("device=")[1].split(",")[0] for line in found.lines] == [
        "g1-a",
        "g1-b",
    ]
