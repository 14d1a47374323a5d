"""Promise: forward delivers everything once, and with lanes the present does not wait for the past."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_core.errors import Unavailable
from gateway_core.forward import forward
from gateway_core.lanes import Lanes
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.core import ListSink, readings

QUICK = SpoolOptions(group_commit_s=0.0, group_records=40)


class Enough(Exception):
    """The sink has what the test waited for."""


async def forward_until(spool, sink, **options) -> None:
    """Forward until everything that the spool has is settled."""

    async def watch() -> None:
        while True:
            await spool.grown(-1)
            if spool.settled(sink.name) == spool.head:
                raise Enough
            await asyncio.sleep(0)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(forward(spool, sink, **options))
            group.create_task(watch())
    except* Enough:
        pass


async def test_forward_delivers_in_order_and_settles(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 100), source="s")
        await forward_until(spool, sink, limit=30)
        assert (await spool.books()).consumers["list"].delivered == 100
    assert sink.seqs == list(range(1, 101))
    assert max(len(batch.records) for batch in sink.batches) == 30


async def test_what_was_not_settled_comes_again(tmp_path):
    sink = ListSink(failures=1)
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.append(readings(1, 10), source="s")
        with pytest.raises(Unavailable, match="told to fail"):
            await forward(spool, sink)
        await forward_until(spool, sink)
    assert sink.seqs == list(range(1, 11))


async def test_batches_under_way_together_are_settled_in_order_once_the_first_is_stored(tmp_path):
    sink, stored = ListSink(), asyncio.Event()

    async def slow_first(batch) -> None:
        if batch.first == 1:
            await stored.wait()

    sink.before_send = slow_first
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.append(readings(1, 100), source="s")
        async with asyncio.TaskGroup() as group:
            mover = group.create_task(forward(spool, sink, limit=10, at_once=3))
            while len(sink.batches) < 2:
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)  # more are not begun, and none is settled before the first
            assert [batch.first for batch in sink.batches] == [11, 21]
            assert spool.settled("list") == 0
            stored.set()
            while spool.settled("list") < 100:
                await asyncio.sleep(0)
            mover.cancel()
        assert (await spool.books()).consumers["list"].delivered == 100
    assert sorted(sink.seqs) == list(range(1, 101))


async def test_what_was_stored_beyond_a_batch_that_failed_comes_again_after_it(tmp_path):
    sink, failed = ListSink(), False

    async def fail_once(batch) -> None:
        nonlocal failed
        if batch.first == 1 and not failed:
            failed = True
            while len(sink.batches) < 2:
                await asyncio.sleep(0)
            raise Unavailable("told to fail")

    sink.before_send = fail_once
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.append(readings(1, 30), source="s")
        with pytest.raises(Unavailable, match="told to fail"):
            await forward(spool, sink, limit=10, at_once=3)
        assert spool.settled("list") == 0
        await forward_until(spool, sink, limit=10, at_once=3)
    assert [batch.first for batch in sink.batches] == [11, 21, 1, 11, 21]


async def test_live_data_goes_before_the_backlog(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 1000), source="s")

        async def arrive(_batch) -> None:
            if spool.head < 1500:
                await spool.append(readings(spool.head + 1, spool.head + 50), source="s")

        sink.before_send = arrive
        await forward_until(spool, sink, limit=50, lanes=Lanes(behind=100, share=0.3))
        assert (await spool.books()).residual == 0
    live = [index for index, batch in enumerate(sink.batches) if batch.first > 1000]
    late = [index for index, batch in enumerate(sink.batches) if batch.last <= 1000]
    assert max(live) < max(late)
    assert sorted(sink.seqs) == list(range(1, 1501))
    contended = sink.batches[: max(live) + 1]
    share = sum(batch.last <= 1000 for batch in contended) / len(contended)
    assert 0.2 <= share <= 0.4


async def test_a_backlog_without_live_data_gets_everything(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 1000), source="s")
        await forward_until(spool, sink, limit=100, lanes=Lanes(behind=100))
    assert [batch.first for batch in sink.batches] == list(range(1, 1001, 100))


@settings(max_examples=25)
@given(
    backlog=st.integers(0, 300),
    arrivals=st.lists(st.integers(0, 60), max_size=12),
    limit=st.integers(1, 70),
    behind=st.integers(0, 200),
    share=st.floats(0.0, 1.0),
    failures=st.sets(st.integers(0, 15), max_size=3),
)
def test_nothing_is_sent_twice_and_all_is_settled(
    tmp_path_factory, backlog, arrivals, limit, behind, share, failures
):
    async def scenario() -> None:
        sink, waiting, sends = ListSink(), list(arrivals), iter(range(10_000))
        path = tmp_path_factory.mktemp("lanes") / "s.db"
        async with open_spool(path, "edge-a", QUICK) as spool:
            await spool.register("list")
            await spool.append(readings(1, backlog), source="s")

            async def arrive(_batch) -> None:
                if waiting:
                    count = waiting.pop()
                    await spool.append(readings(spool.head + 1, spool.head + count), source="s")
                if next(sends) in failures:
                    sink.failures = 1

            sink.before_send = arrive
            lanes = Lanes(behind, share)
            while spool.settled("list") < spool.head:
                try:
                    await until_settled(spool, sink, limit, lanes)
                except Unavailable:
                    continue
            assert sorted(sink.seqs) == list(range(1, spool.head + 1))
            assert (await spool.books()).consumers["list"].delivered == spool.head

    asyncio.run(scenario())


async def until_settled(spool, sink, limit, lanes) -> None:
    async def stop_at_the_end(batch) -> None:
        await arrive(batch)

    arrive = sink.before_send
    try:
        sink.before_send = stop_at_the_end
        async with asyncio.TaskGroup() as group:
            mover = group.create_task(forward(spool, sink, limit=limit, lanes=lanes))
            while spool.settled(sink.name) < spool.head and not mover.done():
                await asyncio.sleep(0)
            mover.cancel()
    except* Unavailable as caught:
        raise Unavailable(str(caught)) from None
    finally:
        sink.before_send = arrive
