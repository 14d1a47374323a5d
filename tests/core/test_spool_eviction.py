"""Promise: what makes room is the oldest telemetry, thinned before it is lost; alarms never are."""

from __future__ import annotations

import random
from itertools import count, pairwise

import pytest

from gateway_core.clock import NS
from gateway_core.errors import SpoolFull
from gateway_core.model import Alarm, Loss, Reading
from gateway_core.spool import SpoolOptions, open_spool
from gateway_core.spool.thinned import Summaries
from tests.fakes.core import START, ToldClock

KIB = 1024
BUDGET = 512 * KIB
EVICT = SpoolOptions(max_bytes=BUDGET, group_commit_s=0.0, when_full="evict")
chance = random.Random(7)


def second(n: int, device: int = 0, **fields) -> Reading:
    """Return what a device said in its n-th second; it does not compress well."""
    at = START + n * NS
    values = fields or {"n": n, "noise": chance.random(), "more": chance.random()}
    return Reading("edge-a", f"d{device}", "p", "m", at, at, values)


def alarm(n: int, text: str = "hot") -> Alarm:
    at = START + n * NS
    return Alarm("edge-a", f"d{n}", "p", "hot", "major", "raised", at, {"zh": text})


async def fill(spool, make) -> tuple[int, str]:
    """Append what ``make`` makes until it is refused; return how often it was not, and why."""
    for n in count():
        try:
            await spool.append(make(n), source="s")
        except SpoolFull as exc:
            return n, str(exc)
    raise AssertionError


async def everything(spool) -> dict[int, object]:
    found, seq = {}, 0
    while (batch := await spool.read_after(seq, 5000)) is not None:
        found.update(zip(range(batch.first, batch.last + 1), batch.records, strict=True))
        seq = batch.last
    return found


async def test_thinning_keeps_minimum_mean_and_maximum_of_every_minute(tmp_path):
    async with open_spool(tmp_path / "s.db", "edge-a", EVICT) as spool:
        await spool.register("up")
        told = 0
        while not (await spool.books()).consumers["up"].dropped.get("thinned"):
            await spool.append([second(n) for n in range(told, told + 600)], source="s")
            told += 600
        books = await spool.books()
        assert books.residual == 0
        assert "evicted" not in books.consumers["up"].dropped
        assert books.bytes <= BUDGET
        held = await everything(spool)
        summaries = [r for r in held.values() if isinstance(r, Reading) and r.derived]
        losses = [r for r in held.values() if isinstance(r, Loss)]
        raw = [r for r in held.values() if isinstance(r, Reading) and not r.derived]
        lost = sum(each.last - each.first + 1 for each in losses)
        assert {each.reason for each in losses} == {"thinned"}
        assert lost == books.consumers["up"].dropped["thinned"]
        assert sum(each.fields["n_count"] for each in summaries) == lost
        assert len(raw) + lost == told
        first = min(summaries, key=lambda each: each.time)
        assert first.measurement == "m_thinned"
        assert first.time == START
        minute = 60 - START // NS % 60  # readings until the clock's minute ends
        assert first.fields["n_count"] == minute
        assert first.fields["n_max"] == minute - 1
        assert first.fields["n_mean"] == (minute - 1) / 2
        assert losses[0].since == START


@pytest.mark.fault("F2")
async def test_when_all_is_thinned_the_oldest_goes_and_every_alarm_stays(tmp_path):
    async with open_spool(tmp_path / "s.db", "edge-a", EVICT) as spool:
        await spool.register("up")
        alarms, told = [], 0
        while (await spool.books()).consumers["up"].dropped.get("evicted", 0) < 5000:
            await spool.append([second(n) for n in range(told, told + 300)], source="s")
            span = await spool.append([alarm(told)], source="s")
            alarms.append(span.first)
            told += 300
        books = await spool.books()
        assert books.residual == 0
        held = await everything(spool)
        assert [seq for seq, each in held.items() if isinstance(each, Alarm)] == alarms
        dropped = books.consumers["up"].dropped
        losses = [each for each in held.values() if isinstance(each, Loss)]
        for reason in ("thinned", "evicted"):
            told_lost = sum(x.last - x.first + 1 for x in losses if x.reason == reason)
            assert told_lost == dropped[reason]
        spans = sorted((each.first, each.last) for each in losses)
        assert all(one[1] < other[0] for one, other in pairwise(spans))
        assert not any(first <= seq <= last for seq in alarms for first, last in spans)


