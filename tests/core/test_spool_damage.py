"""Promise: an altered byte is always noticed; it costs its own segment, and the loss is on record."""

from __future__ import annotations

import random
import sqlite3

import apsw
import pytest

from gateway_core.model import Loss
from gateway_core.spool import SpoolDamaged, SpoolOptions, open_reader, open_spool
from tests.fakes.core import ToldClock, reading, readings

OPTIONS = SpoolOptions(group_records=100, cache_records=1)


@pytest.fixture
async def path(tmp_path):
    """A spool of ten segments of 100 records, two consumers, all on disk."""
    path = tmp_path / "s.db"
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.register("up")
        await spool.register("archive")
        await spool.append(readings(1, 1000), source="s", state={"k": b"v"})
        await spool.settle("archive", 1, 250)
    return path


def alter(path, sql: str, *bindings: object) -> None:
    db = apsw.Connection(str(path))
    db.execute(sql, bindings)
    db.close()


async def drain(spool, consumer: str) -> dict[int, object]:
    found = {}
    while spool.settled(consumer) < spool.head:
        batch = await spool.read(consumer, 150)
        found.update(zip(range(batch.first, batch.last + 1), batch.records, strict=True))
        await spool.settle(consumer, batch.first, batch.last)
    return found


async def test_a_damaged_segment_costs_its_own_range_and_is_accounted_for(path):
    alter(path, "UPDATE payload SET data = substr(data, 1, 40) WHERE first = 201")
    clock = ToldClock()
    async with open_spool(path, "edge-a", OPTIONS, clock) as spool:
        found = await drain(spool, "up")
        books = await spool.books()
        loss = Loss(
            "edge-a", clock.now, spool.epoch, 201, 300, "damaged", "the CRC32C does not match"
        )
    assert found.pop(1001) == loss
    assert sorted(found) == [*range(1, 201), *range(301, 1001)]
    assert [record.fields["n"] for record in found.values()] == sorted(found)
    assert books.consumers["up"].dropped == {"damaged": 100}
    assert books.consumers["archive"].dropped == {"damaged": 50}
    assert books.residual == 0


async def test_the_damaged_bytes_are_kept(path):
    alter(path, "UPDATE payload SET data = x'0102' WHERE first = 201")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        assert [(loss.first, loss.last) for loss in await spool.verify()] == [(201, 300)]
        assert await spool.verify() == []
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT first, last, data FROM damaged").fetchall() == [
            (201, 300, b"\x01\x02")
        ]
    db.close()


async def test_a_segment_that_vanished_is_a_loss_too(path):
    alter(path, "DELETE FROM segment WHERE first = 501")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        found = await drain(spool, "up")
        assert (found[1001].first, found[1001].last) == (501, 600)
        assert (await spool.books()).residual == 0


async def test_a_head_that_lies_about_its_count_takes_no_other_segment_along(path):
    alter(path, "UPDATE segment SET count = 5000 WHERE first = 501")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        found = await drain(spool, "up")
        assert sorted(found) == [*range(1, 501), *range(601, 1002)]
        assert (await spool.books()).residual == 0


async def test_the_newest_segment_may_be_the_damaged_one(path):
    alter(path, "UPDATE payload SET data = x'00' WHERE first = 901")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await drain(spool, "up")
        assert (await spool.append([reading(1)], source="s")).first == 1002


async def test_a_consumer_that_comes_after_the_damage_has_books_that_balance(path):
    alter(path, "UPDATE payload SET data = x'00' WHERE first = 201")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.verify()
        await spool.register("late")
        assert (await spool.books()).residual == 0


async def test_a_reader_passes_over_a_damaged_segment_and_changes_nothing(path):
    alter(path, "UPDATE payload SET data = x'00' WHERE first = 201")
    with open_reader(path) as reader:
        assert reader.read_after(200, 10).first == 301
        assert reader.books().head == 1000


@pytest.mark.parametrize("seed", range(4))
async def test_every_flipped_byte_of_a_payload_is_noticed(path, seed):
    """Flip one byte of every segment at a random place; repeat with other seeds."""
    chance = random.Random(seed)
    db = apsw.Connection(str(path))
    for first, data in db.execute("SELECT first, data FROM payload").fetchall():
        at = chance.randrange(len(data))
        flipped = bytes([data[at] ^ (1 << chance.randrange(8))])
        altered = data[:at] + flipped + data[at + 1 :]
        db.execute("UPDATE payload SET data = ? WHERE first = ?", (altered, first))
    db.close()
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        losses = await spool.verify()
    assert [(loss.first, loss.last) for loss in losses] == [
        (first, first + 99) for first in range(1, 1001, 100)
    ]


async def test_a_file_that_sqlite_cannot_read_goes_aside_and_a_new_epoch_begins(path):
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        before = spool.epoch
    path.write_bytes(b"not a database, and long enough to be taken for one" * 100)
    clock = ToldClock()
    async with open_spool(path, "edge-a", OPTIONS, clock) as spool:
        assert spool.epoch != before
        (loss,) = (await spool.read_after(0, 9)).records
    assert (loss.edge, loss.reason, loss.epoch) == ("edge-a", "damaged", "")
    assert loss.detail.startswith("s.db was damaged (")
    assert loss.detail.endswith(") and is now s.db.damaged-1")
    assert (path.parent / "s.db.damaged-1").exists()


async def test_a_suspected_file_is_checked_whole_and_kept_when_it_is_well(path):
    (path.parent / "s.db.suspect").write_text("a read failed")
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        assert spool.head == 1000
    assert not (path.parent / "s.db.suspect").exists()


async def test_what_can_be_read_of_a_broken_file_is_saved(path):
    alter(path, "UPDATE payload SET data = x'00' WHERE first = 301")
    alter(path, "DELETE FROM about")
    clock = ToldClock()
    async with open_spool(path, "edge-a", OPTIONS, clock) as spool:
        found = await spool.read_after(0, 10_000)
        accepted = (await spool.books()).accepted
        assert await spool.state() == {"k": b"v"}
    kept = [r.fields["n"] for r in found.records if not isinstance(r, Loss)]
    lost = [(r.first, r.last) for r in found.records if isinstance(r, Loss)]
    assert kept == [*range(1, 301), *range(401, 1001)]
    assert lost == [(301, 400)]
    assert accepted == {"salvaged": 900, "spool": 1}


async def read_all(spool) -> None:
    await spool.state("")
    await spool.books()
    await spool.refusals(10)
    await spool.quarantined(10, 0)


@pytest.mark.parametrize("table", ["state", "counter", "refused", "quarantine"])
async def test_text_that_is_none_is_found_once_and_not_at_every_start(path, table):
    """SQLite's own check does not look at text: the program would end and start for ever."""
    bad = "CAST(x'6bff92' AS TEXT)"
    rows = {
        "state": f"INSERT INTO state VALUES ({bad}, x'00')",
        "counter": f"INSERT INTO counter VALUES ('accepted', {bad}, '', 0)",
        "refused": f"INSERT INTO refused VALUES (9, 1, 1, 's', {bad}, 'r', '', NULL, x'00')",
        "quarantine": f"INSERT INTO quarantine VALUES (9, 1, 1, 'up', 1, 'r', {bad}, x'00')",
    }
    alter(path, rows[table])
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        with pytest.raises(SpoolDamaged):
            await read_all(spool)
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        assert await spool.state("") == {"k": b"v"}
        await spool.register("up")
        found = await drain(spool, "up")
        assert [record.fields["n"] for record in found.values()] == [*range(1, 1001)]
        assert (await spool.books()).residual == 0
    assert path.with_name("s.db.damaged-1").exists()
