"""Promise: an append is on disk when it returns, is seen once by each consumer, and is accounted for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import apsw
import pytest

from gateway_core.errors import ConfigError, PayloadError, Unavailable
from gateway_core.model import Batch, Receipt, Rejection
from gateway_core.spool import Span, SpoolOptions, open_reader, open_spool
from gateway_core.spool.schema import check_sqlite, open_writer
from tests.fakes.core import reading, readings, refusal
from tidegate.spool_view import print_refusals


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "s.db"


def segments(path) -> list[tuple[int, int]]:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return db.execute("SELECT first, count FROM segment").fetchall()
    finally:
        db.close()


async def test_an_append_is_visible_to_another_connection_when_it_returns(path):
    async with open_spool(path, "edge-a") as spool:
        assert await spool.append(readings(1, 3), source="s") == Span(1, 3)
        with open_reader(path) as reader:
            assert reader.read_after(0, 10) == Batch(1, readings(1, 3))
            await spool.append([reading(4)], source="s")
            assert reader.head == 4
            assert reader.read_after(3, 10) == Batch(4, [reading(4)])


async def test_appends_that_wait_together_share_one_commit_in_their_order(path):
    options = SpoolOptions(group_commit_s=0.2)
    async with open_spool(path, "edge-a", options) as spool, asyncio.TaskGroup() as group:
        tasks = [group.create_task(spool.append([reading(n)], source="s")) for n in range(50)]
    assert [task.result().first for task in tasks] == list(range(1, 51))
    assert segments(path) == [(1, 50)]


async def test_a_consumer_that_is_registered_in_the_commit_of_the_first_records_gets_them(path):
    async with open_spool(path, "edge-a", SpoolOptions(group_commit_s=0.2)) as spool:
        await asyncio.gather(spool.append(readings(1, 3), source="s"), spool.register("up"))
        assert (await spool.read("up", 10)).records == readings(1, 3)
        assert (await spool.books()).residual == 0


async def test_a_group_is_committed_at_once_when_it_is_large_enough(path):
    options = SpoolOptions(group_commit_s=3600.0, group_records=10)
    async with open_spool(path, "edge-a", options) as spool, asyncio.timeout(20):
        await spool.append(readings(1, 10), source="s")


async def test_no_segment_is_larger_than_a_group(path):
    async with open_spool(path, "edge-a", SpoolOptions(group_records=10)) as spool:
        assert await spool.append(readings(1, 25), source="s") == Span(1, 25)
    assert segments(path) == [(1, 10), (11, 10), (21, 5)]


async def test_a_batch_joins_segments(path):
    async with open_spool(path, "edge-a", SpoolOptions(group_records=10, cache_records=1)) as spool:
        await spool.register("up")
        await spool.append(readings(1, 25), source="s")
        assert await spool.read("up", 22) == Batch(1, readings(1, 22))


async def test_read_waits_for_the_first_record(path):
    async with open_spool(path, "edge-a") as spool, asyncio.TaskGroup() as group:
        await spool.register("up")
        waiting = group.create_task(spool.read("up", 10))
        await asyncio.sleep(0)
        assert not waiting.done()
        await spool.append([reading(1)], source="s")
        assert await waiting == Batch(1, [reading(1)])


async def test_read_lingers_until_there_are_enough(path):
    options = SpoolOptions(group_commit_s=0.0)
    async with open_spool(path, "edge-a", options) as spool, asyncio.TaskGroup() as group:
        await spool.register("up")
        waiting = group.create_task(spool.read("up", 3, linger_s=3600.0))
        for n in (1, 2, 3):
            await spool.append([reading(n)], source="s")
        assert await waiting == Batch(1, readings(1, 3))


async def test_read_stops_lingering_when_the_time_is_up(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("up")
        await spool.append([reading(1)], source="s")
        assert await spool.read("up", 3, linger_s=0.01) == Batch(1, [reading(1)])


async def test_what_is_settled_out_of_order_is_not_read_again(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("up")
        await spool.append(readings(1, 9), source="s")
        await spool.settle("up", 4, 6)
        assert spool.settled("up") == 0
        assert await spool.read("up", 9) == Batch(1, readings(1, 3))
        await spool.settle("up", 1, 3)
        assert spool.settled("up") == 6
        assert await spool.read("up", 9) == Batch(7, readings(7, 9))


async def test_settling_twice_counts_once(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("up")
        await spool.append(readings(1, 4), source="s")
        await spool.settle("up", 1, 3)
        await spool.settle("up", 2, 4)
        assert (await spool.books()).consumers["up"].delivered == 4


async def test_a_rejected_record_is_in_quarantine_with_its_reason(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("up")
        await spool.append(readings(1, 3), source="s")
        await spool.settle("up", 1, 3, Receipt((Rejection(2, "nan", "field n is NaN"),)))
        (found,) = await spool.quarantined(10)
    assert (found.consumer, found.seq, found.reason) == ("up", 2, "nan")
    assert (found.detail, found.record) == ("field n is NaN", reading(2))


async def test_a_receipt_appends_and_keeps_state_in_the_transaction_that_settles(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("sum")
        await spool.append(readings(1, 3), source="s")
        receipt = Receipt(append=(reading(99),), state={"w": b"1"})
        await spool.settle("sum", 1, 3, receipt)
        books = await spool.books()
        assert books.accepted == {"s": 3, "sum": 1}
        assert (await spool.read_after(3, 9)) == Batch(4, [reading(99)])
        assert await spool.state("w") == {"w": b"1"}


async def test_a_receipt_that_counts_more_than_its_range_is_a_mistake(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.register("up")
        await spool.append(readings(1, 3), source="s")
        with pytest.raises(ValueError, match="speaks of other records"):
            await spool.settle("up", 1, 3, Receipt(dropped={"policy": 4}))
        with pytest.raises(ValueError, match="not a range"):
            await spool.settle("up", 1, 4)


async def test_a_reader_in_another_process_sees_the_books_while_the_agent_runs(path):
    program = (
        "import sys, pathlib; from gateway_core.spool import open_reader\n"
        "with open_reader(pathlib.Path(sys.argv[1])) as spool:\n"
        "    print(spool.books().accepted, spool.books().residual, len(spool.newest_refusals(9)))"
    )
    async with open_spool(path, "edge-a") as spool:
        await spool.append(readings(1, 3), [refusal(1)], source="s")
        run = [sys.executable, "-c", program, str(path)]
        found = await asyncio.to_thread(subprocess.check_output, run, text=True)
    assert found == "{'s': 3} 0 1\n"


async def test_a_second_writer_is_refused(path):
    async with open_spool(path, "edge-a"):
        with pytest.raises(ConfigError, match="another process has this spool open"):
            async with open_spool(path, "edge-a"):
                pass


async def test_a_consumer_that_comes_late_begins_at_the_oldest_record(path):
    async with open_spool(path, "edge-a", SpoolOptions(keep_s=0.0, group_records=5)) as spool:
        await spool.register("up")
        await spool.append(readings(1, 10), source="s")
        await spool.settle("up", 1, 7)
        assert await spool.tidy() == 1
        await spool.register("late")
        assert await spool.read("late", 99) == Batch(6, readings(6, 10))
        assert (await spool.books()).consumers["late"].accepted == 5
        assert (await spool.books()).residual == 0


async def test_a_forgotten_consumer_holds_nothing_back(path):
    async with open_spool(path, "edge-a", SpoolOptions(keep_s=0.0)) as spool:
        await spool.register("up")
        await spool.register("old")
        await spool.append(readings(1, 3), source="s")
        await spool.settle("up", 1, 3)
        assert await spool.tidy() == 0
        await spool.forget("old")
        assert await spool.tidy() == 1
        with pytest.raises(Unavailable, match="no consumer old"):
            await spool.read("old", 1)


async def test_a_record_that_cannot_be_written_is_named_and_nothing_is_stored(path):
    async with open_spool(path, "edge-a") as spool:
        with pytest.raises(PayloadError, match="unstorable: record 1 of 2"):
            await spool.append([reading(1), reading(2, n=10**30)], source="s")
        assert spool.head == 0


async def test_a_record_of_an_unknown_kind_keeps_its_number_as_a_loss(path):
    alien = reading(2, n=None)  # a codec's mistake that no type checker saw
    async with open_spool(path, "edge-a", SpoolOptions(cache_records=1)) as spool:
        await spool.register("up")
        await spool.append([reading(1), alien, reading(3)], source="s")
        await spool.append(readings(4, 5), source="s")
        batch = await spool.read("up", 3)
        assert (batch.records[0], batch.records[2]) == (reading(1), reading(3))
        assert (batch.records[1].reason, batch.records[1].first) == ("damaged", 2)


async def test_state_is_found_by_prefix_and_deleted_with_none(path):
    async with open_spool(path, "edge-a") as spool:
        state = {"intake/a": b"1", "intake/b": b"2", "intakes": b"3"}
        await spool.append([], source="s", state=state)
        assert await spool.state("intake/") == {"intake/a": b"1", "intake/b": b"2"}
        await spool.append([], source="s", state={"intake/a": None})
        assert await spool.state("intake/") == {"intake/b": b"2"}


async def test_refusals_are_paged_filtered_and_discarded(path):
    async with open_spool(path, "edge-a") as spool:
        await spool.append([], [refusal(1), refusal(2, "not_json"), refusal(3)], source="s")
        assert [r.address for _, r in await spool.refusals(9, reason="bad_crc")] == ["t/1", "t/3"]
        ((first, _),) = await spool.refusals(1)
        assert await spool.discard_refusals([first, 999]) == 1
        assert [n for n, _ in await spool.refusals(9)] == [2, 3]
        books = await spool.books()
        assert (books.refused, books.refused_held) == ({"bad_crc": 2, "not_json": 1}, 2)


async def test_people_are_shown_the_newest_refusals_first_told_if_older_ones_are_left_out(
    path, capsys
):
    async with open_spool(path, "edge-a") as spool:
        await spool.append([], [refusal(n) for n in range(1, 6)], source="s")
    with open_reader(path) as found:
        assert [r.address for _, r in found.newest_refusals(2)] == ["t/4", "t/5"]
        print_refusals(found, None, 2, json=True)
        shown = capsys.readouterr()
        assert [one["id"] for one in json.loads(shown.out)] == [4, 5]
        assert shown.err == "older ones than these 2 are left out: raise --limit\n"
        print_refusals(found, None, 5, json=True)
        assert capsys.readouterr().err == ""


async def test_the_oldest_refusals_make_room_and_are_counted(path):
    async with open_spool(path, "edge-a", SpoolOptions(refused_rows=3)) as spool:
        await spool.append([], [refusal(n) for n in range(5)], source="s")
        books = await spool.books()
        assert [r.address for _, r in await spool.refusals(9)] == ["t/2", "t/3", "t/4"]
        assert (books.refused_held, books.refused_evicted) == (3, 2)


async def test_append_waits_while_too_much_is_pending(path):
    options = SpoolOptions(pending_bytes=1, group_commit_s=0.0)
    async with open_spool(path, "edge-a", options) as spool, asyncio.TaskGroup() as group:
        tasks = [group.create_task(spool.append([reading(n)], source="s")) for n in range(1, 30)]
    assert [task.result() for task in tasks] == [Span(n, n) for n in range(1, 30)]


async def test_a_cancelled_append_disturbs_nobody(path):
    async with open_spool(path, "edge-a", SpoolOptions(group_commit_s=0.05)) as spool:
        async with asyncio.TaskGroup() as group:
            doomed = group.create_task(spool.append([reading(1)], source="s"))
            other = group.create_task(spool.append([reading(2)], source="s"))
            await asyncio.sleep(0)
            doomed.cancel()
        assert other.result() == Span(2, 2)


async def test_closing_commits_what_was_queued(path):
    context = open_spool(path, "edge-a", SpoolOptions(group_commit_s=3600.0))
    spool = await context.__aenter__()
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(spool.append([reading(1)], source="s"))
        await asyncio.sleep(0)
        await context.__aexit__(None, None, None)
    assert queued.result() == Span(1, 1)
    with pytest.raises(Unavailable, match="closed"):
        await spool.append([reading(2)], source="s")


async def test_the_epoch_stays_with_the_file(path):
    async with open_spool(path, "edge-a") as spool:
        epoch = spool.epoch
    async with open_spool(path, "edge-a") as spool:
        assert spool.epoch == epoch
        assert len(epoch) == 16


def test_an_sqlite_with_the_wal_reset_bug_is_refused():
    with pytest.raises(ConfigError, match=r"SQLite 3\.51\.2 can corrupt a write-ahead log"):
        check_sqlite("3.51.2")
    check_sqlite("3.51.3")


def test_a_reader_says_when_there_is_no_spool(path):
    with pytest.raises(Unavailable, match="cannot open"):
        open_reader(path)


def test_every_commit_is_synced_and_every_cell_checked(path):
    path.parent.mkdir()
    db = open_writer(path, SpoolOptions(max_bytes=1 << 20))
    found = {
        name: db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "cell_size_check", "auto_vacuum", "page_size")
    }
    db.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "cell_size_check": 1,
        "auto_vacuum": 2,
        "page_size": 4096,
    }
