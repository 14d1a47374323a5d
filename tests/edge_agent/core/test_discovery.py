"""Devices announce themselves over a real broker and are read, where the site wants it and only there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.agent import Agent
from tests.fakes.broker import Mosquitto
from tests.fakes.edge import ENV, write_profile
from tests.fakes.running import eventually, presence, readings, running, write_config

ON = "discovery: [homeassistant]\n"
CONFIG = "homeassistant/sensor/hall/temperature/config"
RETAIN = ("-r",)


def announced(**more: Any) -> str:
    spec = {
        "state_topic": "hall/state",
        "device_class": "temperature",
        "unit_of_measurement": "°F",
        "value_template": "{{ value_json.t }}",
        "availability_topic": "hall/there",
        "device": {"identifiers": ["hall-1"]},
    }
    return json.dumps({**spec, **more})


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker")
    await made.start()
    yield made
    await made.stop()


async def _found(agent: Agent) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    return [(each.device, each.fields, each.tags) for each in await readings(agent)]


async def test_an_announced_state_is_listened_to_on_the_same_connection_and_stored(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with running(write_config(tmp_path, broker, ON)) as agent:
        connects = broker.log().count("New client connected")
        await broker.publish("hall/state", '{"t": 69.8}', options=RETAIN)
        await broker.publish("hall/there", "online", options=RETAIN)
        await broker.publish(CONFIG, announced(), options=RETAIN)

        async def read() -> bool:
            return await _found(agent) == [
                ("hall-1", {"temperature": 21.0}, {"entity": "temperature"})
            ] and (await presence(agent)) == {"hall-1": True}

        await eventually(read)
        await broker.publish("hall/there", "offline")

        async def gone() -> bool:
            return (await presence(agent)) == {"hall-1": False}

        await eventually(gone)
        ours = [line for line in broker.log().splitlines() if "as tidegate-e1-site" in line]
        assert len(ours) == 1
        assert connects == 1


async def test_what_was_announced_is_known_after_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    file = write_config(tmp_path, broker, ON)
    async with running(file) as agent:
        await broker.publish(CONFIG, announced())

        async def listens() -> bool:
            return "hall/state" in agent._intake._brokers[0]._source._subscribed.filters  # type: ignore[union-attr]

        await eventually(listens)
    await broker.publish("hall/state", '{"t": 50}')  # while it is away
    async with running(file) as agent:

        async def read() -> bool:
            return await _found(agent) == [
                ("hall-1", {"temperature": 10.0}, {"entity": "temperature"})
            ]

        await eventually(read)


async def test_what_is_taken_back_is_not_listened_to_any_more(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with running(write_config(tmp_path, broker, ON)) as agent:
        source = agent._intake._brokers[0]

        async def listens() -> bool:
            return "hall/state" in source._source._subscribed.filters  # type: ignore[union-attr]

        async def deaf() -> bool:
            return not await listens()

        await broker.publish(CONFIG, announced())
        await eventually(listens)
        await broker.publish(CONFIG, "")
        await eventually(deaf)


async def test_without_the_site_s_word_nothing_is_learned_and_nothing_listened_to(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with running(write_config(tmp_path, broker)) as agent:
        source = agent._intake._brokers[0]._source
        assert source is not None
        assert not [
            each for each in source._subscribed.filters if each.startswith("homeassistant/")
        ]
        await broker.publish(CONFIG, announced(), options=RETAIN)
        await asyncio.sleep(1.5)
        assert agent._memory.keys("homeassistant") == []


async def test_an_announcement_does_not_take_a_topic_from_a_site_s_own_profile(
    broker: Mosquitto, tmp_path: Path
) -> None:
    write_profile(tmp_path / "profiles", ENV)
    async with running(write_config(tmp_path, broker, ON)) as agent:
        await broker.publish(CONFIG, announced(state_topic="tg/d1/up", value_template=""))

        async def learned() -> bool:
            return agent._ways.announced("tg/d1/up") is not None

        await eventually(learned)
        await broker.publish("tg/d1/up", '{"temperature": 21.5}')

        async def read() -> bool:
            return [(d, f) for d, f, _ in await _found(agent)] == [("d1", {"temperature": 21.5})]

        await eventually(read)


async def test_a_bad_announcement_is_refused_with_what_is_wrong(
    broker: Mosquitto, tmp_path: Path
) -> None:
    async with running(write_config(tmp_path, broker, ON)) as agent:
        await broker.publish(CONFIG, announced(state_topic="hall/#"))
        await broker.publish(CONFIG, announced(unit_of_measurement="furlong"))

        async def refused() -> bool:
            return [(r.reason, r.detail) for _, r in await agent._spool.refusals(5)] == [
                ("bad_announcement", "state_topic: 'hall/#' is no topic to listen to"),
                (
                    "bad_announcement",
                    "unit_of_measurement: the unit 'furlong' of a temperature is not known",
                ),
            ]

        await eventually(refused)
