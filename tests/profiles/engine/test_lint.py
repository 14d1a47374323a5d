"""The promise: lint names each mistake and doubt of a profile, its place, and what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from device_profiles.lint import find_in, lint_files
from device_profiles.profile import load_profile
from tests.fakes.clean_profile import BYTES, JSON
from tests.fakes.profile_text import changed

ROOT = Path(__file__).parents[3]

# (rule, level, what is written, instead of what, path, part of the message)
OF_JSON = [
    ("alarm-never-raised", "warning", "raise: temperature > 62.0", "raise: temperature > 60.0", "alarms.hot", "sends temperature so that 'temperature > 62.0' holds and expects [+hot]"),
    ("alarm-never-cleared", "warning", "clear: temperature < 15.0", "clear: temperature < 55.0", "alarms.hot", "'temperature < 15.0' holds and that expects [-hot]"),
    ("alarm-flaps", "error", "clear: temperature > 60.0", "clear: temperature < 55.0", "alarms.hot.clear", "leave it out"),
    ("unit-of-another-quantity", "warning", "unit: C,", "unit: Cel,", "measurements.temperature.unit", "did you mean 'Cel'?"),
    ("unit-of-another-quantity", "warning", "unit: F,", "unit: Cel,", "measurements.temperature.unit", "did you mean '[degF]'?"),
    ("vector-against-limits", "error", "range: [-40, 50]", "range: [-40, 85]", "tests.0.expect.points.0.temperature", "61 is outside the range [-40, 50]"),
    ("vector-against-limits", "error", 'people: 3, mode: "of"}', 'people: 3, mode: "off"}', "tests.0.expect.points.0.mode", "not among the values of mode: off, auto"),
    ("int-loses-fraction", "warning", "people: {scale: 0.1, type: int", "people: {type: int", "measurements.people.scale", "did you mean 'type: float'?"),
    ("string-of-few-words", "warning", "mode: {type: string, map", "mode: {type: enum, values: [off, auto], map", "measurements.mode.type", "values: [auto, off]"),
    ("tag-without-bound", "error", "acme/{seq}/{node}/up", "acme/{site}/{node}/up", "store.tags.3", "a series of its own"),
    ("device-without-bound", "error", 'id: "{ts}"', 'id: "{node}"', "device.id", "name the device by what stays the same"),
    ("egress-sum-of-counter", "warning", "fns: [sum]", "fns: [last, delta]", "egress.allow.energy.fns", "use 'last' or 'delta'"),
    ("egress-wide-default", "warning", "class: personal\n  default: raw", "class: operational\n  default: none", "egress.default", "use 'default: none'"),
    ("egress-alarms-stay", "warning", "alarms: none", "alarms: full", "egress.alarms", "'alarms: full'"),
    ("match-untested", "warning", 'payload: json}\n  - {via: mqtt, topic: "other/{site}/{node}", payload: json}', "payload: json}", "match.1", "no vector comes this way"),
    ("path-never-there", "warning", "from: meter.Total", "from: meter.total", "measurements.energy.from", "did you mean 'meter.total'?"),
    ("field-untested", "warning", 'people: {when: "d.people > 5", type', "people: {type", "measurements.people", "no vector gives a value of people"),
    ("map-untested", "warning", '"1": auto, "2": auto}', '"1": auto}', "measurements.mode.map.2", "no vector has 2"),
    ("nothing-refused", "error", "expect: {points: [{temperature: 1}]}", "expect: {reject: not_json}", "tests", "'reject'"),
    ("vector-name-twice", "warning", "name: beep\n    command", "name: everything\n    command", "tests.2.name", ""),
    ("vector-expects-nothing", "warning", "command: {name: beep, device: n1}\n", "command: {name: beep, device: n1}\n    expect: {text: beep}\n", "tests.2", "expects nothing"),
    ("language-missing", "warning", "title: Hall sensor", "title: {en: Hall sensor, zh: 大厅传感器}", "title", "no Chinese text"),
    ("docs-missing", "warning", "docs: []", "docs: [Acme Hall manual]", "docs", "public documentation"),
    ("source-missing", "warning", "name: everything\n", "name: everything\n    source: Acme Hall manual\n", "tests", "'source'"),
    ("command-unproven", "warning", '  beep: {role: operator, send: {topic: "x/{device}", text: x}}\n  horn: {', "  beep: {", "commands.horn", "command: {name: horn"),
]  # fmt: skip
OF_BYTES = [
    ("layout-untested", "warning", '"03": [humidity: u8]\n        "02": {list', '"02": {list', "decode.0.tlv.cases.03", "case 03 is never exercised"),
    ("layout-untested", "warning", "when: kind == 8", "when: kind == 9", "decode.1.struct.fields.2.probe", "the condition of probe holds in no vector"),
    ("layout-untested", "warning", "  - struct:\n      when: size == 77\n      fields: [a: u8]\n  - struct:\n      fields:\n        - kind", "  - struct:\n      fields:\n        - kind", "decode.1.struct", "no vector has this layout"),
    ("bytes-unread", "warning", "      rest: ignore\neach:", "each:", "decode.1.struct", "bytes 4-5 of 'a fixed message' are read by nobody"),
]  # fmt: skip
FITTING = {  # a second change without which the first would not even load
    "nothing-refused": ('payload: "{"}', "payload: {temperature: 1}}"),
    "bytes-unread": ('hex: "09 00 d7 05"', 'hex: "09 00 d7 05 aa bb"'),
    "tag-without-bound": ("profile, site]", "profile, seq]"),
}


def found(text: str) -> list[tuple[str, str, str, str]]:
    findings = find_in(load_profile(text, "hall.yaml"))
    return [(f.rule, f.level, f.fault.path, f.fault.message) for f in findings]


@pytest.mark.parametrize("text", [JSON, BYTES], ids=["json", "bytes"])
def test_nothing_is_found_where_nothing_is_wrong(text):
    assert found(text) == []


@pytest.mark.parametrize(
    ("base", "rule", "level", "wrong", "right", "path", "message"),
    [(JSON, *case) for case in OF_JSON] + [(BYTES, *case) for case in OF_BYTES],
    ids=lambda value: value if isinstance(value, str) and re.fullmatch(r"[a-z-]+", value) else "",
)
def test_each_rule_finds_what_it_is_for(base, rule, level, wrong, right, path, message):
    text = base
    more = FITTING.get(rule)
    if more is not None:
        text = changed(more[0], more[1], text)
    text = (
        text.replace(wrong, right, 1)
        if rule == "vector-name-twice"
        else changed(right, wrong, text)
    )
    hits = [(r, lv, p) for r, lv, p, m in found(text) if message in m]
    assert (rule, level, path) in hits, found(text)


def test_a_finding_says_file_line_column_path_and_rule():
    (one,) = find_in(load_profile(changed("unit: Cel,", "unit: C,", JSON), "hall.yaml"))
    assert str(one) == (
        "hall.yaml:13:30: measurements.temperature.unit: warning: 'C' does not measure what the name "
        "'temperature' says; did you mean 'Cel'? [unit-of-another-quantity]"
    )


def test_a_tag_that_changes_with_every_vector_of_a_device_is_found():
    text = changed('"acme/{site}/{node}/up"', '"acme/{run}/{node}/up"', JSON).replace(
        "profile, site]", "profile, run]"
    )
    for number in range(3):
        text = text.replace("topic: acme/s1/n1/up", f"topic: acme/r{number}/n1/up", 1)
    assert [(r, p) for r, _, p, _ in found(text)] == [("tag-changes", "store.tags.3")]


def test_a_device_that_changes_with_every_message_of_a_topic_is_found():
    text = changed('{id: "{node}"}', '{id: "{who}"}', JSON)
    text = text.replace("payload: {temperature: 61,", "payload: {who: a, temperature: 61,", 1)
    for old, who in (("temperature: 61}", "b"), ("temperature: 20, mode", "c")):
        text = text.replace("{" + old, "{who: " + who + ", " + old, 1)
    text = text.replace('payload: "{"}', "payload: {who: d, people: 1}}").replace(
        "expect: {reject: not_json}", "expect: {points: []}"
    )
    assert "device-changes" in [rule for rule, *_ in found(text)]


def test_an_exact_position_of_a_person_is_found():
    text = changed("  people: {type", "  lat: {type: float, unit: deg}\n  people: {type", JSON)
    text = changed("class: operational", "class: personal", text)
    text = changed("allow:\n", "allow:\n    lat: raw\n", text)
    assert ("egress-exact-position", "egress.allow.lat") in [(r, p) for r, _, p, _ in found(text)]


def test_what_is_expected_of_each_device_of_a_message_is_held_against_the_limits():
    text = changed("decode: [{json: {}}]", "devices: {from: rows}\ndecode: [{json: {}}]", JSON)
    text = changed('device: {id: "{node}"}', 'device: {id: "{who}"}', text)
    text = changed(
        "expect: {reject: not_json}", "expect: {devices: {a: {points: [{temperature: 99}]}}}", text
    )
    assert ("vector-against-limits", "tests.3.expect.devices.a.points.0.temperature") in [
        (r, p) for r, _, p, _ in found(text)
    ]


def test_the_cases_of_one_stream_that_none_has_are_one_doubt():
    text = changed(
        '"02": {list', '"03": [humidity: u8]\n        "04": [x: u8]\n        "02": {list', BYTES
    )
    assert [m.partition(" never")[0] for _, _, _, m in found(text)] == ["cases 03, 04 are"]


def test_an_element_of_match_with_a_layout_of_its_own_is_looked_at_in_its_place():
    own = 'payload: bytes}\n  - {via: mqtt, topic: "acme/{node}/old", payload: bytes, decode: [{struct: {fields: [kind: u8]}}]}'
    text = changed("payload: bytes}", own, BYTES)
    assert [(r, p) for r, _, p, _ in found(text)] == [
        ("match-untested", "match.1"),
        ("layout-untested", "match.1.decode.0.struct"),
    ]


def test_parts_of_a_message_that_wait_for_the_others_are_not_unread():
    (profile,) = [p for p in load_catalogue([]).profiles.values() if p.id == "jtt/808-2013-vehicle"]
    unread = [f.fault.path for f in find_in(profile) if f.rule == "bytes-unread"]
    assert unread == ["decode.1.struct"]


def test_doubts_do_not_count_as_mistakes(tmp_path):
    path = tmp_path / "hall.yaml"
    path.write_text(changed("unit: Cel,", "unit: C,", JSON), encoding="utf-8")
    assert lint_files([path]) == []


def test_every_rule_is_explained_in_the_reference():
    sources = sorted((ROOT / "device_profiles").glob("lint*.py"))
    code = "".join(path.read_text("utf-8") for path in sources)
    rules = set(re.findall(r'findings\.(?:warn|error)\(\s*"([a-z-]+)"', code)) | {
        "grammar",
        "codec",
        "conflict",
    }
    page = (ROOT / "docs" / "reference" / "lint.md").read_text("utf-8")
    assert rules == set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
