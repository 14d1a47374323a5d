"""Every function of the codec API can be called: downlinks both ways, and the common vocabulary."""

from __future__ import annotations

import pytest

from device_profiles.js.downlink import Downlink, read_downlink
from device_profiles.js.runtime import Runtime
from device_profiles.js.source import Source
from device_profiles.js.step import JsCodec
from gateway_core.errors import PayloadError
from tests.fakes.codecs_in_js import CONTEXT, PAYLOAD, codec

WHOLE = """
function decodeUplink(i) { return {data: {t: i.bytes[0] / 10, at: i.recvTime && i.recvTime.toJSON()}, warnings: []}; }
function normalizeUplink(i) { return {data: {air: {temperature: i.data.t}}}; }
function encodeDownlink(i) { return {bytes: [255, i.data.minutes], fPort: 85, warnings: ['w']}; }
function decodeDownlink(i) { return {data: {minutes: i.bytes[1], port: i.fPort}}; }
"""


def test_each_function_takes_and_gives_what_the_standard_says(runtime: Runtime) -> None:
    one = codec(runtime, WHOLE)
    moment = "2021-02-03T04:05:06.789Z"
    assert one.call("decodeUplink", {"bytes": [215], "fPort": 1, "recvTime": moment}) == {
        "data": {"t": 21.5, "at": moment}, "warnings": [],
    }  # fmt: skip
    assert one.call("normalizeUplink", {"data": {"t": 3}}) == {"data": {"air": {"temperature": 3}}}
    assert one.call("encodeDownlink", {"data": {"minutes": 10}}) == {
        "bytes": [255, 10], "fPort": 85, "warnings": ["w"],
    }  # fmt: skip
    assert one.call("decodeDownlink", {"bytes": [255, 10], "fPort": 85}) == {
        "data": {"minutes": 10, "port": 85}
    }
    assert one.functions() == (
        "decodeUplink", "encodeDownlink", "decodeDownlink", "normalizeUplink",
    )  # fmt: skip


OLDER = [
    "function Encode(fPort, obj, variables) { return [obj.minutes, fPort, variables.k]; }",
    "function Encoder(obj, port) { return [obj.minutes, port, 3]; }",
    "function Encoder(obj, port) { return Buffer.from([obj.minutes, port, 3]); }",
    "function protocolToRawData(json) { return [json.minutes, 2, 3]; }",
    "function tyLinkToRawData(data) { return new Uint8Array([data.minutes, 2, 3]); }",
    "function encodeDownlink(i) { return {bytes: Uint8Array.of(i.data.minutes, i.fPort, 3), fPort: i.fPort}; }",
]


@pytest.mark.parametrize("text", OLDER)
def test_a_command_is_encoded_by_whichever_form_the_codec_has(runtime: Runtime, text: str) -> None:
    source = Source(f"digest of {text}", text, variables='{"k": 3}')
    one = JsCodec(source, lambda: runtime)
    assert one.encode({"minutes": 200}, fport=2) == Downlink(bytes([200, 2, 3]), 2)


def test_tuya_and_alibaba_scripts_decode(runtime: Runtime) -> None:
    tuya = codec(
        runtime,
        "function rawDataToTyLink(b) { return {msgType: 'thing.property.report', payload: {data: {t: {value: b[0]}}}}; }",
    )
    assert tuya(b"\xc8", CONTEXT)["payload"] == {"data": {"t": {"value": 200}}}
    alibaba = codec(runtime, "function rawDataToProtocol(b) { return {params: {t: b[0]}}; }")
    assert alibaba(b"\xc8", CONTEXT) == {"params": {"t": -56}}


def test_normalized_values_stand_beside_the_decoded_ones(runtime: Runtime) -> None:
    source = Source(f"digest of {WHOLE}", WHOLE)
    found = JsCodec(source, lambda: runtime, normalize=True)(PAYLOAD, CONTEXT)
    assert found["t"] == 0.1
    assert found["normalized"] == [{"air": {"temperature": 0.1}}]


def test_a_function_that_is_not_there_is_named(runtime: Runtime) -> None:
    one = codec(runtime, "function encodeDownlink() { return {bytes: []}; }")
    with pytest.raises(PayloadError, match="codec_broken: has no function decodeDownlink"):
        one.call("decodeDownlink", {"bytes": []})
    assert one.trouble() == (
        "has no function decodeUplink, Decode, Decoder, rawDataToProtocol or rawDataToTyLink"
    )


WRONG = [
    (None, "codec_output: the codec made no object of the command"),
    ({"errors": ["minutes: 1 to 60"]}, "codec_error: minutes: 1 to 60"),
    ({"bytes": "ff", "fPort": 1}, "codec_output: the codec made no list of bytes"),
    ({"bytes": [256], "fPort": 1}, "codec_output: the codec made no list of bytes"),
    ({"bytes": [1.5], "fPort": 1}, "codec_output: the codec made no list of bytes"),
    ({"bytes": [1] * 243, "fPort": 1}, "codec_output: 243 bytes, a downlink has at most 242"),
    ({"bytes": [1], "fPort": 0}, "codec_output: fPort 0 is not one of 1 to 223"),
    ({"bytes": [1]}, "codec_output: the codec names no fPort: give one as 'fport'"),
]


@pytest.mark.parametrize(("found", "message"), WRONG)
def test_a_downlink_that_no_device_would_get_is_refused(found: object, message: str) -> None:
    with pytest.raises(PayloadError) as refused:
        read_downlink(found)
    assert str(refused.value).startswith(message)


def test_signed_bytes_of_alibabas_scripts_are_bytes(runtime: Runtime) -> None:
    assert read_downlink({"bytes": [-1, 127]}, 2) == Downlink(b"\xff\x7f", 2)
