"""A mistake in a profile is found when it is loaded, with its place and what to write instead."""

import pytest

from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError
from tests.fakes.profile_text import PLAIN, PROFILE, changed

MISTAKES = [
    # (what is written, instead of what, place, part of the message)
    ("measurments:", "measurements:", "12:1: measurments", "did you mean 'measurements'"),
    ("uint: Cel", "unit: Cel", "13:3: measurements.temperature", "'unit' is missing"),
    ("type: flaot, unit: Cel", "type: float, unit: Cel", "measurements.temperature.type", "did you mean 'float'"),
    ("unit: kWh", "unit: kW.h", "measurements.energy.unit", "write 'kW.h'"),
    ("wire_unit: V", "wire_unit: W.h", "measurements.energy.wire_unit", "do not measure the same"),
    ("range: [85, -40]", "range: [-40, 85]", "measurements.temperature.range", "above the upper limit"),
    ("raise: temperatur > 60.0", "raise: temperature > 60.0", "alarms.hot.raise", "did you mean 'temperature'"),
    ("raise: temperature > 60,", "raise: temperature > 60.0,", "alarms.hot.raise", "no matching overload"),
    ("raise: temperature,", "raise: temperature > 60.0,", "alarms.hot.raise", "gives float, expected bool"),
    ('raise: "true",', "raise: temperature > 60.0,", "alarms.hot.raise", "never be looked at"),
    ("clear: open < 1.0", "clear: temperature < 55.0", "alarms.hot.clear", "no matching overload"),
    ("temprature: {every", "temperature: {every", "egress.allow.temprature", "did you mean 'temperature'"),
    ("fns: [mean, median]", "fns: [mean, min, max]", "egress.allow.temperature.fns.1", "expected one of mean"),
    ("{every: 5m}", "{every: 5m, fns: [mean, min, max]}", "egress.allow.temperature", "'fns' is missing"),
    ("open: {every: 5m, fns: [mean]}", "open: raw", "egress.allow.open.fns", "is for numbers"),
    ("from: 'env.\"rel.hum'", "from: 'env.\"rel.hum\"'", "measurements.humidity.from", "not a path"),
    ("map: {0: no, 1:", "map: {0: off, 1:", "measurements.mode.map.0", "is not a value of this enum"),
    ("type: bool, scale: 2}", "type: bool}", "measurements.open.scale", "is for float and int"),
    ('pattern: "(?=a)"', 'pattern: "[a-z0-9-]+"', "device.pattern", "RE2"),
    ('id: "{site}-{nod}"', 'id: "{site}-{node}"', "match.1", "needs {nod}"),
    ('id: "room"', 'id: "{site}-{node}"', "device.id", "needs a {name}"),
    ('topic: "acme/#"', 'topic: "acme/{site}/{node}/up"', "match.0.topic", "no wildcards"),
    ("profile, sit]", "profile, site]", "store.tags.3", "did you mean 'site'"),
    ("{jsn: {}}", "{json: {}}", "decode.0.jsn", "did you mean 'json'"),
    ("{js: {file: a.js, sha256: '" + "a" * 64 + "'}}", "{json: {}}", "decode.0.js.file", "has no codec beside it"),
    ("expect: {points: [], quality: [temperature:range], alarms: [+hott]}", "expect: {points: [], quality: [temperature:range]}", "tests.1.expect.alarms.0", "did you mean 'hot'"),
    ("points: [{time: 1700000000, temp: 21.5}]", "points: [{time: 1700000000, temperature: 21.5}]", "tests.0.expect.points.0.temp", "there is no measurement"),
    ('note: "go ${mod}"', 'note: "go ${mode}"', "commands.set.send.json.note", "not among the arguments"),
    ("max_age: 1day", "max_age: 1d", "time.max_age", "expected text that matches"),
    ("from: ts, format: unix, tz: Mars", "from: ts, format: unix", "time.tz", "expected an offset"),
    ('expr: "d.x > 1", type: float', "type: float", "measurements.temperature.expr", "gives bool, expected float"),
    ("from: x, expr: d.x, type: float", "type: float", "measurements.temperature.expr", "exclude each other"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "right", "place", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_place(wrong, right, place, message):
    with pytest.raises(ConfigError) as found:
        load_profile(changed(right, wrong), "room.yaml")
    texts = [str(fault) for fault in found.value.faults]
    assert all(text.startswith("room.yaml:") for text in texts)
    assert any(place in text and message in text for text in texts), texts


def test_all_mistakes_are_reported_in_the_order_of_the_file():
    text = changed("unit: Cel", "unit: degC", changed("raise: temperature", "raise: temp"))
    with pytest.raises(ConfigError) as found:
        load_profile(text, "room.yaml")
    lines = [fault.line for fault in found.value.faults]
    assert lines == sorted(lines) == [13, 29]


BINARY = """decode:
  - struct: {order: big, fields: [temperature: i16, humid: u8, count: u8, open: u8]}"""


def test_a_path_that_no_layout_gives_is_found():
    text = changed(
        "payload: json", "payload: bytes", changed("decode: [{json: {}}]", BINARY, PLAIN)
    )
    with pytest.raises(
        ConfigError,
        match=r"measurements\.humidity: no field 'humidity' in 'decode'; did you mean 'humid'",
    ):
        load_profile(text, "binary.yaml")


def test_a_mistake_in_a_layout_is_named_with_its_place():
    text = changed("humid: u8", "humidity: u9", changed("decode: [{json: {}}]", BINARY, PLAIN))
    with pytest.raises(ConfigError, match=r"binary\.yaml:10:\d+: decode\.0\.struct\.fields\.1"):
        load_profile(text, "binary.yaml")


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]\n" for i in range(9)
)


