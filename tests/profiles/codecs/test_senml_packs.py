"""The promise: SenML means what RFC 8428 says; its examples resolve to its resolved forms."""

from __future__ import annotations

import json

import cbor2
import pytest

from device_profiles.codecs import Context, compile_decode
from device_profiles.codecs.contract import Packet
from device_profiles.codecs.senml import resolve
from gateway_core.errors import PayloadError

NOW = 1_500_000_000_000_000_000
OW = "urn:dev:ow:10e2073a01080063"
SENML = compile_decode([{"senml": {}}])
SPLIT = compile_decode([{"senml": {}}], split=":")


def packets(pack: object, decoder=SENML) -> list[Packet]:
    return decoder(json.dumps(pack).encode(), Context(received=NOW, content_format=110))


def resolved(pack: object) -> list[tuple[object, ...]]:
    return [(r.name, r.unit, r.time_ns, r.value) for r in resolve(pack, NOW)]


def refusal(pack: object) -> str:
    with pytest.raises(PayloadError) as caught:
        packets(pack)
    return caught.value.code


# --- the examples of RFC 8428, section 5.1 ---------------------------------------------------


def test_5_1_1_a_single_value_now() -> None:
    assert resolved([{"n": OW, "u": "Cel", "v": 23.1}]) == [(OW, "Cel", None, 23.1)]
    assert packets([{"n": OW, "u": "Cel", "v": 23.1}]) == [
        Packet(None, None, {OW: 23.1}, {OW: "Cel"})
    ]


def test_5_1_2_two_values_of_one_device_now() -> None:
    pack = [
        {"bn": f"{OW}:", "n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "u": "A", "v": 1.2},
    ]
    assert resolved(pack) == [
        (f"{OW}:voltage", "V", None, 120.1),
        (f"{OW}:current", "A", None, 1.2),
    ]
    expected = [
        Packet(OW, None, {"voltage": 120.1, "current": 1.2}, {"voltage": "V", "current": "A"})
    ]
    assert packets(pack) == packets(pack, SPLIT) == expected


MULTI = [
    {
        "bn": "urn:dev:ow:10e2073a0108006:",
        "bt": 1.276020076001e9,
        "bu": "A",
        "bver": 5,
        "n": "voltage",
        "u": "V",
        "v": 120.1,
    },
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "t": -4, "v": 1.3},
    {"n": "current", "t": -3, "v": 1.4},
    {"n": "current", "t": -2, "v": 1.5},
    {"n": "current", "t": -1, "v": 1.6},
    {"n": "current", "v": 1.7},
]
MULTI_CBOR = "87a721781b75726e3a6465763a6f773a3130653230373361303130383030363a22fb41d303a15b00106223614120050067766f6c7461676501615602fb405e066666666666a3006763757272656e74062402fb3ff3333333333333a3006763757272656e74062302fb3ff4cccccccccccda3006763757272656e74062202fb3ff6666666666666a3006763757272656e74062102f93e00a3006763757272656e74062002fb3ff999999999999aa3006763757272656e74060002fb3ffb333333333333"


def test_5_1_2_currents_of_the_last_five_seconds() -> None:
    at = 1_276_020_076_001_000_000
    device = "urn:dev:ow:10e2073a0108006"
    expected = [
        *(
            Packet(device, at + t * 1_000_000_000, {"current": v}, {"current": "A"})
            for t, v in ((-5, 1.2), (-4, 1.3), (-3, 1.4), (-2, 1.5), (-1, 1.6))
        ),
        Packet(device, at, {"voltage": 120.1, "current": 1.7}, {"voltage": "V", "current": "A"}),
    ]
    assert packets(MULTI) == expected


def test_section_6_the_same_pack_as_cbor_says_the_same() -> None:
    raw = bytes.fromhex(MULTI_CBOR)
    assert SENML(raw, Context(received=NOW, content_format=112)) == packets(MULTI)
    assert SENML(raw, Context(received=NOW)) == packets(MULTI)


HUMIDITY = [
    {"bn": OW, "bt": 1.320067464e9, "bu": "%RH", "v": 20},
    {"u": "lon", "v": 24.30621},
    {"u": "lat", "v": 60.07965},
    {"t": 60, "v": 20.3},
    {"u": "lon", "t": 60, "v": 24.30622},
    {"u": "lat", "t": 60, "v": 60.07965},
    {"t": 120, "v": 20.7},
    {"u": "lon", "t": 120, "v": 24.30623},
    {"u": "lat", "t": 120, "v": 60.07966},
    {"u": "%EL", "t": 150, "v": 98},
    {"t": 180, "v": 21.2},
    {"u": "lon", "t": 180, "v": 24.30628},
    {"u": "lat", "t": 180, "v": 60.07967},
]


