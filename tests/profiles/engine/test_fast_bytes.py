"""The short way for binary messages gives what the long way gives, or leaves the message to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError
from tests.fakes.profile_text import PLAIN, route_of

TLV = PLAIN.replace("payload: json", "payload: bytes").replace(
    "decode: [{json: {}}]",
    """decode:
  - tlv:
      key: [u8]
      cases:
        "01": [temperature: i16]
        "02": [humidity: f32]
        "03": [count: i64]
        "04": [ts: u32]
        "05": [big: u64]
        "06": [state: {type: u8, bits: {open: 0, level: [1, 3]}}]""",
).replace(
    "  open: {type: bool}",
    '  open: {from: state.open, type: bool}\n  big: {type: int, unit: "1"}\n'
    '  half: {from: temperature, type: float, unit: Cel, scale: 0.5, offset: 1}\n'
    '  tenth: {from: temperature, type: float, unit: Cel, scale: 0.1, invalid: [0]}',
)  # fmt: skip
PROFILE = load_profile(TLV, "tlv.yaml")
ROUTE = route_of(PROFILE, "acme/a/b/up")

items = st.one_of(
    st.integers(-(2**15), 2**15 - 1).map(lambda n: b"\x01" + n.to_bytes(2, "big", signed=True)),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"\x02" + raw),
    st.integers(-10, 10).map(lambda n: b"\x03" + n.to_bytes(8, "big", signed=True)),
    st.binary(min_size=4, max_size=4).map(lambda raw: b"\x04" + raw),
    st.binary(min_size=8, max_size=8).map(lambda raw: b"\x05" + raw),
    st.binary(min_size=1, max_size=1).map(lambda raw: b"\x06" + raw),
)
payloads = st.one_of(
    st.lists(items, max_size=6).map(b"".join),
    st.binary(max_size=24),
    st.tuples(st.lists(items, max_size=4).map(b"".join), st.integers(1, 6)).map(
        lambda one: one[0][: -one[1]]
    ),
)


def outcome(decode):
    try:
        return decode()
    except PayloadError as exc:
        return exc.code, exc.detail


@given(payload=payloads)
@settings(max_examples=1500)
def test_both_ways_give_the_same(payload):
    assert outcome(lambda: ROUTE.decode(payload, 5)) == outcome(
        lambda: ROUTE._long(ROUTE.entry, payload, 5, None)
    )


def test_a_good_message_goes_the_short_way():
    found = ROUTE.entry.fast(bytes.fromhex("01 0015 06 03".replace(" ", "")))
    assert found is not None
    assert found[0] == {"temperature": 21.0, "half": 11.5, "tenth": 2.1, "open": True}


@pytest.mark.parametrize("payload", ["07", "01 00", "05 ffffffffffffffff", "02 7fc00000"])
def test_what_is_flagged_or_refused_is_left_to_the_long_way(payload):
    assert ROUTE.entry.fast(bytes.fromhex(payload)) is None


@pytest.mark.parametrize(
    "change",
    [
        ("decode:\n  - tlv:\n", "decode:\n  - tlv:\n      when: size > 2\n"),
        ("payload: bytes", "payload: hex"),
        ("payload: bytes", "where: size > 2"),
        ("from: temperature, type: float, unit: Cel, scale: 0.5", "expr: double(d.temperature), type: float, unit: Cel"),
    ],
)  # fmt: skip
def test_what_needs_more_than_the_layout_goes_the_long_way(change):
    text = TLV.replace(*change)
    if "when" in change[1]:
        text = text.replace(
            "- {name: two, recv: {topic: acme/a/b/up, payload: {open: 1}}",
            "- {name: two, recv: {topic: acme/a/b/up, hex: ''}",
        )
    assert route_of(load_profile(text, "tlv.yaml"), "acme/a/b/up").entry.fast is None
