"""What an edge is told follows from pins and roll-outs alone: a pin wins, the newest that reached it next, nothing unusable ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.profiles.assignment import Assignment, Rollout, assign

EDGES = ("e1", "e2", "e3")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
STAGES = ("shadow", "canary", "rest", "done", "stopped", "rolled_back")

edge_sets = st.frozensets(st.sampled_from(EDGES))
rollouts = st.lists(
    st.builds(
        Rollout,
        st.integers(1, 1000),
        st.just("a/b"),
        st.sampled_from(VERSIONS),
        st.sampled_from(STAGES),
        edge_sets,
        st.none() | edge_sets,
    ),
    max_size=6,
    unique_by=lambda each: each.number,
)
pinned = st.dictionaries(
    st.tuples(st.just("a/b"), st.sampled_from(("", *EDGES))), st.sampled_from(VERSIONS)
)
usable = st.frozensets(st.tuples(st.just("a/b"), st.sampled_from(VERSIONS)))


def _one(edge: str, *rest) -> Assignment:
    return assign(edge, *rest).get("a/b", Assignment(None, None))


@given(st.sampled_from(EDGES), rollouts, pinned, usable)
def test_nothing_is_named_that_may_not_be_used(edge, rolled, pins, fit) -> None:
    one = _one(edge, rolled, pins, fit)
    assert {("a/b", version) for version in (one.active, one.shadow) if version} <= fit
    assert one.shadow is None or one.shadow != one.active


@given(st.sampled_from(EDGES), rollouts, pinned, usable)
def test_a_pin_wins_over_every_roll_out(edge, rolled, pins, fit) -> None:
    pin = pins.get(("a/b", edge), pins.get(("a/b", "")))
    if pin is not None and ("a/b", pin) in fit:
        assert _one(edge, rolled, pins, fit).active == pin


@given(st.sampled_from(EDGES), rollouts, usable)
def test_what_was_taken_back_counts_as_if_it_had_never_been(edge, rolled, fit) -> None:
    left = [each for each in rolled if each.stage not in ("stopped", "rolled_back")]
    assert assign(edge, rolled, {}, fit) == assign(edge, left, {}, fit)


@given(st.sampled_from(EDGES), rollouts, pinned, usable, st.randoms())
def test_the_order_in_which_they_are_read_does_not_matter(edge, rolled, pins, fit, chance) -> None:
    shuffled = list(rolled)
    chance.shuffle(shuffled)
    assert assign(edge, shuffled, pins, fit) == assign(edge, rolled, pins, fit)


@given(st.sampled_from(EDGES), rollouts, usable, st.sampled_from(VERSIONS))
def test_a_new_roll_out_taken_back_brings_back_what_was_before(edge, rolled, fit, version) -> None:
    before = assign(edge, rolled, {}, fit)
    for stage, back in (("shadow", "stopped"), ("canary", "rolled_back"), ("done", "rolled_back")):
        new = Rollout(2000, "a/b", version, stage, frozenset({"e1"}), None)
        during = _one(edge, [*rolled, new], {}, fit)
        reached = stage == "done" or (stage == "canary" and edge == "e1")
        if reached and ("a/b", version) in fit:
            assert during.active == version
        else:
            assert during.active == before.get("a/b", Assignment(None, None)).active
        gone = Rollout(2000, "a/b", version, back, frozenset({"e1"}), None)
        assert assign(edge, [*rolled, gone], {}, fit) == before
