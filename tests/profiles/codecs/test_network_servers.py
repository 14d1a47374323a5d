"""One profile reads a LoRaWAN device behind any network server, and what they say of its radio."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from device_profiles.codecs import unwrap
from device_profiles.codecs.radio import radio_of
from device_profiles.lorawan import SERVERS, downlink, uplink
from device_profiles.profile import load_profile
from gateway_core.errors import PayloadError

EUI = "24e124136b502217"
CHIRPSTACK = {
    "deduplicationId": "3ac7e3c4",
    "time": "2025-04-08T09:15:18.123Z",
    "deviceInfo": {"applicationId": "a1", "devEui": EUI, "deviceProfileName": "EM300"},
    "dr": 5, "fCnt": 128, "fPort": 85, "confirmed": True, "adr": True, "data": "A2fqAA==",
    "rxInfo": [
        {"gatewayId": "0016c001ff10a235", "rssi": -113, "snr": -5.2},
        {"gatewayId": "0016c001ff10a236", "rssi": -48, "snr": 9},
    ],
    "txInfo": {"frequency": 867100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7}}},
}  # fmt: skip
THINGS = {
    "end_device_ids": {"device_id": "em300", "dev_eui": EUI.upper(), "application_ids": {"application_id": "a1"}},
    "uplink_message": {
        "f_port": 85, "frm_payload": "A2fqAA==", "received_at": "2025-04-08T09:15:18.123Z",
        "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -57, "snr": 7.5}],
        "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "867100000"},
    },
}  # fmt: skip
MILESIGHT = {
    "applicationID": 1, "applicationName": "cloud", "data": "A2fqAA==", "devEUI": EUI.upper(),
    "deviceName": "EM300-TH", "fCnt": 128, "fPort": 85, "time": "2025-04-08T09:15:18.123Z",
    "rxInfo": [{"mac": "24e124fffef54092", "loRaSNR": 13.8, "rssi": -51}],
    "txInfo": {"adr": True, "dataRate": {"bandwidth": 125, "modulation": "LORA", "spreadFactor": 7}, "frequency": 868100000},
}  # fmt: skip
MESSAGES: dict[str, dict[str, Any]] = {
    "chirpstack-v4": CHIRPSTACK, "ttn-v3": THINGS, "milesight-gateway": MILESIGHT,
}  # fmt: skip


@pytest.mark.parametrize("via", MESSAGES)
def test_device_bytes_port_and_time_are_found(via: str) -> None:
    found = unwrap(via, msgspec.json.encode(MESSAGES[via]))
    assert (found.device, found.payload, found.fport) == (EUI, bytes.fromhex("0367ea00"), 85)
    assert found.time == "2025-04-08T09:15:18.123Z"
    assert found.captures["app"] in ("a1", "1")


RADIO: dict[str, dict[str, Any]] = {
    "chirpstack-v4": {
        "f_cnt": 128, "f_port": 85, "dr": 5, "adr": True, "confirmed": True, "sf": 7, "bandwidth": 125000,
        "frequency": 867100000, "gateway": "0016c001ff10a236", "rssi": -48, "snr": 9, "gateways": 2,
    },
    "ttn-v3": {
        "f_cnt": 0, "f_port": 85, "sf": 7, "bandwidth": 125000, "frequency": 867100000,
        "gateway": "roof", "rssi": -57, "snr": 7.5, "gateways": 1,
    },
    "milesight-gateway": {
        "f_cnt": 128, "f_port": 85, "adr": True, "sf": 7, "bandwidth": 125000, "frequency": 868100000,
        "gateway": "24e124fffef54092", "rssi": -51, "snr": 13.8, "gateways": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("via", RADIO)
def test_every_server_says_the_same_of_the_radio(via: str) -> None:
    assert radio_of(via, MESSAGES[via]) == RADIO[via]


@pytest.mark.parametrize(
    "strange", [{}, {"rxInfo": 5}, {"rxInfo": [None, {"rssi": "x"}]}, {"uplink_message": []}]
)
@pytest.mark.parametrize("via", RADIO)
def test_a_server_that_says_nothing_of_it_is_no_error(via: str, strange: dict[str, Any]) -> None:
    found = radio_of(via, strange)
    assert found.get("rssi") in (None, "x")
    assert found.get("f_cnt") in (None, 0)


PROFILE = """
format: 1
id: acme/probe
version: 1.0.0
vendor: Acme
model: Probe
match:
  - {via: chirpstack-v4}
  - {via: ttn-v3}
  - {via: milesight-gateway, topic: milesight/up}
