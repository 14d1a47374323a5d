"""Several elements of `match` on one topic: the first whose `where` holds reads the message."""

import pytest

from device_profiles.catalogue import Catalogue
from device_profiles.library import decode_once
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError

TEXT = """\
format: 1
id: acme/mixed
version: 1.0.0
vendor: Acme
model: Mixed
match:
  - {via: mqtt, topic: "acme/{device}/state", where: 'd.kind == "climate"'}
  - {via: mqtt, topic: "acme/{device}/state", where: 'd.kind == "power" || has(d.load)', decode: [{json: {}}]}
  - {via: mqtt, topic: "acme/{device}/state", role: availability, where: 'd.state in ["online", "offline"]'}
  - via: mqtt
    topic: "acme/{device}/raw"
    decode: [{tlv: {key: [u8], cases: {"01": [temperature: i16], "02": [load: u16]}}}]
  - via: mqtt
    topic: "acme/{device}/port"
    where: size == 2
    decode: [{struct: {fields: [temperature: i16]}}]
  - via: mqtt
    topic: "acme/{device}/port"
    decode: [{struct: {fields: [temperature: i16, load: u16]}}]
decode: [{json: {}}]
measurements:
  temperature: {type: int, unit: Cel, range: [-40, 85]}
  load: {type: int, unit: W}
store: {measurement: env}
egress: {class: operational, default: raw}
tests:
  - {name: one, recv: {topic: acme/a/state, payload: {kind: climate, temperature: 1}}, expect: {points: [{temperature: 1}]}}
  - {name: two, recv: {topic: acme/a/raw, hex: "01 00 07 02 00 09"}, expect: {points: [{temperature: 7, load: 9}]}}
  - {name: three, recv: {topic: acme/a/state, payload: {kind: other}}, expect: {reject: not_applicable}}
"""


def profile(old="", new=""):
    return load_profile(TEXT.replace(old, new, 1) if old else TEXT, "mixed.yaml")


def decoded(topic, payload, one=None):
    (route,) = Catalogue([one or profile()]).mqtt(topic)
    return route.decode(payload, 1_700_000_000_000_000_000)


def code(topic, payload, one=None):
    with pytest.raises(PayloadError) as found:
        decoded(topic, payload, one)
    return found.value.code


def fields(topic, payload):
    return [point.fields for point in decoded(topic, payload).readings]


def test_each_message_is_read_by_the_first_element_whose_where_holds():
    assert fields("acme/a/state", b'{"kind": "climate", "temperature": 4}') == [{"temperature": 4}]
    assert fields("acme/a/state", b'{"kind": "power", "load": 5}') == [{"load": 5}]
    assert fields("acme/a/state", b'{"load": 6}') == [{"load": 6}]


def test_an_element_has_a_decoder_of_its_own():
    assert fields("acme/a/raw", bytes.fromhex("01 0007 02 0009")) == [{"temperature": 7, "load": 9}]


def test_presence_and_data_may_share_a_topic():
    found = decoded("acme/a/state", b'{"state": "offline"}')
    assert (found.device, found.readings, found.online) == ("a", [], False)


def test_where_sees_how_many_bytes_a_binary_message_has():
    assert fields("acme/a/port", bytes.fromhex("0007")) == [{"temperature": 7}]
    assert fields("acme/a/port", bytes.fromhex("0007 0009")) == [{"temperature": 7, "load": 9}]
    assert code("acme/a/port", b"123") == "truncated"


def test_a_message_for_none_of_them_is_not_applicable():
    assert code("acme/a/state", b'{"kind": "other"}') == "not_applicable"


def test_a_message_that_none_of_them_can_open_says_why():
    assert code("acme/a/state", b"{") == "not_json"


def test_where_decides_also_when_the_element_then_refuses():
    one = profile(
        """    where: size == 2
    decode: [{struct: {fields: [temperature: i16]}}]""",
        """    where: size >= 2
    decode: [{struct: {fields: [temperature: i16]}}]""",
    )
    assert code("acme/a/port", bytes.fromhex("0007 0009"), one) == "trailing_bytes"


