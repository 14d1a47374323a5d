"""Reading plain PUBLISH packets in one pass changes nothing: the codec alone says the same."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.following import Followed
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.plain import KNOWN_TOPICS, PlainReader
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from tests.edge_agent.listen.conftest import NOW, Talk
from tests.edge_agent.listen.test_listen_protocol import V5, V311, packet, publish

LASTING = bytes.fromhex("1013 0004 4d515454 05 02 003c 05 11 00000e10 0001 61")

SIZES = st.sampled_from((0, 1, 5, 120, 127, 128, 4000, 5000))
PLAIN = st.tuples(
    st.sampled_from((0x30, 0x31, 0x32, 0x33)), st.just("t/a"), SIZES, st.integers(1, 3)
)
ODD = st.tuples(
    st.sampled_from((0x32, 0x34, 0x36, 0x38, 0x3A, 0x3C)),
    st.sampled_from(("t/a", "t/b", "t/é", "$x", "t/+", "")),
    SIZES,
    st.integers(0, 3),
)
PACKETS = st.one_of(PLAIN, PLAIN, PLAIN, ODD)
ONE = (0x32, "t/a", 1, 1)
SPOILT = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=2)


def heard(
    version: bytes, said: bytes, sizes: Iterable[int], *, plainly: bool
) -> tuple[object, ...]:
    """Say bytes in pieces after CONNECT; return all that comes of it."""
    followed = Followed()
    if not plainly:
        followed.begin("a")  # whoever is followed has each packet looked at
    options = ListenSettings(anonymous=True, receive_maximum=4, max_packet=4096)
    house = House(options, Sessions("listen/devices/", 4, 100, {}, NOW), Policy(), followed)
    talk = Talk(house)
    answers = talk.say(version)
    at = 0
    for size in (*sizes, len(said)):
        if not talk.ended:
            answers += talk.say(said[at : at + size])
            at += size
    return answers, talk.stored, talk.ended, house.sessions._memory.held


@settings(max_examples=300)
@given(
    st.sampled_from((V311, V5, LASTING)),
    st.lists(PACKETS, max_size=12),
    SPOILT,
    st.lists(st.integers(1, 400), max_size=4),
)
@example(V5, [ONE, (0x32, "t/a", 5000, 2)], [], [])  # longer than is taken
@example(V5, [ONE, (0x32, "t/a", 1, 0)], [], [])  # packet id 0
@example(V5, [ONE, ONE, ONE], [(12, 7)], [])  # ends before the properties
@example(V311, [ONE, ONE, ONE], [(11, 6)], [])  # ends within the packet id
@example(V311, [ONE, ONE], [(13, 4)], [])  # another topic
@example(V311, [ONE, ONE, ONE, ONE, (0x30, "t/a", 0, 1)], [], [])  # QoS 0 behind a full window
@example(V5, [ONE, ONE, ONE, ONE, (0x30, "t/a", 0, 1)], [], [])
def test_whatever_is_published_in_whatever_pieces_it_comes_to_the_same(
    version: bytes,
    packets: list[tuple[int, str, int, int]],
    spoilt: list[tuple[int, int]],
    sizes: list[int],
) -> None:
    said = bytearray(
        b"".join(
            publish(version, topic, b"x" * size, head, number)
            for head, topic, size, number in packets
        )
    )
    for at, byte in spoilt:
        if said:
            said[at % len(said)] = byte
    plainly = heard(version, bytes(said), sizes, plainly=True)
    assert plainly == heard(version, bytes(said), sizes, plainly=False)


def test_what_is_plain_is_read_without_the_codec_and_the_rest_is_left() -> None:
    reader, arrivals = PlainReader("x", properties=True, most=4096), []
    reader.learn("t/a")
    plain = publish(V5, "t/a", b"1", packet_id=7) + publish(V5, "t/a", b"2" * 200, packet_id=8)
    other = packet(0x32, b"\0\x03t/a\0\x09\x03\x23\x00\x05one")  # a topic alias
    end, marks = reader.read(plain + other, 0, arrivals, 100, NOW)
    assert (end, marks[::2]) == (len(plain), [7, 8])
    assert [each.payload for each in arrivals] == [b"1", b"2" * 200]


@pytest.mark.parametrize("room", [0, 1, 2])
def test_no_more_is_read_than_there_is_room_for(room: int) -> None:
    reader, arrivals = PlainReader("x", properties=False, most=4096), []
    reader.learn("t/a")
    three = b"".join(publish(V311, "t/a", b"1", packet_id=n) for n in (1, 2, 3))
    assert reader.read(three, 0, arrivals, room, NOW)[1][::2] == [1, 2][:room]


def test_a_client_that_names_ever_new_topics_fills_no_memory() -> None:
    reader = PlainReader("x", properties=True, most=4096)
    for number in range(1000):
        reader.learn(f"t/{number}")
    assert sum(reader.knows(f"t/{number}") for number in range(1000)) == KNOWN_TOPICS == 16
