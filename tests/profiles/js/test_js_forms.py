"""A vendor's codec runs as it is, whichever of the known forms it has, and gives what it says."""

from __future__ import annotations

import math

import pytest

from device_profiles.codecs import Context
from device_profiles.js.runtime import Runtime
from gateway_core.errors import PayloadError
from tests.fakes.codecs_in_js import CONTEXT, PAYLOAD, codec, decoded

FORMS = [
    "function decodeUplink(input) { return {data: {battery: input.bytes[2], port: input.fPort}}; }",
    "const decodeUplink = ({bytes, fPort}) => ({data: {battery: bytes[2], port: fPort}});",
    "let decodeUplink = function (i) { return {data: {battery: i.bytes[2], port: i.fPort}}; };",
    "var x = 010; decodeUplink = function (i) { return {data: {battery: i.bytes[2], port: i.fPort}}; };",
    "export function decodeUplink(i) { return {data: {battery: i.bytes[2], port: i.fPort}}; } // end",
    "function Decode(fPort, bytes, variables) { return {battery: bytes[2], port: fPort}; }",
    "function Decode(fPort, bytes) { return {battery: bytes[2], port: fPort}; }",
    "function Decoder(bytes, port) { return {battery: bytes[2], port: port}; }",
    """
    function Decoder(bytes, port) { return {wrong: 1}; }
    function Decode(port, bytes) { return {wrong: 2}; }
    function decodeUplink(i) { return {data: {battery: i.bytes[2], port: i.fPort}}; }
    """,
]


@pytest.mark.parametrize("text", FORMS)
def test_each_form_of_entry_point_is_called_as_its_network_server_calls_it(
    runtime: Runtime, text: str
) -> None:
    assert decoded(runtime, text) == {"battery": 92, "port": 85}


def test_the_form_of_alibaba_gets_signed_bytes(runtime: Runtime) -> None:
    text = "function rawDataToProtocol(b) { return {params: {a: b[0], b: b[1], c: b[1] & 0xff}}; }"
    assert decoded(runtime, text, b"\x7f\xfe") == {"params": {"a": 127, "b": -2, "c": 254}}


def test_the_time_of_receipt_is_a_date_and_the_networks_own_where_it_says_one(
    runtime: Runtime,
) -> None:
    told = codec(
        runtime,
        "function decodeUplink(i) { return {data: {time: i.recvTime.toISOString(),"
        " real: i.recvTime instanceof Date, zone: i.recvTime.getTimezoneOffset()}}; }",
    )
    assert told(PAYLOAD, CONTEXT) == {"time": "2025-04-08T09:15:18.000Z", "real": True, "zone": 0}
    network = Context({"time": "2025-04-08T17:15:19.25+08:00"}, CONTEXT.received)
    assert told(PAYLOAD, network)["time"] == "2025-04-08T09:15:19.250Z"


def test_what_is_not_known_is_not_in_the_input(runtime: Runtime) -> None:
    keys = codec(
        runtime, "function decodeUplink(i) { return {data: {keys: Object.keys(i).join()}}; }"
    )
    assert keys(b"", Context()) == {"keys": "bytes"}
    assert keys(b"", Context({"time": "yesterday"})) == {"keys": "bytes"}


def test_a_codec_may_look_for_variables_where_the_profile_has_none(runtime: Runtime) -> None:
    text = """function decodeUplink(i) {
      return {data: {offset: i.variables.offset || 0, copy: i, b: i.bytes.length}};
    }"""
    assert decoded(runtime, text, b"\x05") == {
        "offset": 0, "copy": {"bytes": [5], "fPort": 85, "recvTime": "2025-04-08T09:15:18.000Z"}, "b": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "async function decodeUplink(i) { return {data: {v: 1}}; }",
        "function decodeUplink(i) { return {data: Promise.resolve({v: 1})}; }",
        "async function Decode(port, bytes) { return {v: 1}; }",
    ],
)
def test_a_codec_that_answers_later_is_told_to_answer_at_once(runtime: Runtime, text: str) -> None:
    with pytest.raises(PayloadError, match="its function must not be async") as refused:
        codec(runtime, text)(PAYLOAD, CONTEXT)
    assert refused.value.code == "codec_threw"


def test_variables_of_the_profile_reach_the_codec(runtime: Runtime) -> None:
    text = "function Decode(port, bytes, v) { v.offset += 1; return {offset: v.offset}; }"
    one = codec(runtime, text, variables='{"offset": 2}')
    assert [one(PAYLOAD, CONTEXT), one(PAYLOAD, CONTEXT)] == [{"offset": 3}, {"offset": 3}]


def test_bytes_are_a_plain_list(runtime: Runtime) -> None:
    text = "function Decoder(b) { return {list: Array.isArray(b), rest: b.slice(8).concat([1])}; }"
    assert decoded(runtime, text) == {"list": True, "rest": [104, 101, 1]}


def test_the_console_is_there_and_silent(runtime: Runtime) -> None:
    text = """function Decoder(b) {
      console.log(b); console.info(b); console.warn(b); console.error(b); console.debug(b);
      return {n: b.length};
    }"""
    assert decoded(runtime, text) == {"n": 10}


