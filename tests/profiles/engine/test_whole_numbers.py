"""Integers of 64 bits stay exact from a message to a store; what is larger is flagged, not rounded."""

import json
import struct

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.timeseries.line import encode_point, parse_line
from collector.timeseries.series import Point
from device_profiles.catalogue import Catalogue
from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError
from gateway_core.model import Reading
from gateway_core.wire import Upload, decode_upload, encode_upload

TEXT = """\
format: 1
id: acme/counter
version: 1.0.0
vendor: Acme
model: Counter
match:
  - {via: mqtt, topic: "json/{device}"}
  - {via: mqtt, topic: "cbor/{device}", decode: [{cbor: {}}]}
  - {via: mqtt, topic: "senml/{device}", decode: [{senml: {}}]}
  - {via: mqtt, topic: "signed/{device}", decode: [{struct: {fields: [n: i64]}}]}
  - {via: mqtt, topic: "unsigned/{device}", decode: [{struct: {fields: [n: u64]}}]}
  - {via: mqtt, topic: "tlv/{device}", decode: [{tlv: {cases: {"01": [n: u64], "02": [n: i64]}}}]}
  - {via: mqtt, topic: "csv/{device}", decode: [{csv: {columns: [n: int]}}]}
  - {via: mqtt, topic: "text/{device}", decode: [{text: {pairs: {}, types: {n: int}}}]}
  - {via: chirpstack-v4}
decode: [{json: {}}]
measurements:
  n: {type: int, unit: "1"}
  twice: {expr: d.n + 0, type: int, unit: "1"}
store: {measurement: counters}
egress: {class: operational, default: raw}
tests:
  - {name: a, recv: {topic: json/a, payload: {n: 1}}, expect: {points: [{n: 1, twice: 1}]}}
  - {name: b, recv: {topic: json/a, payload: {n: 2}}, expect: {points: [{n: 2, twice: 2}]}}
  - {name: c, recv: {topic: json/a, payload: "{"}, expect: {reject: not_json}}
"""
EXPR = Catalogue([load_profile(TEXT, "counter.yaml")])
PLAIN = Catalogue(
    [load_profile(TEXT.replace('  twice: {expr: d.n + 0, type: int, unit: "1"}\n', "").replace(", twice: 1", "").replace(", twice: 2", ""), "counter.yaml")]
)  # fmt: skip
SERVER = "application/x/device/00ff/event/up"


def _server(n):
    info = {"devEui": "00FF"}
    return json.dumps({"deviceInfo": info, "object": {"n": n}}).encode()


FORMS = {
    "json/a": lambda n: json.dumps({"n": n}).encode(),
    "cbor/a": lambda n: cbor2.dumps({"n": n}),
    "senml/a": lambda n: json.dumps([{"bn": "a:", "n": "n", "v": n}]).encode(),
    "csv/a": lambda n: str(n).encode(),
    "text/a": lambda n: f"n={n}".encode(),
    SERVER: _server,
}
SIGNED = {
    "signed/a": lambda n: struct.pack(">q", n),
    "tlv/a": lambda n: b"\x02" + struct.pack(">q", n),
}
UNSIGNED = {
    "unsigned/a": lambda n: struct.pack(">Q", n),
    "tlv/a": lambda n: b"\x01" + struct.pack(">Q", n),
}
edges = st.sampled_from([2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), -(2**53) - 1, 0])
whole = st.one_of(edges, st.integers(-(2**63), 2**63 - 1))


def points(catalogue, topic, payload):
    (route,) = catalogue.mqtt(topic)
    decoded = route.decode(payload, 1_700_000_000_000_000_000)
    return decoded, decoded.readings


@given(form=st.sampled_from(sorted(FORMS.items() | SIGNED.items(), key=str)), n=whole)
@settings(max_examples=800)
def test_every_integer_of_64_bits_comes_through_exactly(form, n):
    topic, make = form
    for catalogue in (PLAIN, EXPR):
        if catalogue is EXPR and topic.startswith("senml"):
            continue
        _, (point,) = points(catalogue, topic, make(n))
        assert set(point.fields.values()) == {n}
        reading = Reading("e1", "a", "acme/counter", "counters", 1, 1, point.fields)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(reading), type=Reading) == reading
        sent = decode_upload(encode_upload(Upload("e1", "x", 1, 1, [1], [reading])))
        line = encode_point(Point("counters", {"device": "a"}, sent.records[0].fields, 1))
        assert f"n={n}i" in line
        assert parse_line(line).fields == point.fields


@given(
    form=st.sampled_from(sorted(FORMS.items(), key=str)),
    n=st.one_of(
        st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**39]),
        st.integers(2**63, 2**200),
        st.integers(-(2**200), -(2**63) - 1),
    ),
)
@settings(max_examples=400)
def test_what_64_bits_do_not_hold_is_flagged_or_refused(form, n):
    topic, make = form
    if topic in ("csv/a", "text/a") and len(str(abs(n))) > 40:
        return  # more digits than a cell that is a number may have: it stays text
    if topic == "senml/a" and not -(2**63) <= n < 2**64:
        with pytest.raises(PayloadError, match="not_senml"):
            points(PLAIN, topic, make(n))
        return
    decoded, found = points(PLAIN, topic, make(n))
    assert (found, decoded.flags) == ([], ("n:range",))


@given(form=st.sampled_from(sorted(UNSIGNED.items(), key=str)), n=st.integers(2**63, 2**64 - 1))
def test_an_unsigned_integer_beyond_a_signed_one_is_flagged(form, n):
    topic, make = form
    decoded, found = points(PLAIN, topic, make(n))
    assert (found, decoded.flags) == ([], ("n:range",))


@pytest.mark.parametrize("text", [b"9007199254740993.0", b"1e18", b"-9007199254740994.0"])
def test_a_floating_point_number_that_may_have_been_rounded_is_no_integer(text):
    decoded, found = points(PLAIN, "json/a", b'{"n": %s}' % text)
    assert (found, decoded.flags) == ([], ("n:range",))
    _, (point,) = points(PLAIN, "json/a", b'{"n": 9007199254740991.0}')
    assert point.fields == {"n": 9007199254740991}
