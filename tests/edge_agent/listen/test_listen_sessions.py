"""A session survives its connection and the agent: what was committed is recognised, once."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.sources.listen import sessions as listen_sessions
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.memory import Memory
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from gateway_core.clock import NS
from tests.edge_agent.listen.conftest import NOW, Talk
from tests.edge_agent.listen.test_listen_protocol import V5, packet, publish

LASTING = bytes.fromhex("1013 0004 4d515454 05 00 003c 05 11 00000e10 0001 61")  # an hour
WILL = bytes.fromhex(
    "1019 0004 4d515454 05 06 003c 00 0001 61 00 0003 742f61 0003 627965".replace(" ", "")
)


def test_what_comes_again_after_a_reconnection_is_stored_once(client: Callable[[], Talk]) -> None:
    first = client()
    first.say(LASTING)
    first.say(publish(V5, "t/a", b"1", packet_id=1) + publish(V5, "t/a", b"2", 0x34, 2))
    first.leave()
    again = client()
    assert again.say(LASTING)[2:4].hex() == "0100"  # session present
    answer = again.say(publish(V5, "t/a", b"1", 0x3A, 1) + publish(V5, "t/a", b"2", 0x3C, 2))
    assert answer.hex() == "40020001" + "50020002"
    assert first.stored == [("t/a", b"1"), ("t/a", b"2")]
    assert again.stored == []


def test_with_qos_2_the_packet_id_tells_what_came_again_whatever_dup_says(client) -> None:
    talk: Talk = client()
    talk.say(LASTING)
    talk.say(publish(V5, "t/a", b"1", 0x34, 1))
    talk.leave()
    again: Talk = client()
    again.say(LASTING)
    assert again.say(publish(V5, "t/a", b"1", 0x34, 1)).hex() == "50020001"
    assert again.stored == []


def test_a_packet_id_that_was_released_is_free_for_the_same_words(client) -> None:
    talk: Talk = client()
    talk.say(LASTING)
    talk.say(publish(V5, "t/a", b"same", 0x34, 1))
    talk.say(packet(0x62, b"\0\x01"))
    talk.say(publish(V5, "t/a", b"same", 0x3C, 1))
    assert talk.stored == [("t/a", b"same")] * 2


def test_a_conversation_that_ended_is_gone_without_the_garbage_collector(client) -> None:
    talk: Talk = client()
    talk.say(LASTING)
    talk.say(publish(V5, "t/a", b"1"))
    ended = weakref.ref(talk.talk)
    gc.disable()
    try:
        talk.leave()
        del talk
        assert ended() is None
    finally:
        gc.enable()


def test_a_clean_start_forgets_what_was_sent(client) -> None:
    talk: Talk = client()
    talk.say(LASTING)
    talk.say(publish(V5, "t/a", b"1"))
    talk.leave()
    clean: Talk = client()
    assert clean.say(V5)[2:4].hex() == "0000"
    clean.say(publish(V5, "t/a", b"1", 0x3A))
    assert clean.stored == [("t/a", b"1")]


def test_a_second_connection_of_a_client_ends_the_first_with_0x8e(client) -> None:
    first: Talk = client()
    second: Talk = client()
    first.say(LASTING)
    assert second.say(LASTING)[2:4].hex() == "0100"
    assert first.ended
    assert first.commit()[2:3].hex() == "8e"
    first.leave()  # does not close the session of the second
    second.say(publish(V5, "t/a", b"1"))
    assert second.stored == [("t/a", b"1")]


def test_a_will_is_due_when_a_client_goes_without_a_word(house: House, client) -> None:
    talk: Talk = client()
    talk.say(WILL)
    talk.leave()
    (will,) = house.sessions.due(NOW)
    assert (will.topic, will.payload) == ("t/a", b"bye")
    assert house.sessions.due(NOW + NS) == []


def test_a_client_that_says_goodbye_leaves_no_will_unless_it_asks(house: House, client) -> None:
    talk: Talk = client()
    talk.say(WILL)
    talk.say(b"\xe0\0")
    talk.leave()
    assert house.sessions.due(NOW) == []
    asked: Talk = client()
    asked.say(WILL)
    asked.say(b"\xe0\x01\x04")
    asked.leave()
    assert [will.payload for will in house.sessions.due(NOW)] == [b"bye"]


def test_a_session_ends_when_its_time_is_over(house: House, client) -> None:
    talk: Talk = client()
    talk.say(LASTING)
    talk.leave()
    house.sessions.due(NOW + 3599 * NS)
    assert len(house.sessions) == 1
    house.sessions.due(NOW + 3600 * NS)
    assert len(house.sessions) == 0


def test_a_session_and_what_it_sent_survive_the_agent() -> None:
    state: dict[str, bytes] = {}

    def restarted() -> House:
        sessions = Sessions("listen/d/", 4, 100, state, NOW)
        return House(ListenSettings(anonymous=True, receive_maximum=4), sessions, Policy())

    def store(house: House, talk: Talk) -> None:
        for key, value in house.sessions.enter(talk.load.marks, settled=True).items():
            state.pop(key, None) if value is None else state.update({key: value})

    house = restarted()
    talk = Talk(house)
    talk.held = True
    talk.say(LASTING)
    talk.say(publish(V5, "t/a", b"1", packet_id=9))
    talk.say(packet(0x82, b"\0\x09\0\0\x05cmd/a\x01"))
    store(house, talk)
    house = restarted()
    talk = Talk(house)
    assert talk.say(LASTING)[2:4].hex() == "0100"
    talk.say(publish(V5, "t/a", b"1", 0x3A, 9))
    assert talk.stored == []
    assert list(house.sessions._hearers) == ["cmd/a"]


def test_many_sessions_share_what_is_remembered_and_none_gets_less_than_it_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listen_sessions, "MOST_MARKS", 60)
    house = House(ListenSettings(anonymous=True), Sessions("l/", 256, 100, {}, NOW), Policy())
    granted = []
    for number in range(5):
        connect = LASTING[:-1] + b"%d" % number
        answer = Talk(house).say(connect)
        granted.append(int.from_bytes(answer[answer.index(b"\x21", 5) + 1 :][:2], "big"))
    assert granted == [60, 30, 20, 16, 16]  # no less than LEAST_WINDOW
    assert Talk(house).say(LASTING[:-1] + b"0").count(b"\x21\0\x3c") == 1  # 60, as before
    state = {k: v for k, v in house.sessions.enter([], settled=True).items() if v is not None}
    again = House(ListenSettings(anonymous=True), Sessions("l/", 256, 100, state, NOW), Policy())
    assert Talk(again).say(LASTING[:-1] + b"0").count(b"\x21\0\x3c") == 1


BATCHES = st.lists(
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 3)), max_size=8),
    max_size=60,
)


@settings(max_examples=60)
@given(BATCHES, st.sets(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_whenever_it_dies_the_memory_knows_what_was_stored_and_nothing_else(
    batches: list[list[tuple[int, int, int]]], unstored: set[int], deaths: set[int]
) -> None:
    """The model: the last four stored marks of each session; a commit may be lost at a death."""
    state: dict[str, bytes] = {}
    memory = Memory("m/", {}, 4, {})
    model: dict[int, list[tuple[int, int]]] = {}
    for number, batch in enumerate(batches):
        noted = [memory.note(session, (packet_id, crc), 4) for session, packet_id, crc in batch]
        change = memory.enter(noted, settled=False)
        if number in deaths and number in unstored:
            memory = Memory("m/", {}, 4, state)  # it died before this commit
        else:
            for key, value in change.items():
                state.pop(key, None) if value is None else state.update({key: value})
            memory.stored(change)
            for session, packet_id, crc in batch:
                model.setdefault(session, []).append((packet_id, crc))
            if number in deaths:
                memory = Memory("m/", {}, 4, state)
        for session, marks in model.items():
            latest = dict(marks[-4:])
            for packet_id in range(1, 10):
                for crc in range(1, 4):
                    held = memory.recognises((session, packet_id, crc))
                    assert held == (latest.get(packet_id) == crc), (session, packet_id, crc)
    assert len(state) <= 12
