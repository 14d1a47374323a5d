"""The promise: any bytes give a result or a `PayloadError`, never anything else, whatever the codec."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.codecs import Context, Packet, compile_decode, parse_cbor, parse_json, unwrap
from device_profiles.codecs.checksum import crc16_modbus, xor8
from gateway_core.errors import PayloadError

EVERYTHING = [
    {"a": "u8"}, {"b": "u24le"}, {"c": "bcd2"}, {"d": "sdec2"}, {"e": {"type": "u16", "bits": {"x": 0, "y": [1, 7, "signed"]}}},
    {"f": {"type": "f32cdab", "when": "a % 2 == 1"}}, {"n": {"type": "u8", "at": 3}},
    {"log": {"repeat": {"count": "n", "fields": [{"t": "u16"}, {"s": "ascii2"}], "order": "little"}}},
    {"ext": {"tlv": {"len": "u8", "unknown": "skip", "cases": {"01": [{"m": "u16"}], "02": {"list": "log", "fields": [{"z": "dec1"}]}}}}},
]  # fmt: skip
SPECS: dict[str, list[dict[str, Any]]] = {
    "struct": [{"struct": {"fields": EVERYTHING, "rest": "ignore"}}],
    "when": [
        {"struct": {"when": "byte0 / 2 == 1 || captures.a < fport", "fields": [{"a": "u64"}]}},
        {"struct": {"fields": [{"rest": "ascii"}]}},
    ],
    "tlv": [
        {
            "tlv": {
                "key": ["u8", "u8"],
                "cases": {
                    "00 00": [{"a": "i40"}],
                    "01 75": {"list": "a", "fields": [{"b": "f16"}]},
                },
            }
        }
    ],
    "modbus": [{"frame": "modbus-rtu"}, {"struct": {"fields": EVERYTHING}}],
    "jt808": [{"frame": "jt808"}, {"struct": {"when": "msg_id == 0x0200", "fields": EVERYTHING}}],
    "described": [
        {
            "frame": {
                "preamble": "fe",
                "start": "68",
                "header": [{"n": "u8"}],
                "length": "n",
                "checksum": "sum8",
                "subtract": 51,
            }
        },
        {"cayenne-lpp": {}},
    ],
    "lpp": [{"cayenne-lpp": {}}],
    "senml": [{"senml": {}}],
    "json": [{"json": {}}],
    "cbor": [{"cbor": {}}],
    "carried": [{"cbor": {"payload": "a", "encoding": "hex"}}, {"struct": {"fields": EVERYTHING}}],
}
DECODERS = {name: compile_decode(spec) for name, spec in SPECS.items()}
CONTEXTS = st.builds(
    Context,
    captures=st.dictionaries(st.sampled_from("ab"), st.text(max_size=3)),
    received=st.integers(0, 2**62),
    content_format=st.sampled_from([None, 50, 60, 110, 111, 112]),
    fport=st.none() | st.integers(0, 255),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.integers(-7, 9), inner, max_size=4)
    ),
    max_leaves=8,
)
LABELS = st.sampled_from(
    [
        "bn",
        "bt",
        "bu",
        "bv",
        "bs",
        "bver",
        "n",
        "u",
        "v",
        "vs",
        "vb",
        "vd",
        "s",
        "t",
        "ut",
        "x",
        "x_",
    ]
)
PACKS = st.lists(
    st.dictionaries(
        LABELS,
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats()
        | st.sampled_from(["", "a", "urn:dev:a:", "YQ"]),
        max_size=6,
    ),
    max_size=4,
)


def gives(decoder, payload: object, context: Context) -> None:
    found: object = {}
    with suppress(PayloadError):
        found = decoder(payload, context)
    assert type(found) is dict or (
        isinstance(found, list) and all(isinstance(p, Packet) for p in found)
    )


@pytest.mark.parametrize("name", list(SPECS))
@given(payload=st.binary(max_size=64), context=CONTEXTS)
@settings(max_examples=150)
def test_any_bytes_to_any_codec(name: str, payload: bytes, context: Context) -> None:
    gives(DECODERS[name], payload, context)


@given(inner=st.binary(max_size=48), context=CONTEXTS)
def test_any_bytes_inside_frames_that_fit(inner: bytes, context: Context) -> None:
    gives(DECODERS["modbus"], inner + crc16_modbus(inner).to_bytes(2, "little"), context)
    body = inner + bytes([xor8(inner)])
    gives(
        DECODERS["jt808"],
        b"\x7e" + body.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02") + b"\x7e",
        context,
    )
    raw = bytes([0x68, len(inner)]) + inner
    gives(DECODERS["described"], raw + bytes([sum(raw) & 0xFF]), context)


@pytest.mark.parametrize("name", ["senml", "json", "cbor", "carried"])
@given(value=VALUES, context=CONTEXTS)
def test_any_value_as_cbor(name: str, value: object, context: Context) -> None:
    gives(DECODERS[name], cbor2.dumps(value), context)


@given(pack=PACKS, context=CONTEXTS)
def test_any_records_as_senml(pack: list[dict[str, Any]], context: Context) -> None:
    gives(DECODERS["senml"], pack, context)
    gives(DECODERS["senml"], json.dumps(pack).encode(), context)


@given(payload=st.binary(max_size=64))
def test_any_bytes_to_the_parsers_and_envelopes(payload: bytes) -> None:
    for function in (
        parse_json,
        parse_cbor,
        *(lambda p, v=v: unwrap(v, p) for v in ("chirpstack-v4", "ttn-v3", "zigbee2mqtt")),
    ):
        with suppress(PayloadError):
            function(payload)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "deviceInfo",
                        "devEui",
                        "data",
                        "fPort",
                        "object",
                        "time",
                        "end_device_ids",
                        "uplink_message",
                        "dev_eui",
                        "f_port",
                        "frm_payload",
                        "device",
                        "last_seen",
                    ]
                ),
                x,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_to_the_envelopes(value: object) -> None:
    for via in ("chirpstack-v4", "ttn-v3", "zigbee2mqtt"):
        with suppress(PayloadError):
            assert unwrap(via, json.dumps(value).encode()).payload is not None
