"""An aggregate tells the truth about its window, whenever the power fails."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.aggregate import Aggregate
from edge_agent.egress import Declared
from edge_agent.grant import FUNCTIONS, NONE, RAW, Coarseness, Function, Grant
from edge_agent.policy import Policy
from edge_agent.window import MAX_SAMPLES, first_tally
from edge_agent.windows import AggregateOptions
from gateway_core.model import Batch, Reading, Receipt
from gateway_core.spool import Spool, SpoolOptions, open_spool

S = 1_000_000_000
MINUTE = 60 * S
T0 = 1_764_072_000 * S  # a multiple of every window used here


def grant(*fns: Function, every: int = 5 * MINUTE, decimals: int | None = None) -> Grant:
    return Grant(every_ns=every, fns=frozenset(fns), coarsen=Coarseness(decimals))


def policy(**grants: Grant) -> Policy:
    declared = Declared("acme/th", "env", "operational", "full", frozenset({"room"}), grants)
    return Policy({"acme/th": declared})


def reading(at_s: float, device: str = "d1", **fields: float | str | bool) -> Reading:
    time = T0 + round(at_s * S)
    return Reading("e1", device, "acme/th", "env", time, time, dict(fields))


class Site:
    """An aggregate consumer that is stepped by hand."""

    def __init__(self, spool: Spool, rules: Policy, options: AggregateOptions) -> None:
        self.spool = spool
        self.rules = rules
        self.options = options
        self.now = T0
        self.start()

    def start(self) -> None:
        """Begin again with nothing but the spool, as after a kill -9."""
        self.aggregate = Aggregate(self.rules, self.spool, lambda: self.now, self.options)

    async def feed(self, *records: Reading) -> Receipt:
        """Append, send and settle."""
        await self.spool.append(records, source="mqtt:site")
        return await self.drain()

    async def drain(self) -> Receipt:
        receipt = Receipt()
        while self.spool.settled("aggregate") < self.spool.head:
            batch = await self.spool.read("aggregate", 1000)
            receipt = await self.aggregate.send(batch)
            await self.spool.settle("aggregate", batch.first, batch.last, receipt)
        return receipt

    async def told(self) -> list[Reading]:
        """Every aggregate appended so far, oldest first."""
        found: list[Reading] = []
        seq = 0
        while batch := await self.spool.read_after(seq, 1000):
            found += [one for one in batch.records if isinstance(one, Reading) and one.derived]
            seq = batch.last
        return found

    async def at(self, seconds: float) -> list[Reading]:
        """Let the clock come to ``seconds`` with no data, and return every aggregate so far."""
        self.now = T0 + round(seconds * S)
        await self.aggregate.tell_due()
        await self.drain()
        return await self.told()


@contextlib.asynccontextmanager
async def site(
    folder: Path, options: AggregateOptions | None = None, **grants: Grant
) -> AsyncIterator[Site]:
    fast = SpoolOptions(group_commit_s=0.0)
    async with open_spool(folder / "spool.db", "e1", fast) as spool:
        await spool.register("aggregate")
        yield Site(spool, policy(**grants), options or AggregateOptions())


async def test_every_function_of_a_window_has_its_exact_value(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant(*FUNCTIONS)) as one:
        values = [20.5, 21.5, 19.0, 23.0, 22.0]
        await one.feed(*[reading(60 * n, t=value) for n, value in enumerate(values)])
        assert await one.at(309.9) == []
        (told,) = await one.at(310)
        assert told == Reading(
            edge="e1",
            device="d1",
            profile="acme/th",
            measurement="env_5m",
            time=T0,
            received=T0 + 310 * S,
            fields={
                "t_mean": 21.2,
                "t_min": 19.0,
                "t_max": 23.0,
                "t_count": 5,
                "t_sum": 106.0,
                "t_last": 22.0,
                "t_first": 20.5,
                "t_p95": pytest.approx(22.8),
                "t_delta": 1.5,
            },
            derived=True,
        )


async def test_whole_numbers_stay_whole_and_only_mean_and_p95_are_not(tmp_path: Path) -> None:
    async with site(tmp_path, n=grant(*FUNCTIONS)) as one:
        await one.feed(reading(0, n=2**62), reading(1, n=3), reading(2, n=5))
        (told,) = await one.at(310)
        assert told.fields["n_sum"] == 2**62 + 8
        assert {name: type(value) for name, value in told.fields.items()} == {
            "n_mean": float,
            "n_min": int,
            "n_max": int,
            "n_count": int,
            "n_sum": int,
            "n_last": int,
            "n_first": int,
            "n_p95": float,
            "n_delta": int,
        }


async def test_what_has_no_meaning_is_left_out_and_flagged(tmp_path: Path) -> None:
    async with site(tmp_path, s=grant("last", "count", "mean"), n=grant("sum", "max")) as one:
        await one.feed(reading(0, s="open", n=2**63 - 1), reading(1, s="shut", n=1))
        (told,) = await one.at(310)
        assert told.fields == {"s_count": 2, "s_last": "shut", "n_max": 2**63 - 1}
        assert set(told.flags) == {"s_mean:undefined", "n_sum:undefined"}


async def test_first_and_last_go_by_the_devices_time(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("first", "last", "delta")) as one:
        await one.feed(reading(120, t=2.0), reading(240, t=3.5), reading(60, t=1.0))
        (told,) = await one.at(310)
        assert told.fields == {"t_first": 1.0, "t_last": 3.5, "t_delta": 2.5}


async def test_a_rise_counts_from_the_window_before_so_that_none_of_it_is_lost(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, kwh=grant("delta", every=MINUTE)) as one:
        await one.feed(*[reading(20 * n, kwh=float(n)) for n in range(9)])
        told = await one.at(200)
        assert [each.fields["kwh_delta"] for each in told] == [2.0, 3.0, 3.0]


async def test_a_late_last_value_mends_the_rise_of_the_window_after_it(tmp_path: Path) -> None:
    async with site(tmp_path, kwh=grant("delta", every=MINUTE)) as one:
        await one.feed(reading(0, kwh=1.0), reading(70, kwh=5.0))
        assert [each.fields["kwh_delta"] for each in await one.at(140)] == [0.0, 4.0]
        await one.feed(reading(50, kwh=4.0))
        assert [each.fields["kwh_delta"] for each in (await one.at(160))[2:]] == [3.0, 1.0]


async def test_numbers_leave_as_coarse_as_the_grant_says_but_counts_do_not(tmp_path: Path) -> None:
    async with site(tmp_path, lat=grant("last", "count", decimals=-1)) as one:
        await one.feed(*[reading(n, lat=37.38291 + n) for n in range(12)])
        (told,) = await one.at(310)
        assert told.fields == {"lat_last": 50.0, "lat_count": 12}


async def test_fields_of_different_windows_are_told_apart(tmp_path: Path) -> None:
    async with site(tmp_path, a=grant("mean", every=MINUTE), b=grant("max"), c=RAW, d=NONE) as one:
        await one.feed(reading(10, a=1.0, b=2.0, c=3.0, d=4.0))
        told = await one.at(400)
        assert [(each.measurement, each.fields) for each in told] == [
            ("env_1m", {"a_mean": 1.0}),
            ("env_5m", {"b_max": 2.0}),
        ]


async def test_tags_that_leave_make_series_and_those_that_stay_do_not(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        for room, owner in (("r1", "a"), ("r1", "b"), ("r2", "a")):
            one_reading = reading(1, t=1.0)
            tags = {"room": room, "owner": owner}
            await one.feed(
                Reading(*[*_values(one_reading)[:7], tags])  # type: ignore[arg-type]
            )
        told = await one.at(310)
        assert sorted((each.tags["room"], each.fields["t_count"]) for each in told) == [
            ("r1", 2),
            ("r2", 1),
        ]


def _values(one: Reading) -> list[object]:
    return [getattr(one, name) for name in one.__struct_fields__]


async def test_a_receipt_that_was_not_settled_is_computed_again_from_what_was(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, t=grant("count", "sum")) as one:
        await one.spool.append([reading(1, t=1.0), reading(2, t=2.0)], source="mqtt:site")
        batch = await one.spool.read("aggregate", 10)
        for _ in range(3):  # the spool's disk was full each time
            await one.aggregate.send(batch)
        await one.aggregate.tell_due()
        await one.drain()
        (told,) = await one.at(310)
        assert told.fields == {"t_count": 2, "t_sum": 3.0}


@pytest.mark.parametrize("seed", range(12))
async def test_a_crash_between_any_two_steps_loses_and_doubles_nothing(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    truth: dict[tuple[str, int], list[float]] = {}
    grants = {"t": grant("count", "sum", "last", every=MINUTE)}
    async with site(tmp_path, **grants) as one:
        at = 0.0
        for _ in range(60):
            at += dice.uniform(1, 15)
            one.now = T0 + round(at * S)
            batch = [
                reading(max(0.0, at - dice.choice([0, 0, 0, 40])), f"d{dice.randrange(3)}", t=n)
                for n in range(dice.randrange(1, 5))
            ]
            for each in batch:
                key = (each.device, each.time - each.time % MINUTE)
                truth.setdefault(key, []).append(float(each.fields["t"]))
            await one.spool.append(batch, source="mqtt:site")
            while one.spool.settled("aggregate") < one.spool.head:
                waiting = await one.spool.read("aggregate", dice.randrange(1, 7))
                receipt = await one.aggregate.send(waiting)
                if dice.random() < 0.2:
                    one.start()  # killed after the sink, before the settling transaction
                    continue
                await one.spool.settle("aggregate", waiting.first, waiting.last, receipt)
                if dice.random() < 0.2:
                    one.start()  # killed after the settling transaction
            if dice.random() < 0.5:
                await one.aggregate.tell_due()
            if dice.random() < 0.2:
                one.start()  # killed after a timer's append
        told = await one.at(at + 200)
    final = {(each.device, each.time): each.fields for each in told}
    assert final.keys() == truth.keys()
    for key, values in truth.items():
        assert final[key]["t_count"] == len(values)
        assert final[key]["t_sum"] == math.fsum(values)


async def test_derived_readings_are_not_aggregated_again(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.feed(reading(1, t=1.0))
        await one.at(310)
        await one.at(700)
        assert len(await one.told()) == 1


async def test_readings_of_unknown_profiles_and_measurements_are_passed_over(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        odd = Reading("e1", "d1", "acme/gone", "env", T0, T0, {"t": 1.0})
        wrong = Reading("e1", "d1", "acme/th", "air", T0, T0, {"t": 1.0})
        receipt = await one.aggregate.send(Batch(1, [odd, wrong]))
        assert receipt == Receipt()


def test_p95_of_a_long_window_keeps_a_bounded_even_sample() -> None:
    tally = first_tally(0, 0, sample=True)
    for number in range(1, 10_000):
        tally.add(number, number, sample=True)
    assert len(tally.samples) <= MAX_SAMPLES
    value = tally.tell("p95")
    assert isinstance(value, float)
    assert abs(value - 9500) < 20


def test_a_sum_of_many_fractions_does_not_drift() -> None:
    tally = first_tally(0.1, 0, sample=False)
    for number in range(1, 1_000_000):
        tally.add(0.1, number, sample=False)
    assert tally.tell("sum") == 100_000.0
    assert tally.tell("mean") == 0.1


def test_text_where_numbers_were_is_not_mixed_in() -> None:
    tally = first_tally(1.0, 0, sample=False)
    assert tally.add("broken", 1, sample=False) == "mismatched"
    assert tally.tell("count") == 1


async def test_the_timer_tells_nothing_that_rests_on_an_unsettled_receipt(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.spool.append([reading(1, t=1.0), reading(2, t=2.0)], source="mqtt:site")
        await one.aggregate.send(await one.spool.read("aggregate", 10))
        one.now = T0 + 310 * S
        await one.aggregate.tell_due()
        assert await one.told() == []
        one.start()  # killed before the settling transaction
        await one.drain()
        told = await one.at(400)
        assert [each.fields for each in told] == [{"t_count": 2}]
