"""Alarms are raised and cleared once, survive a restart, and our own outage is nobody's silence."""

from __future__ import annotations

from pathlib import Path

from gateway_core.model import Alarm
from tests.fakes.edge import NOW, Edge, Hands, open_edge

MINUTE = 60
HOT, COOL = '{"temperature": 70}', '{"temperature": 20}'
DAMP, DRY = '{"humidity": 95}', '{"humidity": 40}'


async def alarms(edge: Edge) -> list[tuple[str, str]]:
    """Return rule and state of every alarm in the spool."""
    return [(a.rule, a.state) for a in await edge.records() if isinstance(a, Alarm)]


async def test_a_threshold_is_raised_and_cleared_once_with_text_and_severity(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", HOT, HOT, '{"temperature": 58}', COOL, COOL)
        assert await alarms(edge) == [("hot", "raised"), ("hot", "cleared")]
        raised = next(each for each in await edge.records() if isinstance(each, Alarm))
        assert raised == Alarm(
            "e1", "d1", "test/env", "hot", "major", "raised", NOW, {"en": "Hot", "zh": "过热"}
        )


async def test_an_alarm_is_stored_with_the_reading_that_raised_it(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", HOT)
        batch = await edge.spool.read_after(0, 100)
        assert batch is not None
        assert [type(each).__name__ for each in batch.records] == ["Listed", "Alarm", "Reading"]


async def test_memory_is_stored_only_when_a_rule_changes(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        assert await edge.spool.state("alarm/") == {}
        await edge.say("d1", HOT)
        kept = await edge.spool.state("alarm/")
        await edge.say("d1", '{"temperature": 75}')
        assert await edge.spool.state("alarm/") == kept
        assert list(kept) == ["alarm/d1"]


async def test_a_raised_alarm_is_neither_forgotten_nor_raised_twice_by_a_restart(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", HOT)
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", HOT)
        await edge.say("d1", COOL)
        assert await alarms(edge) == [("hot", "raised"), ("hot", "cleared")]


async def test_a_condition_that_must_last_is_raised_by_the_clock_alone(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", DAMP)
        await edge.pipeline.tick(edge.clock.pass_s(29))
        assert await alarms(edge) == []
        await edge.pipeline.tick(edge.clock.pass_s(2))
        await edge.pipeline.tick(edge.clock.pass_s(60))
        assert await alarms(edge) == [("damp", "raised")]


async def test_a_condition_that_ceased_in_time_is_never_raised(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", DAMP)
        edge.clock.pass_s(10)
        await edge.say("d1", DRY)
        await edge.pipeline.tick(edge.clock.pass_s(60))
        assert await alarms(edge) == []


async def test_a_device_that_falls_silent_raises_once_and_clears_when_it_speaks(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        await edge.pipeline.tick(edge.clock.pass_s(4 * MINUTE))
        assert await alarms(edge) == []
        await edge.pipeline.tick(edge.clock.pass_s(2 * MINUTE))
        await edge.pipeline.tick(edge.clock.pass_s(2 * MINUTE))
        assert await alarms(edge) == [("silence", "raised")]
        await edge.say("d1", COOL)
        assert await alarms(edge) == [("silence", "raised"), ("silence", "cleared")]
        assert await edge.spool.state("silence/") == {}


async def test_silence_is_remembered_over_a_restart(tmp_path: Path) -> None:
    clock = Hands()
    async with open_edge(tmp_path, clock=clock) as edge:
        await edge.say("d1", COOL)
        await edge.pipeline.tick(clock.pass_s(6 * MINUTE))
    async with open_edge(tmp_path, clock=clock) as edge:
        await edge.pipeline.tick(clock.pass_s(6 * MINUTE))
        await edge.say("d1", COOL)
        assert await alarms(edge) == [("silence", "raised"), ("silence", "cleared")]


async def test_while_its_source_is_away_no_device_is_silent(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        del edge.since["mqtt:site"]
        await edge.pipeline.tick(edge.clock.pass_s(60 * MINUTE))
        assert await alarms(edge) == []


async def test_after_an_outage_devices_get_their_whole_time_to_speak_again(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", COOL)
        edge.since["mqtt:site"] = edge.clock.pass_s(60 * MINUTE)
        await edge.pipeline.tick(edge.clock.pass_s(4 * MINUTE))
        assert await alarms(edge) == []
        await edge.pipeline.tick(edge.clock.pass_s(2 * MINUTE))
        assert await alarms(edge) == [("silence", "raised")]


async def test_a_listed_device_that_never_spoke_is_not_silent(tmp_path: Path) -> None:
    from edge_agent.listing import Listing

    async with open_edge(tmp_path) as edge:
        edge.registry.enlist([Listing("d7", "test/env")])
        await edge.pipeline.tick(edge.clock.pass_s(60 * MINUTE))
        assert await alarms(edge) == []
