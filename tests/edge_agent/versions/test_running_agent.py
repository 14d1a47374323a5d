"""Promise: a running agent follows the plan, compares, goes back and replays, without a reconnect."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway_core.model import ProfileUse, Reading
from gateway_core.spool.reader import open_reader
from tests.fakes.broker import Mosquitto
from tests.fakes.edge import ENV
from tests.fakes.real_agent import RealAgent, connected
from tests.fakes.registry import FakeRegistry, open_registry

pytestmark = pytest.mark.slow
OTHER = ENV.replace("test/env", "test/other").replace('"tg/', '"other/')
WRONG = ENV.replace("temperature: {type: float", "temperature: {scale: 10, type: float")
STRICT = ENV.replace('pattern: "[^/]{1,64}"', 'pattern: "x[^/]{1,64}"').replace("d1", "x1")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    made = Mosquitto(tmp_path / "broker", host="::1")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[FakeRegistry]:
    async with open_registry(tmp_path) as made:
        yield made


@pytest.fixture
async def agent(
    tmp_path: Path, broker: Mosquitto, registry: FakeRegistry
) -> AsyncIterator[RealAgent]:
    made = RealAgent(
        tmp_path,
        broker,
        OTHER,
        more=f"uplink: {{url: '{registry.url}'}}\n"
        f"catalogue: {{key_file: {registry.key_file}, every: 1s}}\n",
    )
    made.start()
    await made.until(connected)
    yield made
    await made.kill()


async def follows(agent: RealAgent, version: str) -> None:
    async with asyncio.timeout(40):
        while version not in str((await agent.get("/profiles"))["used"].get("test/env")):
            await asyncio.sleep(0.2)
    await agent.until(connected)


async def run(agent: RealAgent, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("tidegate")),
        "edge", *words, "--config", str(agent.config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()


async def test_a_wrong_version_is_seen_in_the_shadow_taken_back_and_mended(
    agent: RealAgent, broker: Mosquitto, registry: FakeRegistry
) -> None:
    good, wrong = registry.add(ENV, "1.0.0"), registry.add(WRONG, "1.1.0", "shadow")
    registry.offer(good)
    await follows(agent, "1.0.0")
    connects = agent.log().count("broker_connected")

    registry.offer(good, wrong)
    async with asyncio.timeout(60):
        while not (heard := [r for r in registry.reports if r.kind == "shadow" and r.messages]):
            await broker.publish("tg/d1/up", '{"temperature": 5.5}')
            await asyncio.sleep(1)
    report = heard[-1]
    ((difference),) = report.differences
    assert (difference.change, difference.subject) == ("changed", "temperature")
    assert (difference.before, difference.after) == ("5.5", "55.0")
    shown = await run(agent, "shadow", "test/env")
    assert "1.1.0 beside 1.0.0" in shown
    assert "temperature" in shown

    strict, mended = registry.add(STRICT, "1.2.0"), registry.add(ENV, "1.3.0")
    registry.offer(strict)
    await follows(agent, "1.2.0")
    await broker.publish("tg/d1/up", '{"temperature": 7}')
    await agent.until(lambda status: status["refused"].get("bad_device_id") == 1)
    registry.offer(good)
    await follows(agent, "1.0.0")
    registry.offer(mended)
    await follows(agent, "1.3.0")
    done = json.loads(await run(agent, "replay", "--refused", "--profile", "test/env", "--json"))
    assert done == {"tried": 1, "mended": 1, "refused": {}, "cut": 0}

    assert agent.log().count("broker_connected") == connects
    listed = await run(agent, "profiles")
    assert "test/env" in listed
    assert "1.3.0" in listed
    assert await agent.end() == 0
    uses, sevens = told(agent)
    assert [(each.version, each.previous, each.origin) for each in uses] == [
        ("1.0.0", "", "centre"),
        ("1.3.0", "1.0.0", "centre"),  # 1.2.0 read nothing: no reading is its work
    ]
    assert len(sevens) == 1


def told(agent: RealAgent) -> tuple[list[ProfileUse], list[Reading]]:
    """What the spool has of versions of the profile, and of the reading that was refused first."""
    with open_reader(agent.folder / "var" / "spool.db") as spool:
        batch = spool.read_after(0, 10_000)
    assert batch is not None
    uses = [e for e in batch.records if isinstance(e, ProfileUse) and e.profile == "test/env"]
    readings = [e for e in batch.records if isinstance(e, Reading)]
    return uses, [each for each in readings if each.fields.get("temperature") == 7.0]


async def test_a_mended_file_is_tried_on_what_the_site_has_before_it_is_used(
    agent: RealAgent, broker: Mosquitto, tmp_path: Path
) -> None:
    await broker.publish("other/d1/up", '{"temperature": 5.5}', '{"temperature": 6.5}')
    await agent.until(lambda status: status["accepted"].get("mqtt:site", 0) >= 4)
    await agent.end()  # what waited is written
    file = tmp_path / "next.yaml"
    file.write_text(
        OTHER.replace("temperature: {type: float", "temperature: {scale: 2, type: float")
    )
    found: dict[str, Any] = json.loads(await run(agent, "backtest", str(file), "--json"))
    assert (found["profile"], found["used"]) == ("test/other", "1.0.0")
    assert (found["summary"]["messages"], found["summary"]["differing"]) == (2, 2)
    table = await run(agent, "backtest", str(file))
    assert "changed" in table
    assert "11.0" in table
