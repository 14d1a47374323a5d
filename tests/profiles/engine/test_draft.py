"""The promise: a profile drafted from messages lints without a doubt and passes its own tests."""

from __future__ import annotations

import base64
import json
import string
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.catalogue import Catalogue, conflicts, load_catalogue
from device_profiles.draft import draft
from device_profiles.draft_layout import draft_bytes
from device_profiles.draft_names import meaning, plain_name
from device_profiles.draft_samples import BadSample, read_sample, read_samples, template_of
from device_profiles.draft_text import Wish
from device_profiles.examples import run_tests
from device_profiles.lint import find_in
from device_profiles.profile import load_profile

NONE = Catalogue([])
SHIPPED = load_catalogue([])


def made(*bodies, topic="acme/+/up", beside=NONE, **wish):
    samples = [read_sample(json.dumps(body)) for body in bodies]
    return load_profile(draft(Wish("acme/hall", topic, **wish), samples, beside), "hall.yaml")


def fields(profile):
    return {name: (spec.type, spec.unit, spec.kind) for name, spec in profile.fields.items()}


def test_well_known_names_give_field_unit_and_range():
    profile = made({"temp": 21.5, "hum": 40, "batt_mv": 3300, "rssi": -70, "PM2.5": 9})
    assert fields(profile) == {
        "temperature": ("float", "Cel", "gauge"),
        "humidity": ("float", "%", "gauge"),
        "battery_voltage": ("float", "V", "diagnostic"),
        "rssi": ("float", "dB[mW]", "diagnostic"),
        "pm2_5": ("float", "ug/m3", "gauge"),
    }
    (point,) = profile.tests[0]["expect"]["points"]
    assert point["battery_voltage"] == 3.3


def test_nested_members_words_and_numbers_as_text_are_read():
    profile = made(
        {"door": {"open": True}, "mode": "idle", "humidity": "41.5", "x": 1},
        {"door": {"open": False}, "mode": "busy", "humidity": "42", "x": 2},
    )
    assert fields(profile) == {
        "open": ("bool", "", "state"),
        "mode": ("enum", "", "state"),
        "humidity": ("float", "%", "gauge"),
        "x": ("int", "1", "gauge"),
    }
    assert profile.fields["mode"].values == ("busy", "idle")
    assert profile.tests[0]["expect"]["points"] == [
        {"open": True, "mode": "idle", "humidity": 41.5, "x": 1}
    ]


@pytest.mark.parametrize(
    ("value", "format_"),
    [(1700000000, "unix"), (1700000000123, "unix_ms"), ("2023-11-14T22:13:20Z", "rfc3339")],
)
def test_the_messages_time_is_found_by_name_and_value(value, format_):
    profile = made({"ts": value, "temperature": 20})
    assert profile.document.data["time"]["format"] == format_
    assert "ts" not in profile.fields
    assert int(profile.tests[0]["expect"]["points"][0]["time"]) == 1700000000


def test_a_name_that_is_no_time_by_its_value_is_a_number():
    assert "t" not in made({"t": 1700000000, "humidity": 1}).fields
    assert "temperature" in made({"t": 21.5}).fields


def test_the_device_is_named_by_the_topic_or_else_by_a_member():
    assert made({"id": "a", "power": 1}).identity.template == "{device}"
    assert made({"deviceId": "a", "power": 1}, topic="acme/all").identity.template == "{deviceId}"
    assert made({"power": 1}, topic="acme/{site}/up").identity.template == "{site}"
    with pytest.raises(BadSample, match="put \\+ in the topic"):
        made({"power": 1}, topic="acme/all")


def test_the_topic_is_taken_from_the_samples_where_they_differ():
    samples = [read_sample(f'acme/n{n}/up {{"power": 1}}') for n in range(2)]
    assert template_of(None, samples) == "acme/{device}/up"
    assert template_of("a/+/b/+", samples) == "a/{part1}/b/{device}"
    with pytest.raises(BadSample, match="add --topic"):
        template_of(None, samples[:1])


def test_fields_keep_the_type_and_unit_in_which_others_store_them():
    profile = made({"temperature": 20, "humidity": 40}, beside=SHIPPED, measurement="env")
    others = [p for p in SHIPPED.profiles.values() if p.measurement == "env"]
    assert conflicts([*others, profile]) == []


