"""What lost data elsewhere loses nothing here: one case for each, named after what happened there.

The reports and measurements are listed in docs/reference/faults.md; cases that need a whole city or
a power cut are where the city and the power cut are.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway_core.errors import Unavailable
from gateway_core.forward import forward
from gateway_core.model import Batch, Receipt, Rejection
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.supervise import Patience, supervise
from tests.fakes.core import ListSink, reading, readings

QUICK = SpoolOptions(group_commit_s=0.0)


class Partly(ListSink):
    """Takes the first two records of a batch, then the connection breaks; whole batches later."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []
        self.breaks = 1

    async def send(self, batch: Batch) -> Receipt:
        if self.breaks:
            self.breaks -= 1
            self.taken += [batch.first, batch.first + 1]
            raise Unavailable("the connection broke after two")
        self.taken += range(batch.first, batch.last + 1)
        return await super().send(batch)


async def forwarded(spool, sink) -> None:
    """Forward under supervision until everything is settled."""
    await spool.register(sink.name)
    async with asyncio.TaskGroup() as tasks:
        work = lambda: forward(spool, sink, limit=5)  # noqa: E731
        running = tasks.create_task(supervise("sink", work, Patience(0.001, 0.01)))
        async with asyncio.timeout(30):
            while spool.settled(sink.name) < spool.head:
                await asyncio.sleep(0.005)
        running.cancel()


@pytest.mark.fault("R1")
async def test_telegraf_a_batch_taken_in_part_sends_the_rest_once_and_after_a_restart_too(tmp_path):
    path = tmp_path / "s.db"
    async with open_spool(path, "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 5), source="s")
        await spool.settle("list", 1, 1)
        await spool.settle("list", 3, 3)  # the second of three was not taken
    sink = ListSink()
    async with open_spool(path, "edge-a", QUICK) as spool:
        await forwarded(spool, sink)
        assert (await spool.books()).residual == 0
    assert sink.seqs == [2, 4, 5]


async def test_telegraf_a_batch_with_one_refused_in_the_middle_keeps_it_and_delivers_the_rest(
    tmp_path,
):
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.register("list")
        await spool.append(readings(1, 5), source="s")
        await spool.settle("list", 1, 3, Receipt(rejected=(Rejection(2, "bad", "told"),)))
        sink = ListSink()
        await forwarded(spool, sink)
        books = (await spool.books()).consumers["list"]
        assert (books.delivered, books.quarantined) == (4, 1)
        assert [each.record for each in await spool.quarantined(9)] == [reading(2)]
    assert sink.seqs == [4, 5]


@pytest.mark.fault("R7")
async def test_fledge_a_send_that_broke_in_the_middle_skips_nothing(tmp_path):
    sink = Partly()
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.append(readings(1, 12), source="s")
        await forwarded(spool, sink)
    assert sink.taken[:2] == [1, 2]
    assert sink.seqs == list(range(1, 13))


@pytest.mark.fault("R11")
async def test_vector_a_single_record_does_not_wait_for_the_next_one(tmp_path):
    sink = ListSink()
    async with open_spool(tmp_path / "s.db", "edge-a") as spool:
        await spool.append(readings(1, 1), source="s")
        await forwarded(spool, sink)
    assert sink.seqs == [1]


@pytest.mark.fault("R17")
async def test_edgex_nothing_is_given_up_after_ten_tries(tmp_path):
    sink = ListSink(failures=40)
    async with open_spool(tmp_path / "s.db", "edge-a", QUICK) as spool:
        await spool.append(readings(1, 7), source="s")
        await forwarded(spool, sink)
    assert sink.failures == 0
    assert sink.seqs == list(range(1, 8))


@pytest.mark.fault("R18")
async def test_telegraf_neither_the_first_after_a_drain_nor_the_last_before_a_restart_differ(
    tmp_path,
):
    path, sink = tmp_path / "s.db", ListSink()
    for n in range(1, 6):  # drained, and started again, each time
        async with open_spool(path, "edge-a", QUICK) as spool:
            await spool.append(readings(2 * n - 1, 2 * n), source="s")
            await forwarded(spool, sink)
    assert sink.seqs == list(range(1, 11))


@pytest.mark.fault("R3")
async def test_thingsboard_an_append_that_was_cancelled_or_refused_is_not_called_stored(tmp_path):
    path = tmp_path / "s.db"
    stored = []
    async with open_spool(path, "edge-a", SpoolOptions(group_commit_s=0.05)) as spool:
        for n in range(1, 200):
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(0.002 if n % 3 else None):
                    await spool.append([reading(n)], source="s")
                    stored.append(n)
    async with open_spool(path, "edge-a") as spool:
        batch = await spool.read_after(0, 1000)
        found = [each.fields["n"] for each in batch.records]
    assert set(stored) <= set(found)
    assert len(found) == len(set(found))
