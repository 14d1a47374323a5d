"""The promise: what is withheld as unchanged differs from what the centre has by no more than said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device_profiles.profile import load_profile
from edge_agent.declared import declared
from edge_agent.egress import Declared
from edge_agent.grant import NONE, RAW, Grant, Thin
from edge_agent.policy import Policy, Released
from edge_agent.thinning import MOST_KNOWN, Thinning
from gateway_core.clock import NS
from gateway_core.model import Alarm, Batch, Reading, Record, Value

MINUTE = 60 * NS
FIVE = Grant(every_ns=5 * MINUTE, fns=frozenset({"mean"}), every="5m")
VENDORS = Path(__file__).parents[3] / "device_profiles" / "vendors"


def policy(deadband: float = 0.5, heartbeat_s: int = 600) -> Policy:
    thin = Thin(deadband, heartbeat_s * NS)
    grants = {"t": RAW, "on": RAW, "n": RAW, "kept": NONE, "mean": FIVE}
    thins = {"t": thin, "on": Thin(0.0, heartbeat_s * NS), "mean": thin}
    return Policy({"p": Declared("p", "env", "public", "full", frozenset(), grants, thins)})


def reading(second: int, device: str = "d1", **fields: Value) -> Reading:
    return Reading("e1", device, "p", "env", second * NS, second * NS, dict(fields))


def pass_on(
    thinning: Thinning, rules: Policy, first: int, *records: Record, lost: bool = False
) -> Released:
    """Send a batch; the centre has it, or its answer was lost."""
    released, moves = thinning.thin(rules.release(Batch(first, list(records))), rules)
    if lost:
        thinning.lost(moves)
    else:
        thinning.received(moves)
    return released


def test_a_number_within_the_deadband_is_withheld_and_one_beyond_it_goes_out() -> None:
    values = (20.0, 20.5, 19.5, 20.6, 20.2, 21.2)
    batch = [reading(second, t=value) for second, value in enumerate(values)]
    left = pass_on(Thinning(0), policy(), 1, *batch)
    assert left.seqs == [1, 4, 6]
    assert left.withheld == {"deadband": 3}


def test_the_heartbeat_lets_an_unchanged_value_out() -> None:
    batch = [reading(second, t=20.0) for second in (0, 599, 600, 1199, 1200)]
    assert pass_on(Thinning(0), policy(), 1, *batch).seqs == [1, 3, 5]


def test_a_bool_goes_out_when_it_changes() -> None:
    batch = [reading(second, on=on) for second, on in enumerate((True, True, False, False, True))]
    assert pass_on(Thinning(0), policy(), 1, *batch).seqs == [1, 3, 5]


def test_what_has_no_deadband_goes_out_without_what_has_not_changed() -> None:
    left = pass_on(Thinning(0), policy(), 1, reading(0, t=20.0, n=1), reading(1, t=20.1, n=2))
    assert [record.fields for record in left.records if isinstance(record, Reading)] == [
        {"t": 20.0, "n": 1},
        {"n": 2},
    ]
    assert (left.withheld, left.trimmed) == ({}, 1)


def test_each_device_and_each_field_has_a_value_of_its_own() -> None:
    left = pass_on(Thinning(0), policy(), 1, reading(0, t=20.0), reading(1, "d2", t=20.0))
    assert left.seqs == [1, 2]


def test_aggregates_and_alarms_are_never_thinned() -> None:
    alarm = Alarm("e1", "d1", "p", "hot", "major", "raised", NS)
    means = [
        Reading("e1", "d1", "p", "env_5m", n * NS, n * NS, {"mean_mean": 20.0}, derived=True)
        for n in (1, 2)
    ]
    left = pass_on(Thinning(0), policy(), 1, *means, alarm, alarm)
    assert left.seqs == [1, 2, 3, 4]


def test_a_value_older_than_the_last_one_goes_out_and_changes_nothing() -> None:
    thinning, rules = Thinning(0), policy()
    assert pass_on(thinning, rules, 1, reading(100, t=20.0)).seqs == [1]
    assert pass_on(thinning, rules, 2, reading(50, t=20.1), reading(51, t=20.1)).seqs == [2, 3]
    assert pass_on(thinning, rules, 4, reading(101, t=20.4)).seqs == []


def test_a_batch_whose_answer_was_lost_is_sent_as_it_was() -> None:
    thinning, rules = Thinning(0), policy()
    pass_on(thinning, rules, 1, reading(0, t=20.0))
    batch = (reading(1, t=20.4), reading(2, t=21.0), reading(3, t=21.1))
    first = pass_on(thinning, rules, 2, *batch, lost=True)
    again = pass_on(thinning, rules, 2, *batch)
    assert (first.seqs, again.seqs) == ([3], [3])
    assert first.records == again.records


def test_after_other_rules_a_batch_whose_answer_was_lost_is_sent_whole() -> None:
    thinning, rules = Thinning(0), policy()
    batch = (reading(1, t=20.0), reading(2, t=20.1), reading(3, t=20.2))
    assert pass_on(thinning, rules, 1, *batch, lost=True).seqs == [1]
    thinning.doubt()
    assert pass_on(thinning, rules, 1, *batch).seqs == [1, 2, 3]
    assert pass_on(thinning, rules, 4, reading(4, t=20.2), reading(5, t=20.2)).seqs == [4]


def test_what_came_before_a_restart_is_sent_whole_and_then_the_first_value_goes_out() -> None:
    rules = policy()
    batch = (reading(1, t=20.0), reading(2, t=20.1))
    restarted = Thinning(certain_after=2)
    assert pass_on(restarted, rules, 1, *batch).seqs == [1, 2]
    assert pass_on(restarted, rules, 3, reading(3, t=20.1), reading(4, t=20.1)).seqs == [3]


def test_of_a_value_that_the_centre_refused_the_next_goes_out() -> None:
    thinning, rules = Thinning(0), policy()
    released, moves = thinning.thin(rules.release(Batch(1, [reading(1, t=20.0)])), rules)
    thinning.received(moves, rejected=frozenset(released.seqs))
    assert pass_on(thinning, rules, 2, reading(2, t=20.0)).seqs == [2]


def test_the_memory_is_bounded() -> None:
    thinning, rules = Thinning(0), policy()
    for start in range(0, MOST_KNOWN + 10_000, 10_000):
        batch = [reading(1, f"d{start + n}", t=20.0) for n in range(10_000)]
        pass_on(thinning, rules, start + 1, *batch)
    assert len(thinning) == MOST_KNOWN


@pytest.mark.parametrize(
    ("name", "thinned"),
    [("milesight/em300-th", ()), ("shelly/plus-plug-s", ()), ("tasmota/energy-plug", ())],
)
def test_what_leaves_only_as_aggregates_is_not_thinned(name: str, thinned: tuple[str, ...]) -> None:
    profile = load_profile(VENDORS / f"{name}.yaml", strict=False)
    gate = Policy({name: declared(profile)}).gate(name, "any")
    assert gate is not None
    assert tuple(gate.thins) == thinned


@dataclass
class Centre:
    """Takes each sequence number once, as the collector does."""

    covered: set[int] = field(default_factory=set)
    held: list[Reading] = field(default_factory=list)

    def take(self, released: Released) -> None:
        for seq, record in zip(released.seqs, released.records, strict=True):
            if seq not in self.covered and isinstance(record, Reading):
                self.held.append(record)
        self.covered.update(range(released.first, released.last + 1))

    def at(self, device: str, time: int) -> Reading:
        """Return the newest that it has of a device, up to a time."""
        known = [one for one in self.held if one.device == device and one.time <= time]
        return max(known, key=lambda one: one.time)


_HEAR = st.tuples(
    st.just("hear"),
    st.sampled_from(["d1", "d1", "d1", "d2"]),
    st.sampled_from([-0.4, 0.4]),
    st.sampled_from([1, 300]),
)
_SEND = st.tuples(st.just("send"), st.integers(1, 3), st.sampled_from(["ok", "unheard", "unsent"]))
STEPS = st.one_of(
    _HEAR,
    _HEAR,
    _SEND,
    _SEND,
    st.tuples(st.sampled_from(["restart"])),
    st.tuples(st.just("rules"), st.sampled_from([0.2, 0.5])),
)
"""Steps of 0.4 with a deadband of 0.5: two of them in one direction are one too many to miss."""


UP, DOWN, SENT = ("hear", "d1", 0.4, 1), ("hear", "d1", -0.4, 1), ("send", 2, "ok")
UNHEARD = ("send", 2, "unheard")


@example([UP, SENT, UP, UP, UNHEARD, ("restart",), SENT, DOWN, DOWN, SENT])
@example([UP, SENT, ("rules", 0.2), UP, UNHEARD, ("rules", 0.5), SENT, DOWN, DOWN, SENT])
@example([UP, SENT, UP, UP, UNHEARD, ("send", 1, "ok"), SENT, DOWN, DOWN, SENT])
@settings(max_examples=300)
@given(st.lists(STEPS, min_size=8, max_size=40))
def test_whatever_is_lost_repeated_or_restarted_the_centre_is_never_off_by_more(
    steps: list[tuple[object, ...]],
) -> None:
    """A value on site is within the deadband of the newest that the centre has at its time."""
    log: list[Reading] = []
    value = {"d1": 20.0, "d2": 20.0}
    settled, now = 0, 0
    centre, thinning, rules = Centre(), Thinning(0), policy()
    for step in steps:
        match step:
            case ("hear", str(device), float(change), int(seconds)):
                now += seconds
                value[device] += change
                log.append(reading(now, device, t=value[device]))
            case ("send", int(count), str(fate)) if log[settled:]:
                batch = Batch(settled + 1, list(log[settled : settled + count]))
                released, moves = thinning.thin(rules.release(batch), rules)
                if fate != "unsent":
                    centre.take(released)
                if fate == "ok":
                    thinning.received(moves)
                    settled = batch.last
                else:
                    thinning.lost(moves)
            case ("restart",):
                thinning = Thinning(len(log))
            case ("rules", float(deadband)):
                rules = policy(deadband)
                thinning.doubt()
        for one in log[:settled]:
            known = centre.at(one.device, one.time)
            assert abs(float(one.fields["t"]) - float(known.fields["t"])) <= 0.5
            assert one.time - known.time < 600 * NS