def test_absent_is_absent_and_numbers_are_what_the_engine_has(runtime: Runtime) -> None:
    text = """function decodeUplink() { return {data: {
      gone: undefined, none: null, zero: -0, whole: 30.0, part: 30.8, last: 0.1 + 0.2,
      edge: 9007199254740992, more: 9007199254740994, huge: 1e22, list: [1, null, undefined],
      big: 9007199254740993n, text: "\\ud83c\\udf21 \\u0000", cut: "\\ud83c", yes: true,
    }}; }"""
    found = decoded(runtime, text)
    assert found == {
        "zero": 0,
        "whole": 30,
        "part": 30.8,
        "last": 0.30000000000000004,
        "edge": 9007199254740992,
        "more": 9007199254740994.0,
        "huge": 1e22,
        "list": [1, None, None],
        "big": 9007199254740993,
        "text": "\U0001f321 \0",
        "cut": "\ufffd",
        "yes": True,
    }
    assert {name: type(found[name]) for name in ("zero", "whole", "edge", "more", "huge", "big")} == {
        "zero": int, "whole": int, "edge": int, "more": float, "huge": float, "big": int
    }  # fmt: skip


def test_what_is_no_number_arrives_as_such_so_that_it_can_be_flagged(runtime: Runtime) -> None:
    text = "function Decoder() { return {a: 0 / 0, b: 1 / 0, c: {d: [-1 / 0]}, e: null}; }"
    found = decoded(runtime, text)
    assert math.isnan(found.pop("a"))
    assert found == {"b": math.inf, "c": {"d": [-math.inf]}}


REFUSED = [
    ("function decodeUplink() { return {errors: ['too short', 'x'], data: {}}; }", "codec_error", "too short"),
    ("function decodeUplink() { return {errors: 'too short'}; }", "codec_error", "too short"),
    ("function decodeUplink() { throw new Error('no\\nway'); }", "codec_threw", "Error: no"),
    ("function decodeUplink() { throw 5; }", "codec_threw", "5"),
    ("function decodeUplink(i) { return i.x.y; }", "codec_threw", "TypeError: cannot read property 'y' of undefined"),
    ("function decodeUplink() { return null; }", "not_applicable", "the codec returns nothing for this message"),
    ("function decodeUplink() {}", "not_applicable", "the codec returns nothing for this message"),
    ("function decodeUplink() { return {warnings: ['x']}; }", "not_applicable", "the codec returns no data for this message"),
    ("function Decoder() {}", "not_applicable", "the codec returns no data for this message"),
    ("function decodeUplink() { return 5; }", "codec_output", "the codec returned no object"),
    ("function Decoder() { return 'x'; }", "codec_output", "the codec's data is no object"),
    ("var decoder = 1;", "codec_broken", "has no function decodeUplink, Decode, Decoder, rawDataToProtocol or rawDataToTyLink"),
    ("function decodeUplink( {", "codec_broken", "SyntaxError"),
    ("throw new Error('not here');", "codec_broken", "Error: not here"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "reason"), REFUSED)
def test_a_codec_that_does_not_answer_is_quoted(
    runtime: Runtime, text: str, code: str, reason: str
) -> None:
    with pytest.raises(PayloadError) as found:
        codec(runtime, text)(PAYLOAD, CONTEXT)
    assert found.value.code == code
    assert found.value.detail.startswith(reason)


def test_nothing_found_by_a_codec_without_errors_is_a_message_without_values(
    runtime: Runtime,
) -> None:
    assert decoded(runtime, "function decodeUplink() { return {data: {}, errors: []}; }") == {}


def test_a_list_is_reached_as_items(runtime: Runtime) -> None:
    assert decoded(runtime, "function Decoder() { return [{a: 1}]; }") == {"items": [{"a": 1}]}


def test_a_codec_may_call_itself_for_each_byte_of_the_longest_message(runtime: Runtime) -> None:
    text = """function read(bytes, at) {
      return at === bytes.length ? [] : [bytes[at]].map((b) => [b].concat(read(bytes, at + 1)))[0];
    }
    function deep(n) { return n === 0 ? 0 : 1 + deep(n - 1); }
    function Decoder(bytes) { return {read: read(bytes, 0).length, deep: deep(1000)}; }"""
    assert decoded(runtime, text, bytes(242)) == {"read": 242, "deep": 1000}


def test_chance_is_the_same_for_the_same_message(runtime: Runtime) -> None:
    one = codec(runtime, "function Decoder() { return {n: Math.random(), m: Math.random()}; }")
    first = one(PAYLOAD, CONTEXT)
    assert 0 <= first["n"] < 1
    assert first["n"] != first["m"]
    assert one(PAYLOAD, CONTEXT) == first


def test_a_codec_sees_only_bytes(runtime: Runtime) -> None:
    with pytest.raises(PayloadError, match="not_bytes"):
        codec(runtime, FORMS[0])({"already": "decoded"}, CONTEXT)