@pytest.mark.parametrize(
    "text",
    [
        ALIASES,
        "x: " + "a" * 10_000_000,
        "{a: " * 2_000 + "1" + "}" * 2_000,
        "!!python/object/apply:os.system ['id']",
        "a\0b",
        "",
        "- 1",
        "text",
        "{{{",
        PROFILE + "format: 1\n",
        PROFILE + "---\n" + PROFILE,
        changed("range: [-40, 85]", "range: [-.inf, 85]"),
        changed("range: [-40, 85]", "range: [.nan, 85]"),
        changed("range: [-40, 85]", "range: [-40, 1e999]"),
        changed("temperature > 60.0", "(" * 900 + "temperature > 60.0" + ")" * 900),
        changed("unit: kW.h, wire_unit: W.h", "scale: 1e300, unit: ym, wire_unit: Ym"),
        changed("type: float, unit: Cel", "type: float, unit: " + "(" * 60 + "m"),
        changed('pattern: "[a-z0-9-]+"', 'pattern: "((a{999}){999}){999}"'),
        changed("map: {0:", "map: {[1, 2]:"),
        changed("id: acme/room", "id: ../../etc/passwd"),
    ],
    ids=range(20),
)
def test_a_hostile_file_is_refused_and_nothing_else_happens(text):
    with pytest.raises(ConfigError):
        load_profile(text, "hostile.yaml")


def test_a_pattern_that_would_blow_up_elsewhere_takes_linear_time():
    text = changed(
        'device: {id: "{site}-{node}"}',
        'device: {id: "{site}-{node}", pattern: "((a+)+)+-x"}',
        PLAIN,
    )
    identity = load_profile(text, "slow.yaml").identity
    assert identity.check("a" * 100 + "-x")
    with pytest.raises(Exception, match="bad_device_id"):
        identity.check("a" * 120 + "-y")


def test_yaml_1_2_is_read_as_1_2():
    text = changed(
        "  open: {type: bool}", "  on: {type: bool}", changed("    open: raw", "    on: raw")
    )
    profile = load_profile(text, "on.yaml")
    assert "on" in profile.fields
    assert "True" not in profile.fields