device: {id: "{device}", pattern: "[0-9a-f]{16}"}
time: {from: time, format: rfc3339}
decode: [{struct: {order: little, fields: [skip2, temperature: i16]}}]
measurements:
  temperature: {type: float, unit: Cel, scale: 0.1}
  rssi: {from: $lora.rssi, type: int, unit: "dB[mW]", kind: diagnostic}
  heard_by: {from: $.rxInfo.0.gatewayId, type: string, kind: diagnostic}
store: {measurement: env}
egress: {class: operational, default: none}
tests:
  - {name: a, recv: {topic: milesight/up, payload: ""}, expect: {reject: not_json}}
  - {name: b, recv: {topic: milesight/up, payload: ""}, expect: {reject: not_json}}
  - {name: c, recv: {topic: milesight/up, payload: ""}, expect: {reject: not_json}}
"""


def test_a_profile_reads_the_radio_by_path_whichever_server_it_is() -> None:
    profile = load_profile(PROFILE)
    found = []
    for entry, message in zip(profile.entries, MESSAGES.values(), strict=True):
        captures = dict.fromkeys(entry.template.names, "x")
        decoded = profile.route(entry, captures).decode(msgspec.json.encode(message), 0)
        found.append((decoded.device, decoded.readings[0].fields))
    assert found == [
        (EUI, {"temperature": 23.4, "rssi": -48, "heard_by": "0016c001ff10a235"}),
        (EUI, {"temperature": 23.4, "rssi": -57}),
        (EUI, {"temperature": 23.4, "rssi": -51}),
    ]


def test_a_milesight_gateway_may_send_digits() -> None:
    profile = load_profile(PROFILE.replace("milesight/up}", "milesight/up, payload: hex}"))
    message = msgspec.json.encode({**MILESIGHT, "data": "0367ea00"})
    decoded = profile.route(profile.entries[2], {}).decode(message, 0)
    assert decoded.readings[0].fields["temperature"] == 23.4
    with pytest.raises(PayloadError, match="data is not hexadecimal"):
        profile.route(profile.entries[2], {}).decode(msgspec.json.encode(MILESIGHT), 0)


def test_a_milesight_gateways_topic_is_whatever_was_set_up_there() -> None:
    from gateway_core.errors import ConfigError

    with pytest.raises(ConfigError, match="the key 'topic' is missing"):
        load_profile(PROFILE.replace(", topic: milesight/up}", "}"))


def test_what_the_things_stack_normalized_is_read_as_its_own_decoding() -> None:
    message = {
        "end_device_ids": {"dev_eui": EUI},
        "uplink_normalized": {
            "f_port": 1,
            "frm_payload": "AQ==",
            "normalized_payload": {"air": {"temperature": 20}},
        },
    }
    found = unwrap("ttn-v3", msgspec.json.encode(message))
    assert found.payload == b"\x01"
    assert found.decoded == {"air": {"temperature": 20}}


@pytest.mark.parametrize("via", SERVERS)
@pytest.mark.parametrize("body", [b"", b"\x01\xff", {"temperature": 20}])
def test_an_uplink_that_is_made_is_read_again(via: str, body: bytes | dict[str, Any]) -> None:
    made = msgspec.json.encode(uplink(via, EUI, body, fport=7, stamp="2025-04-08T09:15:18Z"))
    found = unwrap(via, made)
    assert (found.device, found.payload, found.fport, found.time) == (
        EUI,
        body,
        7,
        "2025-04-08T09:15:18Z",
    )


def test_downlinks_have_the_form_of_each_server() -> None:
    assert downlink("chirpstack-v4", EUI, b"\xff\x10\xff", 85, confirmed=True) == {
        "devEui": EUI, "confirmed": True, "fPort": 85, "data": "/xD/",
    }  # fmt: skip
    assert downlink("ttn-v3", EUI, b"\xff\x10\xff", 85) == {
        "downlinks": [{"f_port": 85, "frm_payload": "/xD/", "priority": "NORMAL"}]
    }
    assert downlink("milesight-gateway", EUI, b"\xff\x10\xff", 85) == {
        "devEUI": EUI, "confirmed": False, "fPort": 85, "data": "/xD/",
    }  # fmt: skip