def test_5_1_3_and_5_1_4_many_values_and_their_resolved_form() -> None:
    s = 1_000_000_000
    assert resolved(HUMIDITY) == [
        (OW, "%RH", 1320067464 * s, 20),
        (OW, "lon", 1320067464 * s, 24.30621),
        (OW, "lat", 1320067464 * s, 60.07965),
        (OW, "%RH", 1320067524 * s, 20.3),
        (OW, "lon", 1320067524 * s, 24.30622),
        (OW, "lat", 1320067524 * s, 60.07965),
        (OW, "%RH", 1320067584 * s, 20.7),
        (OW, "lon", 1320067584 * s, 24.30623),
        (OW, "lat", 1320067584 * s, 60.07966),
        (OW, "%EL", 1320067614 * s, 98),
        (OW, "%RH", 1320067644 * s, 21.2),
        (OW, "lon", 1320067644 * s, 24.30628),
        (OW, "lat", 1320067644 * s, 60.07967),
    ]


def test_values_of_one_name_and_instant_are_all_kept() -> None:
    found = packets(HUMIDITY[:3])
    assert [(p.device, p.values, p.units) for p in found] == [
        (OW, {"value": 20}, {"value": "%RH"}),
        (OW, {"value": 24.30621}, {"value": "lon"}),
        (OW, {"value": 60.07965}, {"value": "lat"}),
    ]


