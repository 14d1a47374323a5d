"""Whatever a device sends is counted and can be found, and the next good message is stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent import ways as limits
from tests.fakes.edge import arrival, open_edge, write_profile

GOOD = '{"temperature": 21.5}'
DEEP = b"[" * 100_000 + b"]" * 100_000
SENML = """\
format: 1
id: test/senml
version: 1.0.0
status: stable
title: {en: SenML node}
vendor: Test
model: RFC 8428
license: CC0-1.0
match:
  - {via: coap, path: "senml/{node}", content_format: [110, 112]}
device: {id: "{device}", split: ":", pattern: "urn:dev:[a-z]+:[0-9A-Za-z:;_-]+"}
decode: [{senml: {}}]
measurements:
  temperature: {from: temp, type: float, unit: Cel, range: [-60, 150]}
store: {measurement: env, tags: [edge, device, profile]}
egress: {class: operational, default: none, alarms: full}
tests:
  - name: one value
    recv: {path: senml/n1, at: 1700000000, payload: [{bn: "urn:dev:ow:10e2073a01080063:", n: temp, u: Cel, v: 20}]}
    expect: {device: "urn:dev:ow:10e2073a01080063", points: [{temperature: 20}]}
  - name: not a pack
    recv: {path: senml/n1, payload: {temperature: 1}}
    expect: {reject: not_senml}
  - name: must-understand label
    recv: {path: senml/n1, payload: [{bn: "urn:dev:ow:10e2073a01080063:", n: temp, u: Cel, v: 20, x_: 1}]}
    expect: {reject: senml_must_understand}
