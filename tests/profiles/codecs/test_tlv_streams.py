"""The promise: a stream of keyed values is read to its last byte or refused with the reason."""

from __future__ import annotations

import pytest

from device_profiles.codecs import Context, compile_decode
from gateway_core.errors import PayloadError

CHANNELS = {
    "key": ["u8", "u8"],
    "order": "little",
    "cases": {
        "01 75": [{"battery": "u8"}],
        "03 67": [{"temperature": "i16"}],
        "20 ce": {
            "list": "history",
            "fields": [{"timestamp": "u32"}, {"temperature": "i16"}, {"humidity": "u8"}, "skip1"],
        },
    },
}
TAGGED = {
    "key": ["u8"],
    "len": "u8",
    "unknown": "skip",
    "cases": {"01": [{"mileage": "u32"}], "30": [{"csq": "u8"}]},
}


def decode(spec: dict[str, object], data: str) -> object:
    return compile_decode([{"tlv": spec}])(bytes.fromhex(data), Context())


def refusal(spec: dict[str, object], data: str) -> str:
    with pytest.raises(PayloadError) as caught:
        decode(spec, data)
    return caught.value.code


def test_the_channel_and_type_say_how_long_the_value_is() -> None:
    assert decode(CHANNELS, "01755c 03673401") == {"battery": 92, "temperature": 308}


def test_stored_samples_become_a_list_in_the_order_sent() -> None:
    assert decode(CHANNELS, "03673401 20ce9e74466310015d00 20cef674466311015d00") == {
        "temperature": 308,
        "history": [
            {"timestamp": 1665561758, "temperature": 272, "humidity": 93},
            {"timestamp": 1665561846, "temperature": 273, "humidity": 93},
        ],
    }


def test_a_time_after_2038_stays_positive() -> None:
    assert decode(CHANNELS, "20ce ffffffff 1001 5d 00")["history"][0]["timestamp"] == 4294967295


def test_an_unknown_key_without_a_length_refuses_the_message() -> None:
    assert refusal(CHANNELS, "01755c 9900") == "unknown_tag"


def test_a_stream_cut_anywhere_is_truncated() -> None:
    whole = "01755c03673401"
    assert [refusal(CHANNELS, whole[: 2 * n]) for n in (1, 2, 4, 5, 6)] == ["truncated"] * 5
    assert decode(CHANNELS, whole[:6]) == {"battery": 92}
    assert decode(CHANNELS, "") == {}


def test_values_with_a_length_are_skipped_when_nobody_knows_them() -> None:
    assert decode(TAGGED, "0104000179a7 e1020102 30011a") == {"mileage": 96679, "csq": 26}
    assert refusal({**TAGGED, "unknown": "error"}, "0104000179a7 e1020102") == "unknown_tag"


def test_a_length_that_does_not_fit_its_value_is_refused() -> None:
    assert refusal(TAGGED, "01050001 79a700") == "bad_length"
    assert decode({**TAGGED, "rest": "ignore"}, "0105000179a700 300107") == {
        "mileage": 96679,
        "csq": 7,
    }
    assert refusal(TAGGED, "0103000179") == "truncated"
    assert refusal(TAGGED, "01040001") == "truncated"
    assert refusal(TAGGED, "01") == "truncated"


def test_a_stream_inside_a_layout_adds_its_values_to_the_layout() -> None:
    spec = {"fields": [{"id": "u8"}, {"ext": {"tlv": TAGGED}}]}
    assert compile_decode([{"struct": spec}])(bytes.fromhex("0730011a"), Context()) == {
        "id": 7,
        "csq": 26,
    }


def test_wide_keys_and_lengths_in_either_order() -> None:
    spec = {"key": ["u16"], "len": "u16le", "cases": {"0102": [{"a": "u16"}]}}
    assert decode(spec, "0102 0200 000a") == {"a": 10}


def test_cayenne_low_power_payload() -> None:
    lpp = compile_decode([{"cayenne-lpp": {}}])
    # the examples of the myDevices documentation: two temperatures; an accelerometer; a position
    assert lpp(bytes.fromhex("03670110056700ff"), Context()) == {
        "temperature_3": 27.2,
        "temperature_5": 25.5,
    }
    assert lpp(bytes.fromhex("067104d2fb2e0000"), Context()) == {
        "accelerometer_6": {"x": 1.234, "y": -1.234, "z": 0.0}
    }
    assert lpp(bytes.fromhex("018806765ff2960a0003e8"), Context()) == {
        "gps_1": {"lat": 42.3519, "lon": -87.9094, "alt": 10.0}
    }
    assert lpp(bytes.fromhex("0768 5a"), Context()) == {"humidity_7": 45.0}
    for data, code in (("0367", "truncated"), ("03", "truncated"), ("03fe00", "unknown_tag")):
        with pytest.raises(PayloadError, match=code):
            lpp(bytes.fromhex(data), Context())