async def test_losses_of_one_eviction_are_at_different_instants(tmp_path):
    """At one instant they would be one point in a store of time series, and only the last."""
    options = SpoolOptions(
        max_bytes=256 * KIB, group_commit_s=0.0, when_full="evict", evict=("oldest",)
    )
    async with open_spool(tmp_path / "s.db", "edge-a", options, ToldClock()) as spool:
        await spool.register("up")
        for n in count():
            await spool.append([*(second(9 * n + i) for i in range(9)), alarm(n)], source="s")
            if (await spool.books()).consumers["up"].dropped.get("evicted"):
                break
        losses = [each for each in (await everything(spool)).values() if isinstance(each, Loss)]
        assert len(losses) > 2
        assert len({each.time for each in losses}) == len(losses)


async def test_a_spool_of_nothing_but_alarms_refuses_and_says_why(tmp_path):
    async with open_spool(tmp_path / "s.db", "edge-a", EVICT) as spool:
        await spool.register("up")
        await spool.append([second(n) for n in range(500)], source="s")
        taken, why = await fill(spool, lambda n: [alarm(n, chance.randbytes(400).hex())])
        assert "by alarms, which are never given up" in why
        held = await everything(spool)
        assert sum(isinstance(each, Alarm) for each in held.values()) == taken
        assert (await spool.books()).consumers["up"].dropped == {"evicted": 500}


@pytest.mark.fault("F2")
async def test_an_alarm_passes_a_spool_that_refuses_telemetry(tmp_path):
    options = SpoolOptions(max_bytes=BUDGET, group_commit_s=0.0)
    async with open_spool(tmp_path / "s.db", "edge-a", options) as spool:
        await spool.register("up")
        await fill(spool, lambda n: [second(n * 50 + k) for k in range(50)])
        many = [second(1) for _ in range(200)]
        span = await spool.append([alarm(1)], source="s")
        with pytest.raises(SpoolFull):
            await spool.append(many, source="s")
        held = await everything(spool)
        assert isinstance(held[span.first], Alarm)


async def test_what_every_consumer_has_goes_without_a_loss(tmp_path):
    clock = ToldClock()
    async with open_spool(tmp_path / "s.db", "edge-a", EVICT, clock) as spool:
        await spool.register("up")
        await spool.append([second(n) for n in range(2000)], source="s")
        for step in range(60):
            await spool.append([second(n) for n in range(step * 300, step * 300 + 300)], source="s")
            await spool.settle("up", 2001, spool.head)  # the backlog before it waits
        books = await spool.books()
        assert books.residual == 0
        thinned = books.consumers["up"].dropped.get("thinned", 0)
        assert thinned + books.consumers["up"].dropped.get("evicted", 0) <= 2000


async def test_readings_that_come_too_seldom_are_not_made_longer(tmp_path):
    async with open_spool(tmp_path / "s.db", "edge-a", EVICT) as spool:
        await spool.register("up")
        n = 0
        while not (await spool.books()).consumers["up"].dropped:
            await spool.append([second(60 * (n + k), n + k) for k in range(300)], source="s")
            n += 300
        assert set((await spool.books()).consumers["up"].dropped) == {"evicted"}


async def test_the_marks_of_thinning_survive_a_restart(tmp_path):
    path, told = tmp_path / "s.db", 0
    for _ in range(4):
        async with open_spool(path, "edge-a", EVICT) as spool:
            await spool.register("up")
            for _ in range(20):
                await spool.append([second(n) for n in range(told, told + 600)], source="s")
                told += 600
            held = await everything(spool)
            books = await spool.books()
    assert books.residual == 0
    counted = [each.fields["n_count"] for each in held.values() if getattr(each, "derived", 0)]
    raw = [each for each in held.values() if isinstance(each, Reading) and not each.derived]
    assert "evicted" not in books.consumers["up"].dropped
    assert sum(counted) + len(raw) == told


def test_texts_and_truths_keep_the_last_one():
    summaries = Summaries()
    for n, (door, mode) in enumerate([(True, "auto"), (False, "auto"), (True, "hand")]):
        summaries.add(second(n, door=door, mode=mode, level=n))
    (one,) = summaries.tell()
    assert one.fields == {
        "door_last": True,
        "door_count": 3,
        "mode_last": "hand",
        "mode_count": 3,
        "level_min": 0,
        "level_mean": 1.0,
        "level_max": 2,
        "level_count": 3,
    }
