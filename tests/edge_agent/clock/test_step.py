"""A clock that is set makes nobody silent who spoke, and nothing last longer than it did.

Registry, rules, pipeline and spool are the real ones; the clock is the test's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.clock.keeper import Machine
from edge_agent.clock.step import Step
from gateway_core.clock import NS
from gateway_core.model import Alarm
from tests.fakes.broker import Mosquitto
from tests.fakes.edge import NOW, Edge, Hands, arrival, open_edge, write_profile
from tests.fakes.running import running, until, write_config

pytestmark = pytest.mark.fault("F4")

MINUTE, HOUR = 60, 3600
AHEAD = 73 * 365 * 24 * HOUR
COOL, HOT = '{"temperature": 20}', '{"temperature": 70}'
DAMP = '{"humidity": 95}'


async def alarms(edge: Edge) -> list[tuple[str, str, str]]:
    return [(a.device, a.rule, a.state) for a in await edge.records() if isinstance(a, Alarm)]


def set_clock(edge: Edge, now: int, since: int) -> None:
    """Set the clock of an edge, as the keeper would tell; it stood right since ``since``."""
    step = Step(now - edge.clock.now, since, edge.clock.now)
    edge.clock.now = now
    edge.since.update({name: step.shown(at) for name, at in edge.since.items()})
    edge.rules.clock_stepped(step)


async def save(edge: Edge) -> None:
    await edge.registry.save((edge.spool.epoch, edge.spool.head))


def test_only_what_the_clock_told_before_is_called_otherwise() -> None:
    step = Step(100, since=5, until=9)
    assert [step.shown(each) for each in (4, 5, 9, 10)] == [4, 105, 109, 10]


async def test_after_a_start_in_1970_whoever_spoke_is_not_silent_once_the_clock_is_set(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("talks", COOL)
        await edge.say("mute", COOL)
        await save(edge)
    async with open_edge(tmp_path, clock=Hands(5 * NS)) as edge:
        edge.since["mqtt:site"] = 5 * NS
        for _ in range(20):
            edge.clock.pass_s(MINUTE)
            await edge.say("talks", COOL)
            await edge.pipeline.tick(edge.clock.now)
        assert await alarms(edge) == []
        set_clock(edge, NOW + HOUR * NS, since=0)
        assert edge.registry.devices["talks"].last_seen == NOW + HOUR * NS
        await edge.pipeline.tick(edge.clock.now)
        assert await alarms(edge) == [("mute", "silence", "raised")]
        await edge.pipeline.tick(edge.clock.pass_s(6 * MINUTE))
        assert (await alarms(edge))[1:] == [("talks", "silence", "raised")]


async def test_rules_look_at_what_comes_while_the_clock_stands_in_1970(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        await save(edge)
    async with open_edge(tmp_path, clock=Hands(5 * NS)) as edge:
        await edge.say("d1", HOT)
        await edge.say("d1", COOL)
        assert await alarms(edge) == [("d1", "hot", "raised"), ("d1", "hot", "cleared")]


async def test_after_a_minute_in_2099_silence_is_noticed_as_before(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        set_clock(edge, edge.clock.now + AHEAD * NS, since=NOW)
        await edge.pipeline.tick(edge.clock.pass_s(MINUTE))
        assert await alarms(edge) == []
        await edge.say("d1", COOL)
        set_clock(edge, NOW + 2 * MINUTE * NS, since=NOW + AHEAD * NS)
        await edge.pipeline.tick(edge.clock.pass_s(4 * MINUTE))
        assert await alarms(edge) == []
        await edge.pipeline.tick(edge.clock.pass_s(2 * MINUTE))
        assert await alarms(edge) == [("d1", "silence", "raised")]


async def test_what_must_hold_for_a_while_holds_for_it_whatever_the_clock_says(
    tmp_path: Path,
) -> None:
    for by in (HOUR, -HOUR):
        async with open_edge(tmp_path / str(by)) as edge:
            await edge.say("d1", DAMP)
            edge.clock.pass_s(10)
            set_clock(edge, edge.clock.now + by * NS, since=NOW)
            await edge.pipeline.tick(edge.clock.pass_s(10))
            assert await alarms(edge) == []
            await edge.pipeline.tick(edge.clock.pass_s(15))
            assert await alarms(edge) == [("d1", "damp", "raised")]


async def test_who_was_seen_by_a_clock_that_is_gone_is_seen_again_when_it_speaks(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        edge.clock.now += AHEAD * NS
        await edge.say("d1", COOL)
        await save(edge)
    async with open_edge(tmp_path, clock=Hands(NOW)) as edge:  # set while nobody looked
        await edge.say("d1", COOL)
        assert edge.registry.devices["d1"].last_seen == NOW
        await edge.pipeline.tick(edge.clock.pass_s(6 * MINUTE))
        assert await alarms(edge) == [("d1", "silence", "raised")]


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker")
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


async def test_a_running_agent_follows_its_clock(tmp_path: Path, broker: Mosquitto) -> None:
    clock = Hands(5 * NS)
    machine = Machine(Hands(40 * NS), lambda: None, lambda: "boot-1")
    write_profile(tmp_path / "profiles")
    async with running(write_config(tmp_path, broker), clock, machine) as agent:
        await agent._pipeline.ingest([arrival("tg/d1/up", COOL, clock.now)])
        await until(lambda: "mqtt:site" in agent._links.since)
        clock.now = NOW
        await until(lambda: agent._links.since["mqtt:site"] == NOW)
        assert agent._registry.devices["d1"].last_seen == NOW
