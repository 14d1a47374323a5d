"""A gateway behind a real broker needs no splitter: each device of its messages is one of the site's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.broker import Mosquitto
from tests.fakes.edge import ENV
from tests.fakes.real_agent import RealAgent, connected


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", host="::1")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[RealAgent]:
    made = RealAgent(tmp_path, broker, ENV)
    made.start()
    await made.until(connected)
    yield made
    await made.kill()


async def rows(agent: RealAgent, measurement: str, *fields: str) -> list[list[Any]]:
    """Return device and fields of every point of a measurement, sorted."""
    status, table = await agent.post(
        "/query", {"measurement": measurement, "fields": list(fields), "start": 0}
    )
    assert status == 200, table
    places = [table["columns"].index(name) for name in ("device", *fields)]
    return sorted(([row[place] for place in places] for row in table["rows"]), key=str)


async def test_a_thingsboard_gateway_s_devices_have_readings_and_presence(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.publish("v1/gateway/connect", '{"device": "Device A", "type": "default"}')
    telemetry = {
        "Device A": [{"ts": 1795000000000, "values": {"temperature": 42, "humidity": 80}}],
        "Device B": [{"ts": 1795000000000, "values": {"temperature": 21.5}}],
        "bad": 7,
    }
    await broker.publish("v1/gateway/telemetry", json.dumps(telemetry))
    await broker.publish("v1/gateway/disconnect", '{"device": "Device B"}')
    status = await agent.until(
        lambda s: s["devices"]["known"] == 2 and s["devices"]["offline"] == 1
    )
    assert status["refused"] == {"bad_envelope": 1}
    assert status["residual"] == 0
    assert await rows(agent, "env", "temperature", "humidity") == [
        ["Device~20A", 42.0, 80.0],
        ["Device~20B", 21.5, None],
    ]


async def test_telegraf_s_batches_are_read_host_by_host(
    agent: RealAgent, broker: Mosquitto
) -> None:
    batch = (
        "mem,host=edge-7 used_percent=61.5 1795000000000000000\n"
        "mem,host=edge-8 used_percent=12i 1795000000000000000\n"
        "mem,host=edge-9 used_per\n"
        "system,host=edge-7 load1=0.41,uptime=86400i 1795000010000000000\n"
    )
    await broker.publish("telegraf/edge-7/all", batch)
    status = await agent.until(lambda s: s["refused"] == {"bad_line": 1})
    assert status["devices"]["known"] == 2
    assert await rows(agent, "host", "memory_used", "load1", "uptime") == [
        ["edge-7", 61.5, None, None],
        ["edge-7", None, 0.41, 86400],
        ["edge-8", 12.0, None, None],
    ]
