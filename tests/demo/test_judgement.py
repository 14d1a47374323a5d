"""A lost message, a message stored twice and a message never seen all show in the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_core.errors import GatewayError
from simulators.sensors.simulate import SensorReport
from simulators.sensors.truth import Acknowledged, TruthFile, Verdict, last_seqs
from tests.fakes.demo import HeldStore
from tidegate.demo.outcome import Findings, Outcome
from tidegate.demo.plan import Plan
from tidegate.demo.sampler import Latency, Sampler, quantile
from tidegate.simulate.judgement import judge_truth

S = 1_000_000_000
PLAN = Plan(
    seconds=10,
    devices=2,
    feeds=3,
    systems=1,
    edges=1,
    rate=10,
    port=0,
    listen="127.0.0.1",
)


def write(path: Path, *lines: tuple[str, int, int, int]) -> Path:
    with TruthFile(path) as truth:
        for device, seq, sent, acked in lines:
            truth.acknowledged(device, seq, sent, acked)
    return path


async def test_a_message_that_is_in_a_truth_file_and_not_in_the_store_is_lost(
    tmp_path: Path,
) -> None:
    truth = write(tmp_path / "t.csv", ("sim-a", 1, 5 * S, 6 * S), ("sim-b", 1, 5 * S, 7 * S))
    store = HeldStore(("sim-a", 1), ("sim-b", 1))
    assert await judge_truth(store, [truth], "env") == Verdict(2, 2, 0, 0)
    write(truth, ("sim-b", 2, 8 * S, 9 * S))
    assert await judge_truth(store, [truth], "env") == Verdict(3, 2, 1, 0, ("lost sim-b 2",))
    assert store.asked == [("env", 4 * S, 67 * S, ()), ("env", 4 * S, 69 * S, ())]


async def test_a_point_that_is_there_twice_is_counted_once_as_delivered(tmp_path: Path) -> None:
    truth = write(tmp_path / "t.csv", ("sim-a", 1, 5 * S, 6 * S))
    store = HeldStore(("sim-a", 1), ("sim-a", 1), ("sim-a", 1))
    assert await judge_truth(store, [truth], "env") == Verdict(1, 1, 0, 2, ("twice sim-a 1",))


async def test_a_truth_file_without_a_promise_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="nothing can be judged"):
        await judge_truth(HeldStore(), [write(tmp_path / "t.csv")], "env")


def test_a_second_run_goes_on_counting_where_the_truth_file_ends(tmp_path: Path) -> None:
    truth = write(tmp_path / "t.csv", ("sim-a", 1, 5, 6), ("sim-a", 2, 7, 8), ("sim-b", 1, 5, 6))
    assert last_seqs(truth) == {"sim-a": 2, "sim-b": 1}
    assert last_seqs(tmp_path / "none.csv") == {}


async def test_a_latency_ends_with_the_answer_that_shows_the_message() -> None:
    now = 100 * S
    store = HeldStore()
    sampler = Sampler(store, lambda: now)
    sampler.follow("env", ["sim-a"])
    sampler.acknowledged(Acknowledged("sim-a", 1, 98 * S, 99 * S))
    sampler.acknowledged(Acknowledged("sim-a", 2, 99 * S, 99 * S))
    sampler.acknowledged(Acknowledged("sim-b", 1, 99 * S, 99 * S))
    await sampler.look()
    assert sampler.latency() == Latency(0, 2, None, None, None)
    store.held = [("sim-a", 1)]
    now = 101 * S
    await sampler.look()
    assert sampler.latency() == Latency(1, 1, 3000.0, 3000.0, None)
    assert store.asked[-1] == ("env", 97 * S, 161 * S, ("sim-a",))


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([], 0.5) is None
    assert quantile([7.0], 0.99) == 7.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(1, 101)], 0.99) == 99.0


def outcome(**changed: object) -> Outcome:
    good = {
        "verdict": Verdict(100, 100, 0, 0),
        "devices": 2,
        "feeds": {"online": 3},
        "unjudged": 0,
        "systems": {"up": 1},
        "residual": 0,
    }
    sensors = SensorReport(100, 100, {}, 0, 10.0)
    latency = Latency(50, 0, 100.0, 200.0, 50.0)
    return Outcome(PLAN, sensors, Findings(**(good | changed)), latency, 1.0, 20.0)


def test_the_report_of_a_good_run_has_the_promised_names() -> None:
    report = outcome().as_dict()
    promised = (
        *("accepted", "delivered", "lost", "duplicated", "residual", "devices", "feeds"),
        *("p50_ms", "p99_ms", "simulated", "ok"),
    )
    assert {name: report[name] for name in promised} == {
        "accepted": 100,
        "delivered": 100,
        "lost": 0,
        "duplicated": 0,
        "residual": 0,
        "devices": 2,
        "feeds": {"online": 3},
        "p50_ms": 100.0,
        "p99_ms": 200.0,
        "simulated": True,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"verdict": Verdict(100, 99, 1, 0)},
            "1 acknowledged messages are not in the store",
        ),
        ({"verdict": Verdict(100, 100, 0, 2)}, "2 points are in the store twice"),
        ({"verdict": Verdict(0, 0, 0, 0)}, "no message was acknowledged"),
        ({"residual": 4}, "the books do not balance: residual 4"),
        ({"devices": 1}, "the registry knows 1 of 2 devices"),
        ({"unjudged": 1}, "1 of 3 feeds were not judged"),
    ],
)
def test_each_thing_amiss_makes_the_run_bad(changed: dict[str, object], complaint: str) -> None:
    found = outcome(**changed)
    assert list(found.complaints()) == [complaint]
    assert found.as_dict()["ok"] is False
