"""Readings folded together leave the rows that they leave one by one, and the same are refused."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.registry.bundle import Item, bundled, judged
from collector.registry.changes import Changes
from collector.registry.judge import judge
from gateway_core.model import Alarm, Listed, Loss, Reading, Record

TIMES = st.integers(1, 30)
VALUES = st.one_of(
    st.sampled_from([float("nan"), float("inf"), 2**64 - 1, -(2**63), "nul\0", "x" * 70_000]),
    st.integers(-5, 5),
    st.floats(-5, 5),
    st.booleans(),
    st.text("ab", max_size=2),
)
READINGS = st.builds(
    Reading,
    edge=st.sampled_from(["e1", "e2"]),
    device=st.sampled_from(["d1", "d2"]),
    profile=st.sampled_from(["", "p", "q", "x" * 256]),
    measurement=st.sampled_from(["env", "env_5m"]),
    time=st.one_of(TIMES, TIMES, st.just(2**64 - 1)),
    received=TIMES,
    fields=st.dictionaries(st.sampled_from("abc"), VALUES, min_size=1),
)
SAID = st.one_of(
    st.builds(
        Listed,
        edge=st.just("e1"),
        kind=st.just("device"),
        id=st.sampled_from(["d1", "d2"]),
        time=TIMES,
        online=st.sampled_from([None, True, False]),
    ),
    st.builds(
        Alarm,
        edge=st.just("e1"),
        device=st.sampled_from(["d1", "d2"]),
        profile=st.just("p"),
        rule=st.sampled_from(["silence", "hot"]),
        severity=st.just("major"),
        state=st.sampled_from(["raised", "cleared"]),
        time=TIMES,
    ),
    st.builds(Loss, st.just("e1"), TIMES, st.just("x"), st.just(1), st.just(3), st.just("damaged")),
)
GOOD = READINGS.filter(lambda each: judge(each) is None)


def singly(records: list[tuple[int, Record]]) -> list[Item]:
    """Each record alone."""
    return [item for each in records for item in bundled([each])]


@settings(max_examples=300)
@given(
    batches=st.lists(st.lists(st.one_of(GOOD, GOOD, SAID), max_size=20), max_size=3),
    again=st.integers(0, 10),
)
def test_rows_do_not_depend_on_what_is_folded_together(batches, again) -> None:
    one, other, first = Changes(), Changes(), 1
    for records in batches:
        first = max(1, first - again)  # a batch may begin with what came before
        numbered = list(enumerate(records, first))
        one.take(bundled(numbered))
        for item in singly(deepcopy(numbered)):
            other.take([item])
        first += len(records)
    assert one.rows == other.rows


@settings(max_examples=300)
@given(records=st.lists(READINGS, max_size=30))
def test_what_is_judged_together_is_refused_alone(records) -> None:
    fit, rejected = judged(1, records)
    faults = [(seq, *judge(each)) for seq, each in enumerate(records, 1) if judge(each)]
    assert sorted((each.seq, each.reason, each.detail) for each in rejected) == faults
    kept = sorted(seq for item in fit for seq in item.seqs)  # all are readings
    assert kept == [seq for seq in range(1, len(records) + 1) if seq not in {f[0] for f in faults}]


def test_a_backlog_of_one_device_is_one_bundle() -> None:
    spoken = [Reading("e1", f"d{n % 2}", "p", "env", n, n, {"t": 1.0}) for n in range(1, 101)]
    items = bundled(enumerate(spoken, 1))
    assert [len(item.seqs) for item in items] == [50, 50]


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (Alarm("e1", "d1", "p", "silence", "major", "raised", 20), "online"),
        (Listed("e1", "device", "d1", 20, online=False), "offline"),
    ],
)
def test_what_is_said_between_two_readings_is_folded_between_them(said, state: str) -> None:
    spoken = [Reading("e1", "d1", "p", "env", at, at, {"t": 1.0}) for at in (10, 30)]
    items = bundled([(1, spoken[0]), (2, said), (3, spoken[1])])
    assert len(items) == 3
    changes = Changes()
    changes.take(items)
    row = changes.rows["devices"]["e1", "d1"]
    assert (row["state"], row["last_seen"], row["readings"]) == (state, 30, 2)
