"""What decoders remember is stored with what made them remember it, is bounded, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent import memory as limits
from edge_agent.pipeline import Pipeline
from edge_agent.replay import replay
from gateway_core.errors import SpoolFull
from gateway_core.model import Alarm, Reading
from tests.edge_agent.core.test_pipeline import FullLog
from tests.fakes.edge import ENV, NOW, Edge, Hands, arrival, open_edge, write_profile

DEDUP = ENV.replace("decode:", "dedup: [n]\ndecode:")
FIRST, SECOND = '{"n": 1, "temperature": 70}', '{"n": 2, "temperature": 20}'


async def test_a_duplicate_is_refused_raw_and_gives_no_reading_and_no_alarm(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        assert await edge.say("d1", FIRST, FIRST, SECOND) == [None, "duplicate", None]
        assert [r.fields["temperature"] for r in await edge.readings()] == [70.0, 20.0]
        alarms = [r.state for r in await edge.records() if isinstance(r, Alarm)]
        assert alarms == ["raised", "cleared"]
        assert [(r.reason, r.payload) for r in await edge.refused()] == [
            ("duplicate", FIRST.encode())
        ]


async def test_what_was_said_is_known_after_a_restart(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        await edge.say("d1", FIRST)
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        assert await edge.say("d1", FIRST, SECOND) == ["duplicate", None]


async def test_an_arrival_that_a_full_spool_did_not_take_is_no_duplicate_of_itself(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        log = FullLog()
        pipeline = Pipeline(log, edge.pipeline._reader, edge.registry, edge.rules)
        twice = [arrival("tg/d1/up", FIRST), arrival("tg/d1/up", FIRST)]
        for _ in range(3):
            with pytest.raises(SpoolFull):
                await pipeline.ingest(twice, {"mqtt/x": b"1"})
        log.full = False
        assert await pipeline.ingest(twice, {"mqtt/x": b"1"}) == [None, "duplicate"]
        readings = [r for records, _ in log.stored for r in records if isinstance(r, Reading)]
        assert len(readings) == 1
        assert [sorted(state) for _, state in log.stored] == [
            ["alarm/d1", "memory/dedup/test/env/d1"],
            ["mqtt/x"],
        ]


async def test_nothing_new_is_read_while_what_moved_a_memory_is_owed(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        log = FullLog()
        pipeline = Pipeline(log, edge.pipeline._reader, edge.registry, edge.rules)
        for text in (FIRST, SECOND, FIRST):
            with pytest.raises(SpoolFull):
                await pipeline.ingest([arrival("tg/d1/up", text)])
        assert len(pipeline._owed.records) == 1


async def test_the_memory_of_a_reading_and_the_reading_are_one_transaction(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        log = FullLog()
        log.full = False
        pipeline = Pipeline(log, edge.pipeline._reader, edge.registry, edge.rules)
        await pipeline.ingest([arrival("tg/d1/up", SECOND)])
        records, state = log.stored[0]
        assert [type(r) for r in records][-1] is Reading
        assert list(state) == ["memory/dedup/test/env/d1"]


async def test_a_replay_leaves_duplicates_alone_unless_they_are_named(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        await edge.say("d1", FIRST, FIRST)
        assert (await replay(edge.spool, edge.pipeline)).tried == 0
        named = await replay(edge.spool, edge.pipeline, reason="duplicate")
        assert (named.tried, named.mended) == (1, 0)
        assert len(await edge.readings()) == 1


async def test_a_replay_finds_duplicates_among_what_it_reads(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        for topic in ("other/d1/up", "other/d1/up"):
            await edge.pipeline.ingest([arrival(topic, SECOND)])
        wider = DEDUP.replace(
            "  - {via: coap", '  - {via: mqtt, topic: "other/{id}/up"}\n  - {via: coap'
        )
        _reload(edge, tmp_path, wider)
        done = await replay(edge.spool, edge.pipeline)
        assert (done.tried, done.mended, done.refused) == (2, 1, {"duplicate": 1})
        assert len(await edge.readings()) == 1


def _reload(edge: Edge, folder: Path, profile: str) -> None:
    from device_profiles.catalogue import load_catalogue

    edge.ways.use(load_catalogue([write_profile(folder / "profiles", profile)], shipped=False))


async def test_a_device_that_is_not_let_in_teaches_nothing(tmp_path: Path) -> None:
    async with open_edge(tmp_path, "hold", profile=DEDUP) as edge:
        assert await edge.say("d1", FIRST, FIRST) == ["device_held", "device_held"]
        assert await edge.spool.state("memory/") == {}


async def test_an_hour_after_the_last_message_nothing_is_kept(tmp_path: Path) -> None:
    clock = Hands()
    async with open_edge(tmp_path, profile=DEDUP, clock=clock) as edge:
        await edge.say("d1", SECOND)
        assert len(await edge.spool.state("memory/")) == 1
        await edge.pipeline.tick(NOW + 3_600_000_000_001)
        assert await edge.spool.state("memory/") == {}


async def test_beyond_its_limit_the_memory_forgets_the_oldest_and_counts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits.MOST, "dedup", 2)
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        for device in ("d1", "d2", "d3"):
            await edge.say(device, SECOND)
        assert sorted(await edge.spool.state("memory/")) == [
            "memory/dedup/test/env/d2",
            "memory/dedup/test/env/d3",
        ]
        assert b'tidegate_memory_evicted_total{kind="dedup"} 1.0' in edge.meter.render()


async def test_memory_that_cannot_be_read_is_forgotten_not_fatal(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        await edge.pipeline.ingest([], {"memory/dedup/test/env/d1": b"\xc1 broken"})
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        assert await edge.say("d1", SECOND) == [None]