def test_5_1_5_several_types_of_value() -> None:
    pack = [
        {"bn": f"{OW}:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
        {"n": "nfc-reader", "vd": "aGkgCg"},
    ]
    values = {"temp": 23.1, "label": "Machine Room", "open": False, "nfc-reader": "aGkgCg"}
    assert packets(pack) == [Packet(OW, None, values, {"temp": "Cel"})]
    raw = cbor2.dumps(
        [
            {-2: f"{OW}:", 0: "temp", 1: "Cel", 2: 23.1},
            {0: "label", 3: "Machine Room"},
            {0: "open", 4: False},
            {0: "nfc-reader", 8: b"hi \n"},
        ]
    )
    assert SENML(raw, Context(received=NOW, content_format=112)) == packets(pack)


def test_5_1_6_a_collection_of_resources_resolves_and_is_two_devices() -> None:
    pack = [
        {"bn": "2001:db8::2/", "bt": 1.320078429e9, "n": "temperature", "u": "Cel", "v": 25.2},
        {"n": "humidity", "u": "%RH", "v": 30},
        {"bn": "2001:db8::1/", "n": "temperature", "u": "Cel", "v": 12.3},
        {"n": "humidity", "u": "%RH", "v": 67},
    ]
    at = 1_320_078_429_000_000_000
    assert resolved(pack) == [
        ("2001:db8::2/temperature", "Cel", at, 25.2),
        ("2001:db8::2/humidity", "%RH", at, 30),
        ("2001:db8::1/temperature", "Cel", at, 12.3),
        ("2001:db8::1/humidity", "%RH", at, 67),
    ]
    assert refusal(pack) == "mixed_devices"
    assert packets(pack[:2])[0].device == "2001:db8::2"


def test_5_1_7_actuators_and_a_record_that_only_sets_the_base() -> None:
    pack = [
        {"bn": f"{OW}:"},
        {"n": "temp", "u": "Cel", "v": 23.1},
        {"n": "heat", "u": "/", "v": 1},
        {"n": "fan", "u": "/", "v": 0},
    ]
    assert packets(pack) == [
        Packet(
            OW, None, {"temp": 23.1, "heat": 1, "fan": 0}, {"temp": "Cel", "heat": "/", "fan": "/"}
        )
    ]
    lights = [
        {"bt": 1.320078429e9, "bu": "/", "n": "2001:db8::3", "v": 1},
        {"n": "2001:db8::4", "v": 1},
    ]
    at = 1_320_078_429_000_000_000
    assert resolved(lights) == [("2001:db8::3", "/", at, 1), ("2001:db8::4", "/", at, 1)]
    dim = [
        {"n": "2001:db8::3", "u": "/", "v": 0.5},
        {"n": "2001:db8::3", "u": "/", "t": 0.1, "v": 0},
    ]
    assert resolved(dim) == [
        ("2001:db8::3", "/", None, 0.5),
        ("2001:db8::3", "/", NOW + 100_000_000, 0),
    ]


# --- section 4 -------------------------------------------------------------------------------


def test_times_below_two_to_the_28_are_relative_to_now() -> None:
    below, at = 2**28 - 1, 2**28
    assert resolved([{"n": "a", "v": 1, "t": below}])[0][2] == NOW + below * 1_000_000_000
    assert resolved([{"n": "a", "v": 1, "t": at}])[0][2] == at * 1_000_000_000
    assert (
        resolved([{"n": "a", "v": 1, "bt": 1_500_000_000, "t": -3}])[0][2]
        == 1_499_999_997_000_000_000
    )
    assert resolved([{"n": "a", "v": 1, "t": -60}])[0][2] == NOW - 60_000_000_000
    assert refusal([{"n": "a", "v": 1, "t": 1e300}]) == "not_senml"


def test_base_value_and_sums_are_added() -> None:
    pack = [
        {"bn": "m:", "bv": 100, "bs": 5, "n": "e", "v": 1, "s": 2},
        {"n": "f", "s": 3},
        {"n": "g", "vb": True},
    ]
    found = resolve(pack, NOW)
    assert [(r.value, r.sum) for r in found] == [(101, 7), (100, 8), (True, 5)]
    assert packets([{"bn": "m:", "n": "e", "u": "W", "s": 12.5}]) == [
        Packet("m", None, {"e#sum": 12.5}, {"e": "W"})
    ]


def test_a_decimal_fraction_is_a_number_in_cbor() -> None:
    raw = bytes.fromhex("81a2006174 02c48221196ab3")  # t = 273.15
    assert SENML(raw, Context(received=NOW, content_format=112))[0].values == {"t": 273.15}


def test_labels_nobody_knows_are_ignored_unless_they_must_be_understood() -> None:
    assert packets([{"bn": "d:", "n": "a", "v": 1, "ut": 30, "l": "x"}])[0].values == {"a": 1}
    assert refusal([{"n": "a", "v": 1, "x_": 1}]) == "senml_must_understand"
    assert refusal([{"bn": "d:", "b_": 1}]) == "senml_must_understand"


def test_versions_up_to_ten_are_read() -> None:
    assert packets([{"bver": 10, "n": "a", "v": 1}])[0].values == {"a": 1}
    assert refusal([{"bver": 11, "n": "a", "v": 1}]) == "senml_version"
    assert (
        refusal([{"bver": 10, "n": "a", "v": 1}, {"bver": 9, "n": "b", "v": 1}]) == "senml_version"
    )


@pytest.mark.parametrize("name", ["", "-a", ":a", "a b", "a$b", "é", "a#sum", "http://[::1]/"])
def test_names_have_only_the_characters_they_may_have(name: str) -> None:
    assert refusal([{"n": name, "v": 1}]) == "senml_name"


@pytest.mark.parametrize(
    "pack",
    [
        {},
        [],
        [1],
        "a",
        [{"n": "a", "v": "1"}],
        [{"n": "a", "v": True}],
        [{"n": "a", "vb": 1}],
        [{"n": 1, "v": 1}],
        [{"n": "a", "v": 1, "vs": "1"}],
        [{"n": "a", "vd": "a+b"}],
        [{"n": "a", "vd": "abcde"}],
        [{"n": "a", "v": 10**30}],
        [{"n": "a", "v": 1, "bver": 0}],
        [{"n": "a", "v": None}],
    ],
)
def test_what_is_not_a_pack_is_refused(pack: object) -> None:
    assert refusal(pack) == "not_senml"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("81a20061610263", "not_cbor"),
        ("a0", "not_senml"),
        ("81a2006161186301", "not_senml"),
        ("81a3006161616e61620201", "not_senml"),
        ("81a2006161086161", "not_senml"),
        ("81a200616102f97e00", "not_senml"),
    ],
)
def test_cbor_that_is_not_a_pack_is_refused(raw: str, code: str) -> None:
    with pytest.raises(PayloadError) as caught:
        SENML(bytes.fromhex(raw), Context(content_format=112))
    assert caught.value.code == code


def test_sensml_streams_are_another_form() -> None:
    with pytest.raises(PayloadError, match="not_senml"):
        SENML(b"[]", Context(content_format=111))


def test_the_split_mark_says_where_the_device_ends() -> None:
    pack = [{"n": f"{OW}:temp", "u": "Cel", "v": 20}]
    assert packets(pack, SPLIT) == [Packet(OW, None, {"temp": 20}, {"temp": "Cel"})]
    own = compile_decode([{"senml": {"split": "/"}}], split=":")
    assert packets([{"bn": "site:7/", "n": "t", "v": 1}], own)[0].device == "site:7"
    assert packets([{"n": "t", "v": 1}], SPLIT)[0].device is None


def test_a_pack_that_was_parsed_already_is_taken_as_it_is() -> None:
    assert SENML([{"bn": "d:", "n": "a", "v": 1}], Context(received=NOW)) == [
        Packet("d", None, {"a": 1}, {})
    ]
