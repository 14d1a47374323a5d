"""Promise: the spool stays within its budget, by the declared rule, and counts what it gave up."""

from __future__ import annotations

import random

import pytest

from gateway_core.errors import SpoolFull
from gateway_core.model import Reading, Receipt
from gateway_core.spool import SpoolOptions, open_spool
from tests.fakes.core import START, ToldClock, readings

KIB = 1024


def noise(count: int, seed: int) -> list[Reading]:
    """Return records that do not compress: about 300 bytes each."""
    chance = random.Random(seed)
    return [
        Reading("edge-a", chance.randbytes(140).hex(), "p", "m", START, START, {"n": 1})
        for _ in range(count)
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


async def fill(spool) -> int:
    """Append until the spool is full; return how many records it took."""
    taken = 0
    try:
        while True:
            await spool.append(noise(50, taken), source="s")
            taken += 50
    except SpoolFull:
        return taken


@pytest.mark.fault("F2")
async def test_a_full_spool_refuses_the_append_and_stores_nothing_of_it(path):
    options = SpoolOptions(max_bytes=512 * KIB, group_commit_s=0.0)
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("up")
        taken = await fill(spool)
        with pytest.raises(SpoolFull, match="budget of 524288 bytes is used up"):
            await spool.append(noise(50, 1), source="s", state={"k": b"v"})
        books = await spool.books()
        assert spool.head == taken == books.accepted["s"]
        assert books.bytes <= 512 * KIB
        assert await spool.state() == {}


@pytest.mark.fault("F2")
async def test_settling_makes_room_in_a_full_spool(path):
    options = SpoolOptions(max_bytes=512 * KIB, group_commit_s=0.0, keep_s=1e9)
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("up")
        taken = await fill(spool)
        await spool.settle("up", 1, taken)
        await spool.append(noise(50, 1), source="s")
        books = await spool.books()
        assert books.oldest > 1
        assert books.residual == 0


async def test_a_full_spool_still_settles_what_makes_new_records(path):
    options = SpoolOptions(max_bytes=512 * KIB, group_commit_s=0.0)
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("sum")
        taken = await fill(spool)
        await spool.settle("sum", 1, 10, Receipt(append=tuple(noise(1, 3))))
        assert spool.head == taken + 1


async def test_a_full_spool_that_may_evict_gives_up_the_oldest_and_says_so(path):
    options = SpoolOptions(max_bytes=512 * KIB, group_commit_s=0.0, when_full="evict")
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("up")
        await spool.register("done")
        for seed in range(60):
            await spool.append(noise(50, seed), source="s")
            await spool.settle("done", 1, spool.head)
        books = await spool.books()
        assert books.bytes <= 512 * KIB
        assert books.residual == 0
        lost = books.consumers["up"].dropped["evicted"]
        assert lost == books.oldest - 1
        assert books.accepted["spool"] >= 1
        assert books.consumers["done"].dropped.get("evicted", 0) < lost
        batch = await spool.read("up", 10_000)
        assert batch.first == books.oldest
        assert {r.reason for r in batch.records if r.__class__.__name__ == "Loss"} == {"evicted"}


async def test_what_everyone_settled_stays_until_its_time_is_up(path):
    clock = ToldClock()
    options = SpoolOptions(group_commit_s=0.0, keep_s=60.0, group_records=10)
    async with open_spool(path, "edge-a", options, clock) as spool:
        await spool.register("up")
        await spool.append(readings(1, 20), source="s")
        await spool.settle("up", 1, 15)
        assert await spool.tidy() == 0
        clock.pass_seconds(61)
        assert await spool.tidy() == 1
        assert (await spool.read_after(0, 99)).first == 11


@pytest.mark.fault("R8")
async def test_nothing_goes_while_nobody_has_seen_it(path):
    clock = ToldClock()
    async with open_spool(path, "edge-a", SpoolOptions(keep_s=0.0), clock) as spool:
        await spool.append(readings(1, 20), source="s")
        clock.pass_seconds(10)
        assert await spool.tidy() == 0


async def test_freed_pages_are_used_again(path):
    options = SpoolOptions(max_bytes=512 * KIB, group_commit_s=0.0, keep_s=0.0)
    async with open_spool(path, "edge-a", options) as spool:
        await spool.register("up")
        for seed in range(100):
            await spool.append(noise(50, seed), source="s")
            await spool.settle("up", 1, spool.head)
    assert path.stat().st_size <= 1024 * KIB


def test_a_budget_that_holds_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="at least 256 KiB"):
        SpoolOptions(max_bytes=1000)
