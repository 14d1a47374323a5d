"""The promise: JSON, CBOR and network servers' envelopes are read strictly and within bounds."""

from __future__ import annotations

import base64
import json

import cbor2
import pytest

from device_profiles.codecs import Context, compile_decode, parse_cbor, parse_json, unwrap
from device_profiles.codecs.cbor import MAX_BYTES, MAX_DEPTH
from gateway_core.errors import PayloadError


def refusal(function, *args: object) -> str:
    with pytest.raises(PayloadError) as caught:
        function(*args)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b'"\\ud800"',
        b"[" * 100_000,
        b"1e400",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"{'a': 1}",
        b"[1,]",
    ],
)
def test_text_that_is_not_json_is_refused(text: bytes) -> None:
    assert refusal(parse_json, text) == "not_json"


@pytest.mark.parametrize(
    ("raw", "value"),
    # RFC 8949, appendix A
    [
        ("00", 0),
        ("1b000000e8d4a51000", 1000000000000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("c249010000000000000000", 18446744073709551616),
        ("3bffffffffffffffff", -18446744073709551616),
        ("20", -1),
        ("f93c00", 1.0),
        ("fb3ff199999999999a", 1.1),
        ("fa47c35000", 100000.0),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f7", None),
        ("c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"),
        ("c11a514b67b0", 1363896240),
        ("c1fb41d452d9ec200000", 1363896240.5),
        ("4401020304", "01020304"),
        ("6449455446", "IETF"),
        ("62c3bc", "\u00fc"),
        ("83010203", [1, 2, 3]),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {"1": 2, "3": 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", "0102030405"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9fff", []),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("d9d9f7a1616101", {"a": 1}),
        ("c48221196ab3", 273.15),
        ("c5822003", 1.5),
    ],
)
def test_cbor_becomes_plain_values(raw: str, value: object) -> None:
    found = parse_cbor(bytes.fromhex(raw))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "81",
        "a161",
        "5b7fffffffffffffff00",
        "9bffffffffffffffff00",
        "bb7fffffffffffffff",
        "ff",
        "1c",
        "61ff",
        "9f01",
        "f818",
        "e0",
    ],
)
def test_cbor_that_is_cut_or_malformed_is_refused(raw: str) -> None:
    assert refusal(parse_cbor, bytes.fromhex(raw)) == "not_cbor"


@pytest.mark.parametrize(
    "raw",
    # shared references, patterns, MIME, sets, rationals, UUIDs, addresses, string references,
    # an unknown tag, fractions no double can hold, a fraction of a float, a time that is a list
    [
        "d81c81d81d00",
        "d82363282e2a",
        "d82460",
        "d9010281818101",
        "d81e820103",
        "d8255000000000000000000000000000000000",
        "d8344401020304",
        "d9010082616161d81900",
        "d9ffff00",
        "c4821a7fffffff01",
        "c5821a7fffffff01",
        "c482f93c0001",
        "c180",
        "a1a0f6",
    ],
)
def test_tags_that_make_objects_and_keys_that_are_no_text_are_refused(raw: str) -> None:
    assert refusal(parse_cbor, bytes.fromhex(raw)) == "not_cbor"


def test_cbor_is_bounded_in_depth_and_size_and_ends_where_its_value_ends() -> None:
    assert refusal(parse_cbor, b"\x81" * (MAX_DEPTH + 1) + b"\0") == "not_cbor"
    assert (
        refusal(parse_cbor, b"\x5a" + MAX_BYTES.to_bytes(4, "big") + bytes(MAX_BYTES)) == "not_cbor"
    )
    assert refusal(parse_cbor, b"\x01\x02") == "trailing_bytes"


@pytest.mark.parametrize("bits", [64, 1024, 14_280])
def test_an_integer_of_up_to_4299_digits_is_whole_to_the_last_of_them(bits: int) -> None:
    for number in (2**bits - 1, -(2**bits)):
        assert parse_cbor(cbor2.dumps([number])) == parse_json(f"[{number}]".encode()) == [number]
        assert parse_cbor(cbor2.dumps({number: 1})) == {str(number): 1}
    assert parse_cbor(bytes.fromhex("c2 43 00 00 07")) == 7


def test_an_integer_that_nobody_could_write_as_text_is_refused() -> None:
    for number in (2**14_280, -(2**14_280) - 1):
        for value in (number, [number], {number: 1}, {"n": {"n": number}}):
            assert refusal(parse_cbor, cbor2.dumps(value)) == "not_cbor"
    assert refusal(parse_json, b"1" * 4301) == "not_json"
    assert refusal(parse_cbor, bytes.fromhex("c2 01")) == "not_cbor"


