"""Down is down, unknown is unknown, and one check alone changes no verdict."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.evidence import DeviceCheck, PictureCheck, StreamCheck
from edge_agent.cameras.judge import MEMORY_S, Memory, judge, overlay
from edge_agent.cameras.outage import OutageWatch
from edge_agent.cameras.verdict import OUTCOME_STATES, Finding, Outcome, stream_finding
from gateway_core.clock import NS

OUTCOMES = st.sampled_from(sorted(OUTCOME_STATES))
EVIDENCE = st.one_of(
    OUTCOMES.map(StreamCheck),
    st.sampled_from([DeviceCheck(), DeviceCheck(("clock_skew",))]),
    st.sampled_from([PictureCheck(()), PictureCheck(("picture_black",))]),
)


def after(*outcomes: Outcome, start: Memory | None = None) -> Memory:
    memory = start or Memory()
    for number, outcome in enumerate(outcomes, 1):
        memory = judge(memory, StreamCheck(outcome), number * NS)
    return memory


def test_every_outcome_has_a_state() -> None:
    assert set(OUTCOME_STATES) == set(get_args(Outcome))


def test_a_feed_nobody_asked_is_unknown() -> None:
    assert Memory().verdict == Finding("unknown", ("not_checked",))


def test_the_first_success_counts_at_once_and_the_first_failure_does_not() -> None:
    assert after("ok").verdict == Finding("online")
    assert after("timeout").verdict.state == "unknown"
    assert after("timeout", "timeout").verdict == Finding("offline", ("rtsp_timeout",))


@given(st.lists(OUTCOMES, max_size=12))
def test_a_fault_that_others_share_needs_no_second_opinion_and_one_success_ends_it(
    before: list[Outcome],
) -> None:
    lost = judge(after(*before), StreamCheck("parent_lost", proven=True), 99 * NS)
    assert lost.verdict == Finding("unknown", ("rtsp_parent_lost",))
    assert after("ok", start=lost).verdict == Finding("online")


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        (("ok", "timeout"), "online"),
        (("ok", "timeout", "ok"), "online"),
        (("ok", "timeout", "ok", "timeout"), "offline"),
        (("ok", "timeout", "timeout"), "offline"),
        (("ok", "refused", "auth_failed"), "auth_failed"),
        (("refused", "refused", "ok"), "offline"),
        (("refused", "refused", "ok", "ok"), "online"),
        (("ok", "network_down", "network_down"), "unknown"),
        (("ok", "network_down", "network_down", "ok"), "online"),
        (("ok", "limit", "limit"), "locked_out"),
        (("ok", "not_found", "not_found"), "no_stream"),
    ],
)
def test_two_of_three_decide(outcomes: tuple[Outcome, ...], state: str) -> None:
    assert after(*outcomes).verdict.state == state


def test_a_reason_changes_only_when_it_is_seen_twice() -> None:
    down = after("timeout", "timeout", "refused")
    assert down.verdict.faults == ("rtsp_timeout",)

    assert after("refused", start=down).verdict.faults == ("rtsp_refused",)


@given(st.lists(OUTCOMES, max_size=12), OUTCOMES)
def test_three_equal_checks_always_have_their_way(before: list[Outcome], last: Outcome) -> None:
    assert after(*before, last, last, last).stream == stream_finding(last)


@given(st.lists(OUTCOMES, max_size=12), OUTCOMES)
def test_one_check_after_three_equal_ones_changes_no_known_state(
    before: list[Outcome], odd: Outcome
) -> None:
    assert after(*before, "refused", "refused", "refused", odd).stream.state == "offline"


@given(st.lists(OUTCOMES, min_size=1, max_size=12))
def test_a_state_is_never_made_up(outcomes: list[Outcome]) -> None:
    assert after(*outcomes).stream.state in {
        "unknown",
        *(OUTCOME_STATES[each] for each in outcomes),
    }


@given(st.lists(OUTCOMES.filter(lambda each: OUTCOME_STATES[each] != "offline"), max_size=20))
def test_without_a_dead_device_nothing_is_offline(outcomes: list[Outcome]) -> None:
    assert after(*outcomes).verdict.state != "offline"


@given(st.lists(EVIDENCE, max_size=20))
def test_only_a_feed_that_is_online_can_be_degraded(evidence: list) -> None:
    memory = Memory()
    for number, each in enumerate(evidence):
        memory = judge(memory, each, number * NS)
        assert (memory.verdict.state == "degraded") == (
            memory.stream.state == "online" and bool(memory.verdict.faults)
        )


def test_a_picture_fault_needs_two_of_three_and_goes_with_two_of_three() -> None:
    memory, seen = after("ok"), []
    for faults in ((), ("picture_black",), ("picture_black",), (), ()):
        memory = judge(memory, PictureCheck(faults), 9 * NS)
        seen.append((memory.verdict.state, memory.verdict.faults))

    assert seen == [
        ("online", ()),
        ("online", ()),
        ("degraded", ("picture_black",)),
        ("degraded", ("picture_black",)),
        ("online", ()),
    ]


def test_an_old_picture_says_nothing_any_more() -> None:
    memory = after("ok")
    for _ in range(2):
        memory = judge(memory, PictureCheck(("picture_black",)), 9 * NS)

    later = judge(memory, StreamCheck("ok"), (10 + MEMORY_S) * NS)

    assert later.verdict == Finding("online")


def test_a_verdict_that_nobody_renewed_is_stale() -> None:
    memory = after("ok")

    assert overlay(memory, 181 * NS, stale_after_s=180, maintenance=False).state == "online"
    assert overlay(memory, 182 * NS, stale_after_s=180, maintenance=False).state == "stale"
    assert overlay(memory, 182 * NS, stale_after_s=180, maintenance=True) == Finding("maintenance")


def watch(*notes: tuple[str, bool]) -> OutageWatch:
    outage = OutageWatch()
    for host, reached in notes:
        outage.note(host, reached=reached)
    return outage


def hosts(count: int, *, reached: bool) -> list[tuple[str, bool]]:
    return [(f"h{number}", reached) for number in range(count)]


def test_two_thirds_of_the_hosts_failing_in_a_row_is_our_own_outage() -> None:
    assert not watch(*hosts(6, reached=True), *hosts(3, reached=False)).down
    assert watch(*hosts(6, reached=True), *hosts(4, reached=False)).down


def test_twenty_in_a_row_are_enough_of_a_thousand() -> None:
    assert not watch(*hosts(1000, reached=True), *hosts(19, reached=False)).down
    assert watch(*hosts(1000, reached=True), *hosts(20, reached=False)).down


def test_one_answer_ends_the_outage_and_the_failed_are_witnesses_again() -> None:
    outage = watch(*hosts(5, reached=True), *hosts(5, reached=False), ("h1", True))
    assert not outage.down

    for number in range(5):
        outage.note(f"h{number}", reached=False)
    assert outage.down


def test_one_answer_in_between_keeps_dead_hosts_dead() -> None:
    notes = [*hosts(8, reached=True), *hosts(4, reached=False), ("h7", True)]

    assert not watch(*notes, *hosts(4, reached=False)).down


def test_one_or_two_hosts_prove_nothing_about_the_network() -> None:
    assert not watch(*hosts(2, reached=True), *hosts(2, reached=False)).down


def test_hosts_that_never_answered_are_no_witnesses() -> None:
    assert not watch(*hosts(50, reached=False), *hosts(50, reached=False)).down
