"""Promise: what is near the head is decoded once, whoever works off a backlog meanwhile."""

from __future__ import annotations

import pytest

from gateway_core.spool import SpoolOptions, open_spool, rows
from gateway_core.spool.recent import Recent
from tests.fakes.core import readings

TENS = SpoolOptions(group_commit_s=0.0, group_records=10, cache_records=50)


def test_a_backlog_pushes_out_nothing_of_the_newest():
    recent = Recent(20)
    recent.add(101, readings(101, 110))
    recent.add(111, readings(111, 120))
    for first in range(1, 100, 10):
        recent.add_again(first, readings(first, first + 9))
    assert recent.take(101, 100) == readings(101, 120)
    assert recent.take(91, 10) == readings(91, 100)
    assert recent.take(1, 10) == []


def test_the_oldest_of_the_newest_make_room():
    recent = Recent(20)
    for first in (1, 11, 21):
        recent.add(first, readings(first, first + 9))
    assert recent.take(1, 10) == []
    assert recent.take(11, 100) == readings(11, 30)


def test_a_segment_larger_than_the_limit_is_kept_alone():
    recent = Recent(4)
    recent.add(1, readings(1, 10))
    recent.add_again(11, readings(11, 20))
    assert recent.take(1, 100) == readings(1, 20)


def test_what_was_dropped_is_not_served():
    recent = Recent(20)
    recent.add(1, readings(1, 10))
    recent.add_again(11, readings(11, 20))
    recent.drop(1)
    recent.drop(11)
    recent.drop(11)
    assert recent.take(1, 1) == recent.take(11, 1) == []


def test_what_everyone_near_has_passed_is_forgotten_but_for_the_last():
    recent = Recent(100)
    for first in (1, 11, 21):
        recent.add(first, readings(first, first + 9))
    recent.passed(15)
    assert recent.take(1, 10) == []
    assert recent.take(11, 100) == readings(11, 30)
    recent.passed(30)
    assert recent.take(21, 10) == readings(21, 30)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first numbers of the segments that had to be decoded."""
    firsts: list[int] = []
    unpack = rows.unpack

    def counting(segment, owner, epoch):
        firsts.append(segment.first)
        return unpack(segment, owner, epoch)

    monkeypatch.setattr(rows, "unpack", counting)
    return firsts


async def test_what_a_consumer_near_the_head_has_yet_to_read_stays_in_memory(tmp_path, decoded):
    async with open_spool(tmp_path / "s.db", "edge-a", TENS) as spool:
        for consumer in ("quick", "slow", "gone"):
            await spool.register(consumer)
        for first in range(1, 100, 10):
            await spool.append(readings(first, first + 9), source="s")
        await spool.settle("slow", 1, 65)
        await spool.settle("quick", 1, 100)
        assert (await spool.read("slow", 100)).records == readings(66, 100)
        assert decoded == []
        assert (await spool.read_after(50, 5)).records == readings(51, 55)
        assert decoded == [51]
        assert (await spool.read("gone", 100)).records == readings(1, 100)


async def test_live_data_is_near_although_a_backlog_waits(tmp_path, decoded):
    async with open_spool(tmp_path / "s.db", "edge-a", TENS) as spool:
        await spool.register("late")
        await spool.register("quick")
        for first in range(1, 100, 10):
            await spool.append(readings(first, first + 9), source="s")
        await spool.settle("late", 61, 70)
        await spool.settle("quick", 1, 100)
        assert (await spool.read_after(70, 100)).records == readings(71, 100)
        assert decoded == []


def test_a_gap_ends_before_the_next_segment_that_is_here():
    recent = Recent(20)
    recent.add(11, readings(11, 20))
    assert recent.until(3) == 10
    assert recent.until(11) is None


async def test_a_batch_is_whole_although_only_a_part_of_it_is_remembered(tmp_path):
    options = SpoolOptions(group_commit_s=0.0, group_records=10, cache_records=10)
    async with open_spool(tmp_path / "s.db", "edge-a", options) as spool:
        for first in range(1, 100, 10):
            await spool.append(readings(first, first + 9), source="s")
        await spool.register("c")
        for first, last in ((1, 25), (26, 50), (51, 75), (76, 100)):
            batch = await spool.read("c", 25)
            assert batch.records == readings(first, last)
            await spool.settle("c", batch.first, batch.last)


async def test_a_segment_is_decoded_once_however_small_the_batches(tmp_path, decoded):
    options = SpoolOptions(group_commit_s=0.0, group_records=10, cache_records=10)
    async with open_spool(tmp_path / "s.db", "edge-a", options) as spool:
        for first in range(1, 50, 10):
            await spool.append(readings(first, first + 9), source="s")
        await spool.register("c")
        for first in range(1, 50, 3):
            batch = await spool.read("c", 3)
            assert batch.first == first
            await spool.settle("c", batch.first, batch.last)
    assert decoded == [1, 11, 21, 31]
