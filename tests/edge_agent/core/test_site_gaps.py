"""Promise: a site says of a device what is missing and why: refused, silent, or that it is unknown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.edge_agent.core.test_agent import MINE
from tests.fakes.broker import Mosquitto
from tests.fakes.real_agent import RealAgent, connected

PROFILE = MINE.replace("expect_every: 1m, offline_after: 5m", "offline_after: 3s")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", host="::1")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def agent(tmp_path: Path, broker: Mosquitto) -> AsyncIterator[RealAgent]:
    made = RealAgent(tmp_path, broker, PROFILE)
    made.start()
    await made.until(connected)
    yield made
    await made.kill()


async def asked(agent: RealAgent, query: str) -> tuple[int, dict]:
    async with aiohttp.ClientSession() as web, web.get(f"{agent.url}/gaps?{query}") as answer:
        return answer.status, json.loads(await answer.read())


async def test_refusals_and_silence_explain_a_gap_and_the_rest_is_unknown(
    agent: RealAgent, broker: Mosquitto
) -> None:
    await broker.publish("plant/d1/up", '{"temperature": 21.5}')
    await agent.until(lambda status: status["accepted"].get("mqtt:site"))
    await agent.until(lambda status: status["devices"]["silent"] == 1)
    await broker.publish("plant/d1/up", "junk")
    await agent.until(lambda status: status["refused"] == {"not_json": 1})
    status, found = await asked(agent, "device=d1&since=-1h")
    assert (status, found["readings"], found["basis"]) == (200, 1, "declared")
    assert found["expected_s"] == 3.0
    before, after = found["gaps"]
    assert [each["reason"] for each in before["reasons"]] == ["unknown"]
    reasons = {each["reason"]: each for each in after["reasons"]}
    assert reasons["never_sent"]["certain"]
    assert (reasons["refused"]["count"], reasons["refused"]["detail"]) == (1, "not_json")
    assert reasons["never_sent"]["since"] == after["since"]
    assert "unknown" not in reasons
    command = [sys.executable, "-m", "tidegate", "edge", "gaps", "d1", "--url", agent.url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "never_sent" in told
    assert "缺口起 · from" in told


async def test_a_device_that_nobody_knows_has_no_certificate(agent: RealAgent) -> None:
    status, found = await asked(agent, "device=nobody")
    assert status == 400
    assert "no device 'nobody' was ever listed or heard" in found["detail"]
    assert (await asked(agent, "device=nobody&since=yesterday"))[0] == 400
