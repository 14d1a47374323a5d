"""Encoding: what a simulated device sends is decoded to the values that it was given."""

import pytest

from device_profiles.catalogue import Catalogue, load_catalogue
from device_profiles.encode import Encoder
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.profile_text import PLAIN, changed, room

NOW = 1_700_000_000_500_000_000


def round_trip(profile, via, device, values, time=NOW):
    address, payload, content_format = Encoder(profile, via).payload(device, values, time)
    catalogue = Catalogue([profile])
    found = catalogue.coap(address, content_format) if via == "coap" else catalogue.mqtt(address)
    decoded = found[0].decode(payload, NOW + 1, content_format)
    assert decoded.device == device
    assert decoded.flags == ()
    return decoded.readings[0]


@pytest.mark.parametrize("via", ["mqtt", "coap"])
def test_the_plain_sensor_says_what_it_was_told(via):
    profile = load_catalogue([]).profiles["tidegate/env-sensor"]
    values = {"temperature": 21.5, "humidity": 40.25, "battery": 97, "seq": 12}
    point = round_trip(profile, via, "sim-env-00001", values)
    assert (point.fields, point.time) == (values, NOW)
    assert round_trip(profile, via, "sim-env-00001", values, None).time == NOW + 1


def test_paths_units_bits_and_maps_are_turned_around():
    values = {"temperature": -4.5, "humidity": 55.0, "energy": 1.024, "count": 7, "open": True,
              "label": "é", "mode": "eco", "tamper": True}  # fmt: skip
    assert round_trip(room(), "mqtt", "s1-n1", values).fields == values


def test_a_pack_of_senml_is_turned_around():
    profile = load_catalogue([]).profiles["ietf/senml-meter"]
    values = {"voltage": 230.5, "current": 1.25, "temperature": 20.0}
    point = round_trip(profile, "coap", "urn:dev:ow:sim-1", values)
    assert (point.fields, point.time) == (values, NOW)


STRUCT = """decode:
  - struct: {order: little, fields: [temperature: i16, skip1, humidity: u8, count: {type: u32, at: 6}]}"""


@pytest.mark.parametrize(
    "match",
    ["{via: chirpstack-v4}", "{via: ttn-v3}", '{via: mqtt, topic: "x/{device}", payload: bytes}'],
)
def test_binary_layouts_are_turned_around_behind_any_network_server(match):
    text = PLAIN.replace(
        '[{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}]', f"[{match}]"
    )
    text = text.replace("decode: [{json: {}}]", STRUCT).replace("time: {from: ts}\n", "")
    text = text.replace('"{site}-{node}"', '"{device}"').replace("  open: {type: bool}\n", "")
    text = text.replace("temperature: {type", "temperature: {scale: 0.1, type").replace(
        "humidity: {type", "humidity: {scale: 0.5, type"
    )
    profile = load_profile(text, "struct.yaml")
    values = {"temperature": -12.3, "humidity": 47.5, "count": 9}
    assert round_trip(profile, profile.entries[0].via, "00ff", values).fields == values


def test_cbor_is_turned_around():
    text = changed(
        '{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}',
        '{via: coap, path: "acme/{site}/{node}", payload: cbor, content_format: [60]}',
        PLAIN,
    )
    values = {"temperature": 21.5, "humidity": 1e-9, "count": -5, "open": False}
    assert round_trip(load_profile(text, "cbor.yaml"), "coap", "s-n", values).fields == values


def test_what_cannot_be_turned_around_is_refused():
    catalogue = load_catalogue([])
    with pytest.raises(ConfigError, match="cannot be made"):
        Encoder(catalogue.profiles["jtt/808-2013-vehicle"])
    with pytest.raises(ConfigError, match="no data by coap"):
        Encoder(room(), "coap")
    with pytest.raises(PayloadError, match="bad_device_id"):
        Encoder(room()).payload("NOT/good", {}, None)
