"""The promise: what was committed is recognised when it is sent again, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.mqtt import MqttSource
from edge_agent.sources.redelivery import Redelivery, fingerprint
from tests.fakes.ingest import FakeIngest

PREFIX = "mqtt/site/"


def _apply(state: dict[str, bytes], change: dict[str, bytes | None]) -> None:
    for key, value in change.items():
        if value is None:
            del state[key]
        else:
            state[key] = value


def _commit(
    memory: Redelivery, state: dict[str, bytes], marks: list[int], *, settled: bool
) -> None:
    _apply(state, memory.enter(marks, settled=settled))


def test_the_mark_of_a_message_is_the_same_in_every_process() -> None:
    assert fingerprint(7, "tg/a/up", b'{"t":21.5}') == 0x0007_000A_08F4_7CD6


def test_a_committed_message_is_recognised_after_a_restart() -> None:
    state: dict[str, bytes] = {}
    mark = fingerprint(7, "tg/a/up", b"on")
    _commit(Redelivery(PREFIX, 10, state), state, [mark], settled=True)
    again = Redelivery(PREFIX, 10, state)
    assert again.recognises(mark)
    assert not again.recognises(fingerprint(7, "tg/a/up", b"off"))
    assert not again.recognises(fingerprint(8, "tg/a/up", b"on"))
    assert not again.recognises(fingerprint(7, "tg/b/up", b"on"))


def test_a_packet_id_that_came_again_replaces_what_it_stood_for() -> None:
    state: dict[str, bytes] = {}
    memory = Redelivery(PREFIX, 10, state)
    first, second = fingerprint(1, "a", b"1"), fingerprint(1, "a", b"2")
    _commit(memory, state, [first], settled=True)
    _commit(memory, state, [second], settled=True)
    assert not Redelivery(PREFIX, 10, state).recognises(first)
    assert Redelivery(PREFIX, 10, state).recognises(second)


def test_a_slot_never_claims_what_another_commit_has_yet_to_store() -> None:
    memory = Redelivery(PREFIX, 1000, {})
    first, second = fingerprint(1, "a", b"1"), fingerprint(2, "a", b"2")
    memory.enter([first], settled=True)
    pending = memory.enter([second], settled=False)
    only_second = {key: value for key, value in pending.items() if value is not None}
    assert not Redelivery(PREFIX, 1000, only_second).recognises(first)
    assert Redelivery(PREFIX, 1000, only_second).recognises(second)


def test_small_commits_share_a_slot_while_nothing_else_is_under_way() -> None:
    state: dict[str, bytes] = {}
    memory = Redelivery(PREFIX, 1000, state)
    for packet_id in range(1, 1001):
        _commit(memory, state, [fingerprint(packet_id, "a", b"x")], settled=True)
    assert len(state) == 4
    assert len(memory) == 1000


def test_a_lost_session_is_forgotten_on_disk_too() -> None:
    state: dict[str, bytes] = {}
    memory = Redelivery(PREFIX, 10, state)
    mark = fingerprint(1, "a", b"1")
    _commit(memory, state, [mark], settled=True)
    _apply(state, memory.forget())
    assert state == {}
    assert not memory.recognises(mark)
    assert len(memory) == 0


def test_slots_written_after_a_restart_follow_those_before() -> None:
    state: dict[str, bytes] = {}
    _commit(Redelivery(PREFIX, 10, state), state, [fingerprint(1, "a", b"1")], settled=False)
    _commit(Redelivery(PREFIX, 10, state), state, [fingerprint(2, "a", b"2")], settled=False)
    assert sorted(state) == ["mqtt/site/000000000000", "mqtt/site/000000000001"]


def test_other_keys_under_the_prefix_are_left_alone() -> None:
    assert len(Redelivery(PREFIX, 10, {"mqtt/site/filters": b"[]"})) == 0


messages = st.tuples(st.integers(1, 12), st.sampled_from(["a", "b"]), st.binary(max_size=2))


@pytest.mark.fault("F15")
@given(st.lists(st.lists(messages, max_size=6), max_size=40), st.integers(1, 20), st.booleans())
def test_the_newest_marks_are_always_held_and_the_rest_stays_bounded(
    commits: list[list[tuple[int, str, bytes]]], depth: int, settled: bool
) -> None:
    state: dict[str, bytes] = {}
    memory = Redelivery(PREFIX, depth, state)
    entered: list[int] = []
    for commit in commits:
        marks = [fingerprint(*message) for message in commit]
        _commit(memory, state, marks, settled=settled)
        entered += marks
    for each in (memory, Redelivery(PREFIX, depth, state)):
        latest = {mark >> 48: mark for mark in entered[-depth:]}
        assert all(each.recognises(mark) for mark in latest.values())
        assert len(each) <= depth + 256
    assert sum(map(len, state.values())) == 8 * len(memory)


def test_filters_that_a_bad_disk_made_unreadable_are_asked_for_anew(
    make_source: Callable[..., MqttSource],
) -> None:
    ingest = FakeIngest({"mqtt/site/filters": b"\xff{"})
    assert make_source("mqtt://[::1]:1", ingest).name == "mqtt:site"
