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


async def test_beyond_its_bytes_the_memory_gives_up_the_oldest_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (bytes([0xAA, n, 1, 2, 0]) for n in range(3))
    async with open_edge(tmp_path, profile=PARTED) as edge:
        held = edge.reader.memory
        await edge.pipeline.ingest([arrival("parts/d1", first)])
        monkeypatch.setattr(limits, "MOST_BYTES", 2 * held._bytes.total())
        await edge.pipeline.ingest([arrival("parts/d1", second), arrival("parts/d1", third)])
        assert len(await edge.spool.state("held/")) == 2
        assert [(r.reason, r.payload) for r in await edge.refused()] == [
            ("fragments_missing", first)
        ]


async def test_memory_that_cannot_be_read_is_forgotten_not_fatal(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        await edge.pipeline.ingest([], {"memory/dedup/test/env/d1": b"\xc1 broken"})
    async with open_edge(tmp_path, profile=DEDUP) as edge:
        assert await edge.say("d1", SECOND) == [None]


PARTED = """\
format: 1
id: test/parted
version: 1.0.0
vendor: Test
model: Parted
match: [{via: mqtt, topic: "parts/{id}"}]
device: {id: "{id}"}
decode:
  - frame: {start: "aa", header: [message: u8, number: u8, count: u8]}
  - fragments: {key: [message], index: number, total: count}
  - struct: {fields: [temperature: i16, humidity: u8]}
measurements:
  temperature: {type: float, unit: Cel, scale: 0.1}
  humidity: {type: int, unit: "%"}
store: {measurement: parted}
egress: {class: operational, default: none}
tests:
  - name: in two parts
    steps:
      - {recv: {topic: parts/d1, hex: "aa 01 01 02 00d7"}, expect: {points: []}}
      - {recv: {topic: parts/d1, hex: "aa 01 02 02 28"}, expect: {device: d1, points: [{temperature: 21.5, humidity: 40}]}}
  - {name: whole, recv: {topic: parts/d1, hex: "aa 01 01 01 00d728"}, expect: {points: [{temperature: 21.5, humidity: 40}]}}
  - {name: no such part, recv: {topic: parts/d1, hex: "aa 01 03 02 28"}, expect: {reject: bad_fragment}}
"""
ONE, TWO = bytes.fromhex("aa01010200d7"), bytes.fromhex("aa01020228")


async def _part(edge: Edge, *payloads: bytes) -> list[str | None]:
    arrivals = [arrival("parts/d1", each, edge.clock.now) for each in payloads]
    return await edge.pipeline.ingest(arrivals)


async def test_a_part_is_acknowledged_kept_over_a_restart_and_then_read_with_the_rest(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        assert await _part(edge, ONE) == [None]
        assert await edge.records() == []
        assert list(await edge.spool.state("held/")) == ["held/fragments/test/parted/2/1/0"]
        assert b'tidegate_held_total{source="mqtt:site"} 1.0' in edge.meter.render()
    async with open_edge(tmp_path, profile=PARTED) as edge:
        assert await _part(edge, TWO) == [None]
        assert [r.fields for r in await edge.readings()] == [{"temperature": 21.5, "humidity": 40}]
        assert await edge.spool.state("held/") == {}


async def test_a_part_whose_rest_does_not_come_is_refused_raw_after_ten_minutes(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        await _part(edge, ONE)
        await edge.pipeline.tick(NOW + 600_000_000_000)
        assert await edge.refused() == []
        await edge.pipeline.tick(NOW + 600_000_000_001)
        assert [(r.reason, r.payload, r.address, r.received) for r in await edge.refused()] == [
            ("fragments_missing", ONE, "parts/d1", NOW)
        ]
        assert await edge.spool.state("held/") == {}


async def test_refused_parts_are_read_by_a_replay_when_all_are_there(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        await _part(edge, ONE)
        await edge.pipeline.tick(NOW + 700_000_000_000)
        await _part(edge, TWO)
        edge.clock.pass_s(1)
        done = await replay(edge.spool, edge.pipeline)
        assert (done.tried, done.mended) == (1, 1)
        assert [r.fields for r in await edge.readings()] == [{"temperature": 21.5, "humidity": 40}]
        assert await edge.refused() == []
        assert await edge.spool.state("held/") == {}


async def test_a_replay_moves_a_part_from_the_refused_to_the_held_and_back(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        await _part(edge, ONE)
        await edge.pipeline.tick(NOW + 700_000_000_000)
        edge.clock.pass_s(1000)
        await replay(edge.spool, edge.pipeline)
        assert await edge.refused() == []
        assert len(await edge.spool.state("held/")) == 1
        await edge.pipeline.tick(edge.clock.pass_s(601))
        assert [r.payload for r in await edge.refused()] == [ONE]


async def test_another_message_with_the_same_number_does_not_make_the_first_vanish(
    tmp_path: Path,
) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        other = bytes.fromhex("aa01010200e6")
        await _part(edge, ONE, ONE, other, TWO)
        assert [r.fields["temperature"] for r in await edge.readings()] == [23.0]
        assert [(r.reason, r.payload) for r in await edge.refused()] == [("fragments_missing", ONE)]


async def test_a_thousand_unfinished_messages_are_held_and_no_more(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        parts = [
            arrival(f"parts/d{n // 200}", bytes([0xAA, n % 200, 1, 2 + n // 200, 0]), NOW)
            for n in range(1001)
        ]
        assert await edge.pipeline.ingest(parts) == [None] * 1001
        assert len(await edge.spool.state("held/")) == 1000
        assert [(r.reason, r.payload) for r in await edge.refused()] == [
            ("fragments_missing", bytes([0xAA, 0, 1, 2, 0]))
        ]


async def test_parts_that_a_full_spool_did_not_take_are_held_once(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=PARTED) as edge:
        log = FullLog()
        pipeline = Pipeline(log, edge.pipeline._reader, edge.registry, edge.rules)
        both = [arrival("parts/d1", ONE), arrival("parts/d1", TWO)]
        for _ in range(2):
            with pytest.raises(SpoolFull):
                await pipeline.ingest(both)
        log.full = False
        assert await pipeline.ingest(both) == [None, None]
        readings = [r for records, _ in log.stored for r in records if isinstance(r, Reading)]
        assert len(readings) == 1
