"""An edge node of Sparkplug B is followed over a real broker, from its births to its death."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from edge_agent.agent import Agent
from edge_agent.memory import MEMORY_KEY
from tests.fakes.broker import Mosquitto
from tests.fakes.edge import arrival, open_edge
from tests.fakes.running import eventually, presence, readings, running, write_config
from tests.fakes.sparkplug import BD_SEQ, PAYLOAD, DyingNode, made

NBIRTH = made(BD_SEQ, seq=0)
DBIRTH = made({"name": "Temperature", "alias": 7, "datatype": 9, "float_value": 20.0}, seq=1)
PROFILE = """\
format: 1
id: test/node
version: 1.0.0
vendor: Test
model: Node
match: [{via: sparkplug-b}]
decode: [{sparkplug-b: {}}]
measurements: {temperature: {from: Temperature, type: float, unit: Cel}}
store: {measurement: node}
egress: {class: operational, default: none}
tests:
  - {name: a birth, recv: {topic: spBv1.0/g/NBIRTH/n, hex: "1800"}, expect: {device: "g:n", online: true}}
  - {name: a device goes, recv: {topic: spBv1.0/g/DDEATH/n/d, hex: "1801"}, expect: {device: "g:n:d", online: false}}
  - {name: not protobuf, recv: {topic: spBv1.0/g/NDATA/n, hex: "7b"}, expect: {reject: not_sparkplug}}
"""


def data(value: float, seq: int, at: int = 1_700_000_000_000) -> bytes:
    return made({"alias": 7, "float_value": value, "timestamp": at}, seq=seq)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made_ = Mosquitto(tmp_path / "broker")
    await made_.start()
    yield made_
    await made_.stop()


async def _values(agent: Agent) -> list[float]:
    return [reading.fields["temperature"] for reading in await readings(agent)]  # type: ignore[misc]


async def test_a_node_that_was_there_before_is_asked_for_its_births_and_nothing_is_lost(
    broker: Mosquitto, tmp_path: Path
) -> None:
    file = write_config(tmp_path, broker)
    async with running(file) as agent, aiomqtt.Client(broker.host, broker.port) as node:
        await node.subscribe("spBv1.0/g/NCMD/n", 1)
        await node.publish("spBv1.0/g/DDATA/n/d", data(21.0, 9), 1)
        async with asyncio.timeout(10):
            asked: aiomqtt.Message = await anext(aiter(node.messages))
        command = PAYLOAD.FromString(asked.payload).metrics[0]
        assert (command.name, command.boolean_value) == ("Node Control/Rebirth", True)
        await node.publish("spBv1.0/g/NBIRTH/n", NBIRTH, 1)
        await node.publish("spBv1.0/g/DBIRTH/n/d", DBIRTH, 1)
        await node.publish("spBv1.0/g/DDATA/n/d", data(22.0, 2), 1)

        async def both() -> bool:
            return await _values(agent) == [20.0, 22.0]

        await eventually(both)
        assert await presence(agent) == {"g:n": True, "g:n:d": True}
        refused = [refusal.reason for _, refusal in await agent._spool.refusals(10)]
        assert refused == ["unknown_alias"]
        done = await agent.replay(None, 0, 100)
        assert (done.tried, done.mended) == (1, 1)
        assert await _values(agent) == [20.0, 22.0, 21.0]


async def test_the_will_of_a_node_takes_its_devices_offline(
    broker: Mosquitto, tmp_path: Path
) -> None:
    file = write_config(tmp_path, broker)
    async with running(file) as agent:
        node = await DyingNode.connect(broker.host, broker.port)
        node.publish("spBv1.0/g/NBIRTH/n", NBIRTH)
        node.publish("spBv1.0/g/DBIRTH/n/d", DBIRTH)

        async def there() -> bool:
            return await presence(agent) == {"g:n": True, "g:n:d": True}

        async def gone() -> bool:
            return await presence(agent) == {"g:n": False, "g:n:d": False}

        await eventually(there)
        node.break_off()
        await eventually(gone)


async def test_what_births_said_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=PROFILE) as edge:
        births = [("NBIRTH/n", NBIRTH), ("DBIRTH/n/d", DBIRTH)]
        await edge.pipeline.ingest([arrival(f"spBv1.0/g/{t}", p) for t, p in births])  # type: ignore[arg-type]
    async with open_edge(tmp_path, profile=PROFILE) as edge:
        await edge.pipeline.ingest([arrival("spBv1.0/g/DDATA/n/d", data(23.0, 2))])  # type: ignore[arg-type]
        assert [r.fields for r in await edge.readings()] == [
            {"temperature": 20.0},
            {"temperature": 23.0},
        ]


async def test_a_session_is_followed_even_where_nobody_lets_its_devices_in(tmp_path: Path) -> None:
    asked: list[object] = []
    async with open_edge(tmp_path, "refuse", profile=PROFILE) as edge:
        edge.pipeline.send_back = asked.extend
        births = [("NBIRTH/n", NBIRTH), ("DBIRTH/n/d", DBIRTH), ("DDATA/n/d", data(20.0, 2))]
        told = await edge.pipeline.ingest([arrival(f"spBv1.0/g/{t}", p) for t, p in births])  # type: ignore[arg-type]
        assert told == ["unknown_device"] * 3
        assert asked == []
        assert sorted(await edge.spool.state(MEMORY_KEY)) == [
            "memory/sparkplug-devices/g/n",
            "memory/sparkplug-names/g/n/",
            "memory/sparkplug-names/g/n/d",
            "memory/sparkplug/g/n",
        ]


async def test_a_replay_neither_asks_nor_touches_the_session(tmp_path: Path) -> None:
    asked: list[object] = []
    async with open_edge(tmp_path, profile=PROFILE) as edge:
        edge.pipeline.send_back = asked.extend
        await edge.pipeline.ingest([arrival("spBv1.0/g/DDATA/n/d", data(20.0, 9))])  # type: ignore[arg-type]
        before = await edge.spool.state(MEMORY_KEY)
        assert len(asked) == 1
        edge.clock.pass_s(100)
        ids = [i for i, _ in await edge.spool.refusals(10)]
        refused = (await edge.refused())[0]
        again = arrival(refused.address, refused.payload, refused.received + 70_000_000_000)
        edge.pipeline.begin_replay()
        assert await edge.pipeline.replay([again], ids) == [None]
        assert (len(asked), await edge.spool.state(MEMORY_KEY)) == (1, before)