def test_one_step_reads_json_and_cbor_by_content_format() -> None:
    decoder = compile_decode([{"json": {}}])
    assert decoder(b'{"a": 1}', Context()) == {"a": 1}
    assert decoder(b"\xa1aa\x01", Context(content_format=60)) == {"a": 1}
    assert decoder({"a": 1}, Context()) == {"a": 1}
    assert decoder(b"[1]", Context()) == {"items": [1]}
    assert refusal(decoder, b"1", Context()) == "not_json"
    cbor = compile_decode([{"cbor": {}}])
    assert cbor(b"\xa1aa\x01", Context()) == {"a": 1}
    assert refusal(cbor, b"\x01", Context()) == "not_cbor"


CHIRPSTACK = {
    "deduplicationId": "x",
    "time": "2025-04-08T09:15:18.5Z",
    "deviceInfo": {"applicationId": "a1", "deviceName": "cellar", "devEui": "24E124136C191967"},
    "fPort": 85,
    "data": "AXVc",
    "object": {"battery": 92},
}
TTN = {
    "end_device_ids": {
        "device_id": "em300",
        "application_ids": {"application_id": "app"},
        "dev_eui": "24E124136C191967",
    },
    "received_at": "2025-04-08T09:15:19Z",
    "uplink_message": {
        "f_port": 85,
        "frm_payload": "AXVc",
        "decoded_payload": {"battery": 92},
        "received_at": "2025-04-08T09:15:18Z",
    },
}


def test_chirpstack_gives_bytes_device_time_and_port() -> None:
    found = unwrap("chirpstack-v4", json.dumps(CHIRPSTACK).encode())
    assert (found.payload, found.device, found.time, found.fport) == (
        b"\x01\x75\x5c",
        "24e124136c191967",
        "2025-04-08T09:15:18.5Z",
        85,
    )
    assert found.captures == {
        "app": "a1",
        "device_name": "cellar",
        "deduplicationId": "x",
        "f_cnt": "0",
    }
    assert found.decoded == {"battery": 92}


def test_the_things_stack_gives_the_same() -> None:
    found = unwrap("ttn-v3", json.dumps(TTN).encode())
    assert (found.payload, found.device, found.time, found.fport) == (
        b"\x01\x75\x5c",
        "24e124136c191967",
        "2025-04-08T09:15:18Z",
        85,
    )
    assert found.captures == {"app": "app", "device_name": "em300", "f_cnt": "0"}


def test_without_bytes_the_servers_own_decoding_is_the_payload() -> None:
    assert unwrap("chirpstack-v4", json.dumps({**CHIRPSTACK, "data": None}).encode()).payload == {
        "battery": 92
    }
    up = {k: v for k, v in TTN["uplink_message"].items() if k not in ("frm_payload", "received_at")}
    found = unwrap("ttn-v3", json.dumps({**TTN, "uplink_message": up}).encode())
    assert found.payload == {"battery": 92}
    assert found.time == "2025-04-08T09:15:19Z"


def test_zigbee2mqtt_is_flat() -> None:
    message = {
        "temperature": 21,
        "last_seen": "2023-11-14T22:13:20Z",
        "device": {"ieeeAddr": "0x00158D0001", "friendlyName": "hall"},
    }
    found = unwrap("zigbee2mqtt", json.dumps(message).encode())
    assert (found.payload, found.device, found.time) == (
        message,
        "0x00158d0001",
        "2023-11-14T22:13:20Z",
    )
    assert found.captures == {"device_name": "hall"}
    assert unwrap("zigbee2mqtt", b'{"last_seen": 1700000000000}').time is None


BAD = [
    ("chirpstack-v4", {"hello": "world"}),
    ("chirpstack-v4", {**CHIRPSTACK, "deviceInfo": {}}),
    ("chirpstack-v4", {**CHIRPSTACK, "deviceInfo": {"devEui": 7}}),
    ("chirpstack-v4", {**CHIRPSTACK, "data": "A2f!"}),
    ("chirpstack-v4", {**CHIRPSTACK, "data": 7}),
    ("chirpstack-v4", {**CHIRPSTACK, "data": None, "object": None}),
    ("chirpstack-v4", {**CHIRPSTACK, "fPort": "85"}),
    ("chirpstack-v4", {**CHIRPSTACK, "fPort": 256}),
    ("ttn-v3", {}),
    ("ttn-v3", {**TTN, "uplink_message": 1}),
    ("ttn-v3", {**TTN, "uplink_message": {}}),
    ("zigbee2mqtt", [1]),
]


@pytest.mark.parametrize(("via", "message"), BAD)
def test_an_envelope_without_what_must_be_there_is_refused(via: str, message: object) -> None:
    assert refusal(unwrap, via, json.dumps(message).encode()) == "bad_envelope"


def test_an_envelope_that_is_not_json_is_refused() -> None:
    assert refusal(unwrap, "chirpstack-v4", b"\x00") == "not_json"


def test_an_empty_uplink_is_no_bytes_rather_than_no_envelope() -> None:
    assert (
        unwrap(
            "chirpstack-v4",
            json.dumps({**CHIRPSTACK, "data": base64.b64encode(b"").decode()}).encode(),
        ).payload
        == b""
    )
