"""The short way of reading JSON gives what the long way gives, for any bytes at all."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device_profiles.profile import load_profile
from device_profiles.route import Route
from gateway_core.errors import PayloadError
from tests.fakes.profile_text import PLAIN, changed, room, route_of

RECEIVED = 1_700_000_000_000_000_000
NESTED = room()
FLAT = load_profile(
    changed("from: meter.total", "from: Total", changed('env."rel.hum"', '"rel.hum"')),
    "flat.yaml",
)
PLAINEST = load_profile(PLAIN, "plain.yaml")

numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-50, 120),
    st.just(-0.0),
    st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64, 2**53 + 1, 1e308]),
)
leaves = st.one_of(
    numbers, st.none(), st.booleans(), st.text(max_size=5), st.sampled_from(["e", "off"])
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "ts": st.one_of(leaves, st.floats(1.6999e9, 1.7001e9), st.integers(1699990000, 1700000500)),
        "temperature": values,
        "humidity": values,
        "env": st.one_of(
            values, st.fixed_dictionaries({}, optional={"rel.hum": values, "x": leaves})
        ),
        "rel.hum": leaves,
        "meter": st.one_of(values, st.fixed_dictionaries({}, optional={"total": numbers})),
        "Total": numbers,
        "count": values,
        "open": values,
        "label": values,
        "mode": st.one_of(leaves, st.integers(0, 2)),
        "status": values,
        "other": values,
    },
)


def both(route: Route, payload: bytes) -> tuple[object, object]:
    def outcome(read):
        try:
            return read()
        except PayloadError as exc:
            return exc.code

    return (
        outcome(lambda: route.decode(payload, RECEIVED)),
        outcome(lambda: route._long(route.entry, payload, RECEIVED, None)),
    )


@pytest.mark.parametrize("profile", [NESTED, FLAT, PLAINEST], ids=["nested", "flat", "plain"])
@given(message=messages)
@settings(max_examples=400)
def test_any_message_gives_the_same_both_ways(profile, message):
    route = route_of(profile)
    assert route.entry.fast is not None
    short, long = both(route, json.dumps(message).encode())
    assert short == long
    assert repr(short).count("True") == repr(long).count("True")


@pytest.mark.parametrize("profile", [NESTED, PLAINEST], ids=["nested", "plain"])
@given(message=messages, at=st.integers(0, 200), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=400)
@example(message={"other": "x"}, at=11, byte=0xFF, cut=False)
def test_damaged_bytes_give_the_same_both_ways(profile, message, at, byte, cut):
    payload = bytearray(json.dumps(message, ensure_ascii=False).encode("utf-8", "replace"))
    at %= len(payload)
    damaged = bytes(payload[:at]) if cut else bytes([*payload[:at], byte, *payload[at + 1 :]])
    short, long = both(route_of(profile), damaged)
    assert short == long


@pytest.mark.parametrize(
    "payload",
    [
        b'{"temperature": 1, "other": 1e999}',
        b'{"temperature": 1e999}',
        b'{"count": ' + b"1" * 5000 + b"}",
        b'{"temperature": 1, "other": "\xff"}',
        b'{"temperature": 1, "temperature": 2}',
        b'{"temperature": "x", "temperature": 2}',
        b'{"env": {"rel.hum": 1}, "env": {}}',
        b'{"temperature": NaN}',
        b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[]",
        b"12",
        b"",
        b"\xef\xbb\xbf{}",
        b'{"label": "' + b"x" * 1_000_000 + b'"}',
        b'{"label": "\\ud800"}',
    ],
)
def test_hostile_messages_give_the_same_both_ways(payload):
    for profile in (NESTED, FLAT, PLAINEST):
        short, long = both(route_of(profile), payload)
        assert short == long


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb"])
def test_a_member_whose_name_json_escapes_is_read_all_the_same(name):
    path = name.replace("\\", "\\\\").replace('"', '\\"')
    quoted = json.dumps(f'env."{path}"')
    profile = load_profile(changed("from: meter.total", f"from: {quoted}"), "odd.yaml")
    payload = json.dumps({"env": {name: 1500}}).encode()
    assert route_of(profile).decode(payload, RECEIVED).readings[0].fields == {"energy": 1.5}