def test_one_topic_of_one_profile_is_one_route_with_its_parts():
    (route,) = Catalogue([profile()]).mqtt("acme/a/state")
    assert [part.entry.where is not None for part in route.parts] == [True, True, True]
    assert route.device == "a"


def test_literal_topics_go_before_captures():
    one = profile('topic: "acme/{device}/raw"', 'topic: "acme/{device}/{kind}"')
    assert code("acme/a/state", b'{"kind": "other"}', one) == "unknown_tag"
    assert decoded("acme/a/state", b"\x01\x00\x05", one).readings[0].fields == {"temperature": 5}


def test_a_mistake_in_the_decoder_of_an_element_names_its_place():
    with pytest.raises(ConfigError) as found:
        profile('cases: {"01": [temperature: i16]', 'cases: {"01": [temperature: i17]')
    assert str(found.value.faults[0]).startswith("mixed.yaml:12:")
    assert "match.3.decode.0.tlv.cases.01.0.temperature" in str(found.value.faults[0])


def test_decoding_once_shows_the_same():
    found = decode_once(profile(), b'{"kind": "power", "load": 5}', topic="acme/a/state")
    assert [point["fields"] for point in found.points] == [{"load": 5}]


def test_a_list_is_refused_where_nothing_reads_its_items():
    one = profile("where: 'd.kind == \"climate\"'", "where: 'true'")
    assert code("acme/a/state", b"[1, 2]", one) == "not_json"
    listed = profile("load: {type: int, unit: W}", 'load: {from: "items[1]", type: int, unit: W}')
    assert decoded("acme/a/raw", b"\x01\x00\x05", listed).readings[0].fields == {"temperature": 5}
    plain = load_profile(
        TEXT.replace("load: {type", 'load: {from: "items[1]", type').replace(
            "where: 'd.kind == \"climate\"'", "where: 'd.items[0] == 1'"
        ),
        "mixed.yaml",
    )
    assert decoded("acme/a/state", b"[1, 2]", plain).readings[0].fields == {"load": 2}


CARRIED = TEXT.replace(
    """  - via: mqtt
    topic: "acme/{device}/raw"
    decode: [{tlv""",
    """  - via: mqtt
    topic: "acme/{device}/raw"
    where: 'd.port == 2'
    decode: [{json: {payload: body.data, encoding: hex}}, {tlv""",
).replace('recv: {topic: acme/a/raw, hex: "01 00 07 02 00 09"}', 'recv: {topic: acme/a/raw, payload: {port: 2, body: {data: "010007020009"}}}')  # fmt: skip


def test_where_sees_the_object_around_carried_bytes():
    one = load_profile(CARRIED, "carried.yaml")
    good = b'{"port": 2, "body": {"data": "010007"}}'
    assert decoded("acme/a/raw", good, one).readings[0].fields == {"temperature": 7}
    assert code("acme/a/raw", good.replace(b"2", b"3", 1), one) == "not_applicable"


def test_where_sees_the_servers_own_decoding_beside_the_bytes():
    text = TEXT.replace(
        '- {via: mqtt, topic: "acme/{device}/state", where: \'d.kind == "climate"\'}',
        '- {via: chirpstack-v4, where: \'d.kind == "a" && c.device_profile == "M" && fport == 2\','
        ' decode: [{tlv: {cases: {"01": [temperature: i16]}}}]}',
    ).replace("acme/a/state, payload: {kind: climate, temperature: 1}", "acme/a/raw, hex: '010001'")
    one = load_profile(text, "lorawan.yaml")
    payload = (
        b'{"deviceInfo": {"devEui": "00FF", "deviceProfileName": "M"}, "fPort": 2,'
        b' "data": "AQAH", "object": {"kind": "a"}}'
    )
    topic = "application/x/device/00ff/event/up"
    assert decoded(topic, payload, one).readings[0].fields == {"temperature": 7}
    assert code(topic, payload.replace(b'"fPort": 2', b'"fPort": 3'), one) == "not_applicable"
