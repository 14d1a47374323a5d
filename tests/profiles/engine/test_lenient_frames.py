"""A frame with wrong check bytes is refused, or read and flagged where the profile says so."""

import pytest

from device_profiles.catalogue import Catalogue
from device_profiles.codecs import SpecError, compile_decode
from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError

TEXT = """\
format: 1
id: acme/framed
version: 1.0.0
vendor: Acme
model: Framed
match: [{via: mqtt, topic: "acme/{device}/up", payload: bytes}]
decode:
  - frame: FRAME
  - struct: {fields: [level: u16]}
measurements:
  level: {type: int, unit: "mm"}
store: {measurement: water}
egress: {class: operational, default: raw}
tests:
  - {name: a, recv: {topic: acme/a/up, hex: "00"}, expect: {reject: truncated}}
  - {name: b, recv: {topic: acme/a/up, hex: "01"}, expect: {reject: truncated}}
  - {name: c, recv: {topic: acme/a/up, hex: "02"}, expect: {reject: truncated}}
"""
MODBUS = ("010302 00ff", "f804")
FRAMES = {
    "{name: modbus-rtu, strict: STRICT}": ("010302 00ff f804", "010302 00ff f805"),
    '{start: "68", checksum: sum8, end: "16", strict: STRICT}': ("68 00ff 67 16", "68 00ff 68 16"),
}


def decoded(frame, payload):
    profile = load_profile(TEXT.replace("FRAME", frame), "framed.yaml")
    (route,) = Catalogue([profile]).mqtt("acme/a/up")
    return route.decode(bytes.fromhex(payload), 1)


@pytest.mark.parametrize(("frame", "payloads"), FRAMES.items())
def test_a_wrong_check_byte_is_refused_unless_the_profile_says_otherwise(frame, payloads):
    good, bad = payloads
    for strict in ("true", "false"):
        (point,) = decoded(frame.replace("STRICT", strict), good).readings
        assert (point.fields, point.flags) == ({"level": 255}, ())
    with pytest.raises(PayloadError) as found:
        decoded(frame.replace("STRICT", "true"), bad)
    assert found.value.code in ("bad_crc", "bad_checksum")
    (point,) = decoded(frame.replace("STRICT", "false"), bad).readings
    assert (point.fields, point.flags) == ({"level": 255}, ("_frame:checksum",))


def test_everything_else_about_a_frame_is_looked_at_as_before():
    with pytest.raises(PayloadError) as found:
        decoded("{name: modbus-rtu, strict: false}", "018302 0000")
    assert found.value.code == "modbus_exception"
    with pytest.raises(PayloadError) as found:
        decoded("{name: modbus-rtu, strict: false}", "010303 00ff f805")
    assert found.value.code == "bad_length"


def test_a_jt808_frame_with_a_wrong_check_byte_keeps_its_header():
    steps = [
        {"frame": {"name": "jt808", "strict": False}},
        {"struct": {"fields": [{"level": "u16"}]}},
    ]
    from device_profiles.codecs import Context

    frame = bytes.fromhex("7e 0200 0002 013800138000 0001 00ff 00 7e")
    found = compile_decode(steps)(frame, Context())
    assert found == {
        "msg_id": 0x0200, "phone": "013800138000", "seq": 1, "version": 0, "_frame": "checksum",
        "level": 255,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"name": "modbus"}, "0.frame.name"),
        ({"name": "jt808", "strict": "no"}, "0.frame.strict"),
        ({"name": "jt808", "start": "68"}, "0.frame.start"),
    ],
)
def test_a_mistake_names_its_place(spec, path):
    with pytest.raises(SpecError) as found:
        compile_decode([{"frame": spec}, {"struct": {"fields": [{"a": "u8"}]}}])
    assert ".".join(map(str, found.value.path)) == path
