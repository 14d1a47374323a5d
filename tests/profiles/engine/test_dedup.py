"""A message that a profile's ``dedup`` names is read once, however often and by whatever way it comes."""

from __future__ import annotations

import base64
import json

import pytest

from device_profiles.examples import Bench
from device_profiles.memory import Attempt, MemoryOfOne
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError
from tests.fakes.profile_text import PLAIN, changed, route_of

AT = 1_700_000_000_000_000_000
HOUR = 3_600_000_000_000
DEDUP = changed("decode:", "dedup: [ts, count]\ndecode:", PLAIN)
LORAWAN = """\
format: 1
id: acme/lora
version: 1.0.0
vendor: Acme
model: Lora
match: [{via: chirpstack-v4}, {via: ttn-v3}]
dedup: [f_cnt]
decode: [{struct: {fields: [temperature: i16]}}]
measurements: {temperature: {type: float, unit: Cel, scale: 0.1}}
store: {measurement: env}
egress: {class: operational, default: none}
tests:
  - name: once
    recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, fCnt: 7, data: "ANc="}}
    expect: {device: a1, points: [{temperature: 21.5}]}
  - name: heard by two gateways
    steps:
      - {recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, fCnt: 7, data: "ANc="}}, expect: {points: [{temperature: 21.5}]}}
      - {recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, fCnt: 7, data: "ANc="}}, expect: {reject: duplicate}}
      - {recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, fCnt: 8, data: "ANc="}}, expect: {points: [{temperature: 21.5}]}}
  - name: the first frame has no counter
    steps:
      - {recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, data: "ANc="}}, expect: {points: [{temperature: 21.5}]}}
      - {recv: {topic: application/a/device/00/event/up, payload: {deviceInfo: {devEui: "A1"}, fCnt: 0, data: "ANc="}}, expect: {reject: duplicate}}
"""


def _heard(bench: Bench, payload: str, at: int = AT, node: str = "n1") -> str | None:
    return bench.receive(f"acme/s1/{node}/up", payload.encode(), at).reject


def test_the_same_values_of_the_paths_are_the_same_message() -> None:
    bench = Bench(load_profile(DEDUP, "d.yaml"))
    first = '{"ts": 1700000000, "count": 1, "temperature": 20}'
    assert _heard(bench, first) is None
    assert _heard(bench, first, AT + 5) == "duplicate"
    assert _heard(bench, '{"count": 1, "temperature": 99, "ts": 1700000000}') == "duplicate"
    assert _heard(bench, '{"ts": 1700000000, "count": 2, "temperature": 20}') is None


def test_another_device_may_say_the_same() -> None:
    bench = Bench(load_profile(DEDUP, "d.yaml"))
    assert _heard(bench, '{"ts": 1700000000, "count": 1}') is None
    assert _heard(bench, '{"ts": 1700000000, "count": 1}', node="n2") is None


def test_a_message_without_any_of_the_paths_is_never_a_duplicate() -> None:
    bench = Bench(load_profile(DEDUP, "d.yaml"))
    assert [_heard(bench, '{"temperature": 20}') for _ in range(3)] == [None, None, None]


def test_an_hour_later_it_is_another_message() -> None:
    bench = Bench(load_profile(DEDUP, "d.yaml"))
    assert _heard(bench, '{"count": 1}') is None
    assert _heard(bench, '{"count": 1}', AT + HOUR) == "duplicate"
    assert _heard(bench, '{"count": 1}', AT + HOUR + 1) is None


def test_of_one_device_the_last_64_messages_are_remembered() -> None:
    bench = Bench(load_profile(DEDUP, "d.yaml"))
    for count in range(65):
        assert _heard(bench, f'{{"count": {count}, "ts": 1700000000}}') is None
    assert _heard(bench, '{"count": 1, "ts": 1700000000}') == "duplicate"
    assert _heard(bench, '{"count": 0, "ts": 1700000000}') is None


def test_counters_of_network_servers_are_known_by_one_name() -> None:
    bench = Bench(load_profile(LORAWAN, "l.yaml"))
    uplink = {
        "end_device_ids": {"dev_eui": "B2", "device_id": "b"},
        "uplink_message": {"f_cnt": 3, "frm_payload": base64.b64encode(b"\0\xd7").decode()},
    }
    heard = [
        bench.receive("v3/a/devices/b/up", json.dumps(uplink).encode(), AT).reject for _ in "12"
    ]
    assert heard == [None, "duplicate"]


def test_what_was_refused_is_not_remembered() -> None:
    route, memory = route_of(load_profile(DEDUP, "d.yaml")), MemoryOfOne()
    tried = Attempt(memory)
    route.decode(b'{"count": 1}', AT, None, tried)  # and nobody took it
    again = Attempt(memory)
    route.decode(b'{"count": 1}', AT, None, again)
    assert list(again.changes) == ["dedup/acme/plain/s1-n1"]


def test_a_profile_without_dedup_remembers_nothing_and_keeps_its_short_way() -> None:
    route = route_of(load_profile(PLAIN, "p.yaml"))
    assert not route.entry.remembers
    assert route.entry.fast is not None


def test_a_path_that_is_none_is_a_fault_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"p\.yaml:9:.*dedup\.0"):
        load_profile(changed("decode:", "dedup: ['..']\ndecode:", PLAIN), "p.yaml")