"""
BASE = {"bn": "urn:dev:ow:10e2073a01080063:", "n": "temp", "u": "Cel", "v": 20.0}

REFUSED = {
    "nothing at all": (b"", "not_json"),
    "not json": (b"temperature=21.5", "not_json"),
    "half a document": (b'{"temperature": 21.', "not_json"),
    "two documents": (b'{"temperature": 1}{"temperature": 2}', "not_json"),
    "bad utf-8": (b'{"temperature": "\xff\xfe"}', "not_json"),
    "a NUL": (b'{"temperature": 1}\x00', "not_json"),
    "NaN": (b'{"temperature": NaN}', "not_json"),
    "Infinity": (b'{"temperature": -Infinity}', "not_json"),
    "deep nesting": (DEEP, "not_json"),
    "a string of 1 MB": (b'{"temperature": "' + b"x" * 1_000_000 + b'"}', "too_large"),
}
FLAGGED = {
    "an object where a number belongs": '{"temperature": {"value": 1}}',
    "a list where a number belongs": '{"temperature": [21.5]}',
    "text where a number belongs": '{"temperature": "warm"}',
    "a bool where a number belongs": '{"temperature": true}',
    "text where a bool belongs": '{"open": "on"}',
    "a number where a bool belongs": '{"open": 7}',
    "10^30 where an integer belongs": '{"count": 1000000000000000000000000000000}',
    "2^63 where an integer belongs": '{"count": 9223372036854775808}',
    "1e400": '{"temperature": 1e400}',
    "out of range": '{"temperature": 4000}',
    "a fraction where an integer belongs": '{"battery": 50.5}',
}
ADDRESSES = {
    "an unknown topic": ("elsewhere/d1/up", "no_match"),
    "a wildcard in the topic": ("tg/+/up", "bad_topic"),
    "a hash in the topic": ("tg/#", "bad_topic"),
    "a broker's own topic": ("$SYS/broker/uptime", "bad_topic"),
    "a NUL in the topic": ("tg/d\0/up", "bad_topic"),
    "a line break in the topic": ("tg/d\n/up", "bad_topic"),
    "an endless topic": ("tg/" + "d" * 600 + "/up", "bad_topic"),
    "a $ in the id": ("tg/d$1/up", "bad_device_id"),
    "a blank id": ("tg/ /up", "bad_device_id"),
    "an id that climbs": ("tg/../up", "bad_device_id"),
}
SENML_REFUSED = {
    "a base name that is a number": ([{**BASE, "bn": 7}], "not_senml"),
    "a base name of another kind": ([{**BASE, "bn": "sensor 1/"}], None),
    "a version from the future": ([{"bver": 99, **BASE}], "senml_version"),
    "a label that must be understood": ([{**BASE, "x_": 1}], "senml_must_understand"),
    "not a pack": ({"temperature": 1}, "not_senml"),
    "an empty pack": ([], None),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_payload_that_cannot_be_read_is_refused_and_kept(tmp_path: Path, case: str) -> None:
    payload, reason = REFUSED[case]
    async with open_edge(tmp_path) as edge:
        told = await edge.pipeline.ingest([arrival("tg/d1/up", payload), arrival("tg/d1/up", GOOD)])
        assert told == [reason, None]
        (refusal,) = await edge.refused()
        assert (refusal.reason, refusal.address) == (reason, "tg/d1/up")
        assert payload.startswith(refusal.payload)
        assert (await edge.spool.books()).refused == {reason: 1}
        assert [each.fields for each in await edge.readings()] == [{"temperature": 21.5}]


@pytest.mark.parametrize("case", FLAGGED)
async def test_a_message_whose_only_value_is_bad_is_refused_and_kept(
    tmp_path: Path, case: str
) -> None:
    async with open_edge(tmp_path) as edge:
        told = await edge.say("d1", FLAGGED[case], GOOD)
        assert told[0] in {"no_good_value", "not_json"}
        assert told[1] is None
        (refusal,) = await edge.refused()
        assert refusal.payload == FLAGGED[case].encode()
        assert [each.fields for each in await edge.readings()] == [{"temperature": 21.5}]


@pytest.mark.parametrize("case", FLAGGED)
async def test_a_bad_value_beside_a_good_one_never_enters_a_reading(
    tmp_path: Path, case: str
) -> None:
    mixed = FLAGGED[case].replace("{", '{"humidity": 40, ', 1)
    async with open_edge(tmp_path) as edge:
        (told,) = await edge.say("d1", mixed)
        readings = await edge.readings()
        assert [each.fields for each in readings] == ([] if told else [{"humidity": 40.0}])
        assert told == "not_json" or len(readings[0].flags) == 1


@pytest.mark.parametrize("case", ADDRESSES)
async def test_a_hostile_or_unknown_address_is_refused_and_makes_no_device(
    tmp_path: Path, case: str
) -> None:
    address, reason = ADDRESSES[case]
    async with open_edge(tmp_path) as edge:
        told = await edge.pipeline.ingest([arrival(address, GOOD), arrival("tg/d1/up", GOOD)])
        assert told == [reason, None]
        assert [refusal.reason for refusal in await edge.refused()] == [reason]
        assert list(edge.registry.devices) == ["d1"]


@pytest.mark.parametrize("case", SENML_REFUSED)
async def test_senml_that_breaks_its_rules_is_refused(tmp_path: Path, case: str) -> None:
    pack, reason = SENML_REFUSED[case]
    write_profile(tmp_path / "profiles", SENML, "senml.yaml")
    async with open_edge(tmp_path) as edge:
        (told,) = await edge.pipeline.ingest(
            [arrival("senml/n1", json.dumps(pack), source="coap", content_format=110)]
        )
        assert told == reason or (reason is None and await edge.readings() == [])
        assert not edge.registry.devices


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
async def test_cut_cbor_is_refused(tmp_path: Path, cut: int) -> None:
    import cbor2

    whole = cbor2.dumps([{-2: "urn:dev:ow:10e2073a01080063:", 0: "temp", 1: "Cel", 2: 20.0}])
    write_profile(tmp_path / "profiles", SENML, "senml.yaml")
    async with open_edge(tmp_path) as edge:
        told = await edge.pipeline.ingest(
            [
                arrival("senml/n1", each, source="coap", content_format=112)
                for each in (whole[: min(cut, len(whole) - 1)], whole)
            ]
        )
        assert told[0] is not None
        assert told[1] is None
        assert len(await edge.refused()) == 1


async def test_nan_in_cbor_is_never_stored(tmp_path: Path) -> None:
    import cbor2

    pack = cbor2.dumps([{-2: "urn:dev:ow:10e2073a01080063:", 0: "temp", 1: "Cel", 2: float("nan")}])
    write_profile(tmp_path / "profiles", SENML, "senml.yaml")
    async with open_edge(tmp_path) as edge:
        (told,) = await edge.pipeline.ingest(
            [arrival("senml/n1", pack, source="coap", content_format=112)]
        )
        assert told is not None
        assert await edge.readings() == []


async def test_a_flood_of_bad_messages_leaves_every_good_one(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        arrivals = [arrival(f"tg/d{n % 10}/up", GOOD if n % 2 else "nonsense") for n in range(2000)]
        told = await edge.pipeline.ingest(arrivals)
        assert told.count(None) == 1000
        assert len(await edge.readings()) == 1000
        assert (await edge.spool.books()).refused == {"not_json": 1000}


async def test_a_flood_of_addresses_is_remembered_up_to_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_WAYS", 3)
    async with open_edge(tmp_path) as edge:
        for number in range(10):
            edge.ways.find("mqtt", f"flood/{number}")
            edge.ways.find("coap", f"flood/{number}")
        assert list(edge.ways.mqtt) == ["flood/7", "flood/8", "flood/9"]
        assert len(edge.ways.coap) == 3
