"""Bad input: a payload that cannot be read is refused with a code, a bad value only flagged."""

import pytest

from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError
from tests.fakes.profile_text import PLAIN, changed, room, route_of

NOW = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"hello", b'{"temperature": NaN}', b'{"temperature": Infinity}', b'{"temperature": 01}',
        b'{"temperature": 1}}', b'{"temperature": "\xff"}', b'{"other": "\xff"}', b"\x00", b"\xef\xbb\xbf{}",
        b"12", b'"text"', b"null", b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"temperature": 1e999, "x": NaN}',
    ],
)  # fmt: skip
def test_what_is_not_a_json_object_is_refused(payload):
    with pytest.raises(PayloadError) as found:
        route_of(room()).decode(payload, NOW)
    assert found.value.code == "not_json"


@pytest.mark.parametrize(
    ("payload", "flags"),
    [
        (b'{"count": 9223372036854775808}', ("count:range",)),
        (b'{"count": 1000000000000000000000000000000}', ("count:range",)),
        (b'{"count": ' + b"9" * 5000 + b"}", ("count:range",)),
        (b'{"temperature": 1e999}', ("temperature:range",)),
        (b'{"temperature": -1e999}', ("temperature:range",)),
        (b'{"temperature": "21.5"}', ("temperature:not_number",)),
        (b'{"temperature": true}', ("temperature:not_number",)),
        (b'{"temperature": {"a": 1}}', ("temperature:not_number",)),
        (b'{"temperature": [21.5]}', ("temperature:not_number",)),
        (b'{"open": 1}', ("open:not_bool",)),
        (b'{"open": "on"}', ("open:not_bool",)),
        (b'{"mode": 5}', ("mode:unmapped",)),
        (b'{"status": "x"}', ("tamper:not_bool",)),
        (b'{"label": "' + b"x" * 1_000_000 + b'"}', ("label:too_long",)),
        (b'{"label": 5}', ("label:not_string",)),
        (b'{"env": {"rel.hum": 101}}', ("humidity:range",)),
    ],
)
def test_a_bad_value_is_flagged_and_the_rest_is_kept(payload, flags):
    alone = route_of(room()).decode(payload, NOW)
    assert (alone.readings, alone.flags) == ([], flags)
    rest = b'{"meter": {"total": 1500}, ' + payload[1:]
    decoded = route_of(room()).decode(rest, NOW)
    assert decoded.readings[0].fields == {"energy": 1.5}
    assert decoded.readings[0].flags == flags
    assert decoded.flags == ()


def test_a_missing_or_null_value_is_no_point_and_no_flag():
    for payload in (b"{}", b'{"temperature": null}', b'{"env": 5, "meter": []}', b'{"unknown": 1}'):
        decoded = route_of(room()).decode(payload, NOW)
        assert (decoded.readings, decoded.flags) == ([], ())


def test_the_last_of_repeated_keys_counts():
    decoded = route_of(room()).decode(b'{"temperature": 1, "temperature": 2}', NOW)
    assert decoded.readings[0].fields == {"temperature": 2.0}


def test_captures_become_the_tags_that_the_profile_names():
    decoded = route_of(room()).decode(b'{"temperature": 1}', NOW)
    assert decoded.readings[0].tags == {"site": "s1"}


EXPRESSIONS = """\
  sum: {expr: "double(d.a) + double(d.b)", type: float, unit: "1", range: [0, 100]}
  ratio: {when: "d.b != 0", expr: "d.a / d.b", type: int, unit: "1"}
"""


@pytest.mark.parametrize(
    ("payload", "fields", "flags"),
    [
        (b'{"a": 6, "b": 2}', {"sum": 8.0, "ratio": 3}, ()),
        (b'{"a": 6}', {}, ()),
        (b'{"a": 6, "b": 0}', {"sum": 6.0}, ()),
        (b'{"a": null, "b": 2}', {}, ()),
        (b'{"a": "x", "b": 2}', {}, ("sum:not_number", "ratio:not_number")),
        (b'{"a": 99, "b": 2}', {"ratio": 49}, ("sum:range",)),
        (b'{"a": 6, "b": 2, "c": 1000000000000000000000000000000}', {"sum": 8.0, "ratio": 3}, ()),
    ],
)
def test_expressions_compute_from_decoded_values(payload, fields, flags):
    text = changed("  open: {type: bool}\n", EXPRESSIONS, PLAIN).replace(
        'payload: {open: 1}}, expect: {points: [], quality: ["open:not_bool"]}',
        'payload: {temperature: "x"}}, expect: {points: [], quality: ["temperature:not_number"]}',
    )
    decoded = route_of(load_profile(text, "expr.yaml")).decode(payload, NOW)
    assert (decoded.readings[0].fields if decoded.readings else {}) == fields
    assert (decoded.readings[0].flags if decoded.readings else decoded.flags) == flags


@pytest.mark.parametrize(
    ("kind", "payload", "code"),
    [
        ("hex", b"0g", "not_hex"),
        ("base64", b"###", "not_base64"),
        ("text", b"\xff", "not_text"),
        ("cbor", b"\xa1", "not_cbor"),
    ],
)
def test_each_payload_kind_has_its_own_refusal(kind, payload, code):
    text = changed("payload: json", f"payload: {kind}", PLAIN)
    with pytest.raises(PayloadError) as found:
        route_of(load_profile(text, "kind.yaml")).decode(payload, NOW)
    assert found.value.code == code


def test_a_message_that_is_one_number_is_reached_as_value():
    text = changed("temperature: {type", "temperature: {from: value, type", PLAIN)
    decoded = route_of(load_profile(text, "value.yaml")).decode(b"21.5", NOW)
    assert decoded.readings[0].fields == {"temperature": 21.5}


def test_a_where_that_does_not_hold_refuses_the_message():
    text = changed(
        "payload: json}", "payload: json, where: \"d.kind == 'room' && c.site == 's1'\"}", PLAIN
    )
    route = route_of(load_profile(text, "where.yaml"))
    assert route.decode(b'{"kind": "room", "temperature": 1}', NOW).readings[0].fields == {
        "temperature": 1.0
    }
    for payload in (b'{"kind": "car", "temperature": 1}', b'{"temperature": 1}'):
        with pytest.raises(PayloadError, match="not_applicable"):
            route.decode(payload, NOW)
