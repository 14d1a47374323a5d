"""No event is ever in a state that the table does not lead to; a wrong step names the right ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.events.workflow import ACTIONS, STATES, TRANSITIONS, WrongStep, allowed, link, step


def test_the_loop_is_the_five_steps_of_the_city_in_their_order() -> None:
    state = "open"
    for action, after in (
        ("accept", "accepted"),
        ("assign", "assigned"),
        ("handle", "handled"),
        ("feedback", "fed_back"),
        ("verify", "verified"),
        ("reopen", "open"),
    ):
        state = step(state, action)
        assert state == after


@given(st.lists(st.sampled_from(ACTIONS), max_size=60))
def test_no_sequence_of_actions_leaves_the_table(actions: list[str]) -> None:
    state = "open"
    for action in actions:
        if (state, action) in TRANSITIONS:
            state = step(state, action)
        else:
            with pytest.raises(WrongStep) as caught:
                step(state, action)
            assert caught.value.allowed == allowed(state)
        assert state in STATES


@pytest.mark.parametrize("state", STATES)
def test_every_state_can_be_reached_and_left(state: str) -> None:
    assert state in {*TRANSITIONS.values()}
    assert allowed(state)


def test_nothing_is_verified_that_was_not_handled_and_fed_back() -> None:
    assert [pair for pair, after in TRANSITIONS.items() if after == "verified"] == [
        ("fed_back", "verify")
    ]


def test_a_wrong_step_says_what_may_be_done_instead() -> None:
    with pytest.raises(WrongStep, match="open cannot verify; allowed now: accept"):
        step("open", "verify")


def test_a_digest_covers_the_entry_and_the_one_before() -> None:
    one = link("", {"action": "open", "version": 1})
    assert one == link("", {"version": 1, "action": "open"})
    assert link(one, {"action": "accept"}) != link("", {"action": "accept"})
    assert len(one) == 64
