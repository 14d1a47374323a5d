"""Promise: an alarm waits behind one batch at most, however deep the backlog it stands in is."""

from __future__ import annotations

import asyncio

from gateway_core import lanes as lanes_module
from gateway_core.forward import forward
from gateway_core.lanes import Lanes
from gateway_core.model import Alarm
from gateway_core.spool import SpoolOptions, open_spool, schema
from tests.core.test_forward import QUICK, forward_until
from tests.fakes.core import START, ListSink, readings


def alarm(n: int) -> Alarm:
    return Alarm("edge-a", f"d{n}", "p", "hot", "major", "raised", START + n)


async def test_alarms_in_a_backlog_leave_before_it_and_each_once(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        marks = []
        for step in range(5):
            await spool.append(readings(spool.head + 1, spool.head + 600), source="s")
            marks.append((await spool.append([alarm(step)], source="s")).first)
        await forward_until(spool, sink, limit=100, lanes=Lanes(behind=100))
        assert (await spool.books()).residual == 0
    assert [batch.first for batch in sink.batches[:5]] == marks
    assert [len(batch.records) for batch in sink.batches[:5]] == [1] * 5
    assert sorted(sink.seqs) == list(range(1, 3006))


async def test_an_alarm_that_is_raised_now_goes_next(tmp_path):
    sink, raised = ListSink(), []
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 3000), source="s")

        async def raise_one(_batch) -> None:
            if len(sink.batches) in {3, 7}:
                raised.append((await spool.append([alarm(1)], source="s")).first)

        sink.before_send = raise_one
        await forward_until(spool, sink, limit=100, lanes=Lanes(behind=10**9))
    assert [sink.batches[at + 1].first for at in (3, 7)] == raised


async def test_alarms_that_are_near_go_together(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 1000), source="s")
        for n in range(10):
            await spool.append([alarm(n), *readings(1, 9)], source="s")
        await forward_until(spool, sink, limit=500, lanes=Lanes())
    assert (sink.batches[0].first, sink.batches[0].last) == (1001, 1091)


async def test_an_alarm_behind_a_gap_goes_before_the_rest_however_little_that_is(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        for before in (10, 89, 48):  # alarms 11, 101 and 150; the first two are near
            await spool.append(readings(1, before), source="s")
            await spool.append([alarm(before)], source="s")
        await spool.append(readings(1, 10), source="s")
        await forward_until(spool, sink, limit=100, lanes=Lanes())
    assert [(batch.first, batch.last) for batch in sink.batches[:2]] == [(11, 101), (150, 150)]
    assert sorted(sink.seqs) == list(range(1, 161))


async def test_alarms_wait_for_the_backlog_rather_than_leave_too_many_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(lanes_module, "MOST_PIECES", 3)
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        for n in range(8):
            await spool.append(readings(1, 400), source="s")
            await spool.append([alarm(n)], source="s")
        await forward_until(spool, sink, limit=300, lanes=Lanes())
        assert (await spool.books()).residual == 0
    assert [batch.first for batch in sink.batches[:4]] == [401, 802, 1203, 1]
    assert sorted(sink.seqs) == list(range(1, 3209))


async def first_batch_steps(path, segments: int) -> int:
    """Return how many steps SQLite takes from opening a spool to its first batch."""
    options = SpoolOptions(group_commit_s=0.0, group_records=5)
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("list")
        for _ in range(segments // 200):  # a segment of each five records
            await spool.append(readings(1, 1000), source="s")
    steps, sink = [0], ListSink()

    def step() -> bool:
        steps[0] += 1
        return False

    opened = schema.open_writer, schema.open_reader

    def counted(opener):
        def open_it(*args):
            db = opener(*args)
            db.set_progress_handler(step, 1)
            return db

        return open_it

    schema.open_writer, schema.open_reader = map(counted, opened)
    try:
        sent = asyncio.Event()

        async def note(_batch) -> None:
            sent.set()
            await asyncio.Event().wait()

        sink.before_send = note
        async with open_spool(path, "edge-a", options) as spool:
            mover = asyncio.create_task(forward(spool, sink, limit=100, lanes=Lanes()))
            await sent.wait()
            found = steps[0]
            mover.cancel()
    finally:
        schema.open_writer, schema.open_reader = opened
    return found


async def test_the_first_batch_after_a_start_costs_the_same_at_any_depth(tmp_path):
    shallow = await first_batch_steps(tmp_path / "a.db", 1_000)
    deep = await first_batch_steps(tmp_path / "b.db", 20_000)
    assert shallow > 100
    assert deep < shallow + 200
