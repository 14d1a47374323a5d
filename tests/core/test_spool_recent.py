"""Promise: what is near the head is decoded once, whoever works off a backlog meanwhile."""

from __future__ import annotations

import pytest

from gateway_core.spool import SpoolOptions, open_spool, rows
from gateway_core.spool.recent import Recent
from tests.fakes.core import readings


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


async def test_a_segment_is_decoded_once_however_small_the_batches(
    tmp_path, monkeypatch: pytest.MonkeyPatch
):
    decoded: list[int] = []
    unpack = rows.unpack

    def counting(segment, owner, epoch):
        decoded.append(segment.first)
        return unpack(segment, owner, epoch)

    options = SpoolOptions(group_commit_s=0.0, group_records=10, cache_records=10)
    async with open_spool(tmp_path / "s.db", "edge-a", options) as spool:
        for first in range(1, 50, 10):
            await spool.append(readings(first, first + 9), source="s")
        await spool.register("c")
        monkeypatch.setattr(rows, "unpack", counting)
        for first in range(1, 50, 3):
            batch = await spool.read("c", 3)
            assert batch.first == first
            await spool.settle("c", batch.first, batch.last)
    assert decoded == [1, 11, 21, 31]
