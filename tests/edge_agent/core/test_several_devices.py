"""A message about several devices is stored for each of them: one that is refused hurts no other."""

from __future__ import annotations

import json
from pathlib import Path

from device_profiles.catalogue import load_catalogue
from edge_agent.listing import Listing
from edge_agent.remainder import parts_of
from edge_agent.replay import replay
from gateway_core.model import Alarm, Listed, Refusal
from tests.fakes.edge import ENV, NOW, Edge, open_edge, write_profile

GATEWAY = (
    ENV.replace('topic: "tg/{id}/up", payload: json', 'topic: "gw/up"')
    .replace('topic: "tg/{id}/online", payload: text', 'topic: "gw/state"')
    .replace('  - {via: coap, path: "tg/{id}"}\n', "")
    .replace('pattern: "[^/]{1,64}"', 'pattern: "[a-z0-9]{1,64}"')
    .replace("decode:", "devices: {key: id}\ndecode:")
    .replace("tg/d1/up", "gw/up")
)


async def hear(edge: Edge, message: object, address: str = "gw/up") -> str | None:
    """Let one message come in; return its verdict."""
    (verdict,) = await edge.hear(address, json.dumps(message))
    return verdict


def listed(name: str) -> Listing:
    """Return a line of devices.csv."""
    return Listing(name, "test/env", "")


async def test_every_device_is_announced_and_has_its_reading(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        assert await hear(edge, {"a": {"temperature": 1}, "b": {"temperature": 2}}) is None
        records = await edge.records()
        assert [each.id for each in records if isinstance(each, Listed)] == ["a", "b"]
        found = [(each.device, each.fields, each.time) for each in await edge.readings()]
        assert found == [("a", {"temperature": 1.0}, NOW), ("b", {"temperature": 2.0}, NOW)]
        assert edge.registry.devices["b"].last_seen == NOW


async def test_two_messages_at_one_instant_are_two_readings_of_each_device(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        await edge.hear("gw/up", *['{"a": {"temperature": 1}, "b": {"temperature": 2}}'] * 2)
        times = {(each.device, each.time) for each in await edge.readings()}
        assert len(times) == 4


async def test_alarms_belong_to_the_device_that_they_are_about(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        await hear(edge, {"a": {"temperature": 61}, "b": {"temperature": 20}})
        alarms = [each for each in await edge.records() if isinstance(each, Alarm)]
        assert [(each.device, each.rule, each.state) for each in alarms] == [("a", "hot", "raised")]


async def test_presence_of_several_devices(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        assert await hear(edge, {"a": "online", "b": "offline"}, "gw/state") is None
        assert {name: d.online for name, d in edge.registry.devices.items()} == {
            "a": True,
            "b": False,
        }


async def test_a_bad_id_is_refused_by_row_and_reason_beside_the_readings(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        message = {"A!": {"temperature": 1}, "b": {"temperature": 2}, "C!": {"temperature": 3}}
        assert await hear(edge, message) is None
        assert [each.device for each in await edge.readings()] == ["b"]
        (refusal,) = await edge.refused()
        assert refusal.reason == "bad_device_id"
        assert refusal.detail.startswith("devices 0,2 of the message: ")
        assert json.loads(refusal.payload) == message


async def test_a_device_without_a_good_value_is_refused_and_its_flags_counted(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, profile=GATEWAY) as edge:
        assert (
            await hear(edge, {"a": {"temperature": 999}, "b": {"temperature": 2}, "c": {}}) is None
        )
        (refusal,) = await edge.refused()
        assert (refusal.reason, parts_of(refusal)) == ("no_good_value", frozenset({0}))
        assert [each.device for each in await edge.readings()] == ["b"]


async def test_a_message_none_of_whose_devices_is_taken_is_one_refusal_of_all(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, unknown="hold", profile=GATEWAY) as edge:
        assert await hear(edge, {"a": {"temperature": 1}, "b": {"temperature": 2}}) == "device_held"
        (refusal,) = await edge.refused()
        assert parts_of(refusal) is None


async def test_a_replay_takes_in_the_devices_that_were_refused_and_no_other_twice(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, unknown="hold", profile=GATEWAY) as edge:
        edge.registry.enlist([listed("a")])
        message = {name: {"temperature": at} for at, name in enumerate("abcd")}
        assert await hear(edge, message) is None
        assert parts_of((await edge.refused())[0]) == {1, 2, 3}

        edge.registry.enlist([listed("a"), listed("c")])
        assert (await replay(edge.spool, edge.pipeline)).mended == 1
        assert [each.device for each in await edge.readings()] == ["a", "c"]
        (left,) = await edge.refused()
        assert (left.reason, parts_of(left)) == ("device_held", {1, 3})

        edge.registry.enlist([listed(name) for name in "abcd"])
        assert (await replay(edge.spool, edge.pipeline)).mended == 1
        assert [each.device for each in await edge.readings()] == ["a", "c", "b", "d"]
        assert await edge.refused() == []


async def test_a_replay_that_finds_none_of_its_devices_keeps_the_refusal(tmp_path: Path) -> None:
    async with open_edge(tmp_path, unknown="hold", profile=GATEWAY) as edge:
        edge.registry.enlist([listed("b")])
        await hear(edge, {"b": {"temperature": 2}, "a": {"temperature": 1}})
        text = ENV.replace('topic: "tg/{id}/up", payload: json', 'topic: "gw/{id}"')
        profiles = load_catalogue([write_profile(tmp_path / "mended", text)], shipped=False)
        edge.ways.use(profiles)
        edge.registry.enlist([listed("b"), listed("up")])
        before = await edge.refused()
        assert (await replay(edge.spool, edge.pipeline)).mended == 0
        assert await edge.refused() == before


def test_the_parts_of_a_refusal_are_read_from_its_detail() -> None:
    refusal = Refusal("m", "t", b"", "r", "devices 1,4-6 of the message: why", 0)
    assert parts_of(refusal) == {1, 4, 5, 6}
    assert parts_of(Refusal("m", "t", b"", "r", "why devices 1 of the message: ", 0)) is None