def test_messages_are_read_as_mosquitto_sub_and_edge_refused_print_them():
    lines = (
        'acme/a/up {"power": 1}\n\n{"power": 2}\n{"topic": "acme/b/up", "payload": {"power": 3}}\n'
    )
    assert [(s.topic, s.body["power"]) for s in read_samples(lines, "f")] == [
        ("acme/a/up", 1),
        (None, 2),
        ("acme/b/up", 3),
    ]
    row = {
        "address": "acme/a/up",
        "payload": base64.b64encode(b'{"power": 4}').decode(),
        "reason": "no_match",
    }
    other = {"address": "acme/a/up", "payload": base64.b64encode(b"\xff").decode()}
    assert [s.body for s in read_samples(json.dumps([row, other]), "f")] == [{"power": 4}]
    with pytest.raises(BadSample, match="f:2: expected a JSON object"):
        read_samples('{"a": 1}\nhello\n', "f")


def test_a_message_without_anything_to_measure_is_refused():
    with pytest.raises(BadSample, match="nothing but ids and times"):
        made({"id": "a", "ts": 1700000000})


def test_names_are_made_plain():
    assert [plain_name(t) for t in ("battMv", "PM2.5", "1st", "温度", "A-B")] == [
        "batt_mv",
        "pm2_5",
        "f_1st",
        "value",
        "a_b",
    ]
    assert meaning("temp_f")[0].field == "temperature"
    assert meaning("temp_f")[1] == "[degF]"


def test_bytes_are_drafted_from_a_layout_that_people_jot_down():
    layout = "battery:u8:%, temp:i16*0.1:Cel, skip1, humidity:u8*0.5, fw:hex2"
    text = draft_bytes(
        Wish("acme/probe", "acme/+/raw"), [bytes.fromhex("5c 0134 ff 65 0102")], layout
    )
    profile = load_profile(text, "probe.yaml")
    assert [(o.name, o.failures) for o in run_tests(profile) if not o.passed] == []
    assert [str(one) for one in find_in(profile)] == []
    expected = {"battery": 92, "temperature": 30.8, "humidity": 50.5, "fw": "0102"}
    assert profile.tests[0]["expect"]["points"] == [expected]
    assert [test["expect"].get("reject") for test in profile.tests] == [
        None,
        "truncated",
        "trailing_bytes",
    ]


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("a", "found 'a'"),
        ("", "no field in it"),
        ("a:u8, b:u16", "message 1 would be refused: truncated"),
        ("a:u9", "integers have"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused_with_the_reason(layout, message):
    with pytest.raises(BadSample, match=message):
        draft_bytes(Wish("acme/probe", "acme/+/raw"), [b"\1"], layout)


MEMBERS = st.sampled_from(
    ["temp", "hum", "ts", "id", "mode", "x", "battMv", "on", "温度", 'q"u', "a.b", "energy", "lat"]
) | st.text(string.printable, min_size=1, max_size=6)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
BODIES = st.dictionaries(
    MEMBERS,
    st.recursive(
        LEAVES,
        lambda x: st.lists(x, max_size=2) | st.dictionaries(MEMBERS, x, max_size=3),
        max_leaves=6,
    ),
    min_size=1,
    max_size=6,
)


@given(bodies=st.lists(BODIES, min_size=1, max_size=3))
@settings(max_examples=100)
def test_whatever_a_device_sends_the_draft_is_green_or_says_what_is_missing(bodies):
    said = ""
    try:
        profile = made(*bodies)
    except BadSample as exc:
        said = str(exc)
    if said:
        assert "nothing but ids and times" in said
        return
    assert [(o.name, o.failures) for o in run_tests(profile) if not o.passed] == []
    assert [str(one) for one in find_in(profile) if one.level == "error"] == []


def test_the_command_drafts_lints_and_tests(tmp_path):
    def run(*arguments, text=None):
        return subprocess.run(
            [sys.executable, "-m", "tidegate", "profiles", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False, input=text,
        )  # fmt: skip

    made_ = run(
        "new", "acme/hall", "--topic", "acme/+/up", "--from-json", '{"temp": 21.5, "mode": "on"}'
    )
    assert (made_.returncode, made_.stderr) == (0, "")
    assert run("lint", "--strict", "profiles").stdout == "no mistakes found\n"
    assert run("test", "profiles").stdout == "3 of 3 vectors passed\n"
    asked = run("new", "acme/asked", "--ask", text='{"power": 5}\n\n\n\n\n')
    assert asked.returncode == 0
    assert 'topic: "acme/{device}/up"' in (tmp_path / "profiles/acme/asked.yaml").read_text()
    refused = run("new", "acme/x", "--from-json", "[1]")
    assert refused.returncode == 2
    assert "expected a JSON object" in refused.stderr
