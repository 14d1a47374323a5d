"""Every feed has its turn once a sweep, evenly spread, and no device is asked by too many."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.gates import Gates
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.judge import Memory, judge
from edge_agent.cameras.pacing import Allowance, Pace
from edge_agent.cameras.settings import PatrolSettings


def turns(pace: Pace, start: float, stop: float, step: float = 0.1) -> list[tuple[float, str]]:
    taken, now = [], start
    while now < stop:
        while (key := pace.take(now)) is not None:
            taken.append((now, key))
        now += step
    return taken


def test_every_key_has_one_turn_in_each_round() -> None:
    keys = [f"c{number}" for number in range(200)]
    pace = Pace(60.0, Random(1))
    pace.spread(keys, 0.0, 60.0)

    for sweep in range(3):
        taken = [key for _, key in turns(pace, sweep * 60.0, sweep * 60.0 + 59.8)]
        assert len(taken) >= 198
        assert len(set(taken)) == len(taken)


def test_turns_are_even_over_the_round() -> None:
    pace = Pace(60.0, Random(1))
    pace.spread([f"c{number}" for number in range(600)], 0.0, 60.0)
    turns(pace, 0.0, 60.0)

    counts = [0] * 6
    for at, _ in turns(pace, 60.0, 120.0):
        counts[int((at - 60) // 10)] += 1

    assert min(counts) >= 97
    assert max(counts) <= 103


def test_after_a_long_halt_missed_turns_are_left_out() -> None:
    pace = Pace(10.0, Random(1))
    pace.spread(["a", "b"], 0.0, 10.0)
    turns(pace, 0.0, 10.0)

    assert sorted(key for _, key in turns(pace, 100.0, 101.0)) == ["a", "b"]


def test_a_key_that_was_taken_out_has_no_turn() -> None:
    pace = Pace(10.0, Random(1))
    pace.spread(["a", "b"], 0.0, 1.0)
    pace.discard("a")

    assert {key for _, key in turns(pace, 0.0, 30.0)} == {"b"}
    pace.discard("b")
    assert pace.wait(0.0) is None


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 100)), max_size=300))
def test_moving_turns_about_never_loses_a_key(moves: list[tuple[str, float]]) -> None:
    pace = Pace(10.0, Random(1))
    for key, due in moves:
        pace.set(key, due)

    assert {key for _, key in turns(pace, 0.0, 101.0, 0.5)} == {key for key, _ in moves}


def sooner(pace: Pace, extra: Allowance, key: str, at: float) -> None:
    if pace.comes_after(key, at) and extra.take(at, 1000 / 60):
        pace.set(key, at)


def test_19_of_20_changes_are_verdicts_within_90_s_of_a_sweep_of_60_s() -> None:
    chance, settings = Random(3), PatrolSettings(sweep_s=60.0)
    keys = [f"c{number}" for number in range(1000)]
    pace, extra = Pace(60.0, chance), Allowance(settings.extra_share, settings.extra_burst)
    pace.spread(keys, 0.0, 60.0)
    died = {key: chance.uniform(120, 600) for key in keys[:300]}
    memories = dict.fromkeys(keys, Memory())
    delays: dict[str, float] = {}
    for now in range(800):
        while (key := pace.take(float(now))) is not None:
            dead = died.get(key, 1e9) <= now
            memory = judge(memories[key], StreamCheck("timeout" if dead else "ok"), now * 10**9)
            memories[key] = memory
            if memory.verdict.state == "offline":
                delays.setdefault(key, now + 3 - died[key])
            if memory.unsettled():
                sooner(pace, extra, key, now + settings.again_sweeps * 60)

    assert sorted(delays) == sorted(died)
    assert sorted(delays.values())[284] <= 90


def test_a_feed_that_keeps_changing_its_mind_has_no_more_extra_turns_than_a_share() -> None:
    extra = Allowance(0.2, 20)
    granted = sum(extra.take(second / 10, 10.0) for second in range(36_000))

    assert 7_200 <= granted <= 7_200 + 20


def test_a_feed_is_unsettled_until_three_checks_agree_with_its_verdict() -> None:
    memory, unsettled = Memory(), []
    for number, outcome in enumerate(
        ("ok", "ok", "timeout", "timeout", "timeout", "timeout", "parent_lost", "ok")
    ):
        memory = judge(memory, StreamCheck(outcome), number)
        unsettled.append(memory.unsettled())

    assert unsettled == [False, False, True, True, False, False, False, True]


def test_a_turn_that_comes_sooner_anyway_is_not_moved() -> None:
    pace = Pace(60.0, Random(1))
    pace.set("a", 10.0)

    assert (pace.comes_after("a", 5.0), pace.comes_after("a", 10.0)) == (True, False)
    assert not pace.comes_after("nobody", 0.0)


def feed(host: str, group: str = "", port: int = 554) -> Feed:
    return Feed(f"{host}-{group}", host, RtspAddress(f"rtsp://{host}/", host, port), group=group)


async def most_at_once(gates: Gates, feeds: list[Feed]) -> int:
    now = most = 0

    async def visit(each: Feed) -> None:
        nonlocal now, most
        async with gates.hold(each):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now -= 1

    async with asyncio.TaskGroup() as group:
        for each in feeds:
            group.create_task(visit(each))
    return most


async def test_one_check_at_a_time_on_a_device() -> None:
    assert await most_at_once(Gates(PatrolSettings()), [feed("10.0.0.1")] * 9) == 1


async def test_a_group_has_its_own_limit() -> None:
    feeds = [feed(f"10.0.{number}.1", "nvr") for number in range(9)]

    assert await most_at_once(Gates(PatrolSettings(per_group=3)), feeds) == 3


async def test_a_group_of_thousands_has_room_for_its_dead() -> None:
    feeds = [feed(f"10.0.{number}.1", "switch") for number in range(99)]
    gates = Gates(PatrolSettings(per_group=4), lambda _, kind: 3000 if kind == "group" else 1)

    assert await most_at_once(gates, feeds) == 30


async def test_a_neighbourhood_is_a_24_or_a_64() -> None:
    settings = PatrolSettings(per_neighbourhood=2)
    four = [feed(f"10.0.0.{number}") for number in range(9)]
    six = [feed(f"2001:db8::{number}") for number in range(9)]

    assert await most_at_once(Gates(settings), four) == 2
    assert await most_at_once(Gates(settings), six) == 2
    assert await most_at_once(Gates(settings), [four[0], feed("10.0.1.0"), six[0]]) == 3


async def test_gates_that_nobody_uses_are_forgotten() -> None:
    gates = Gates(PatrolSettings())
    await most_at_once(gates, [feed(f"10.0.{number}.1", f"g{number}") for number in range(50)])

    assert len(gates) == 0


async def test_a_waiter_that_is_cancelled_leaves_no_trace() -> None:
    gates = Gates(PatrolSettings())

    async def wait() -> None:
        async with gates.hold(feed("10.0.0.1")):
            raise AssertionError

    async with gates.hold(feed("10.0.0.1")), asyncio.TaskGroup() as group:
        task = group.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()

    assert len(gates) == 0
