"""Whatever bytes come, in whatever pieces, a conversation answers, waits or ends; nothing else."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.policy import Policy, covers
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from tests.edge_agent.listen.conftest import NOW, Talk
from tests.edge_agent.listen.test_listen_protocol import V5, V311, packet, publish

GOOD = [
    *(
        publish(version, "t/a", b"xyz", head, 3)
        for version in (V5, V311)
        for head in (0x30, 0x32, 0x34)
    ),
    packet(0x62, b"\0\x03"),
    packet(0x82, b"\0\x01\0\0\x05cmd/a\x01"),
    packet(0x82, b"\0\x01\0\x05cmd/a\x01"),
    packet(0x32, b"\0\x03t/a\0\x03\x0d\x03\0\x03b/c\x02\0\0\0\x0a\x26\0\x01k\0\x01v12"),
    b"\xc0\0",
    b"\xe0\0",
]


def fresh() -> Talk:
    configured = ListenSettings(anonymous=True, receive_maximum=4, max_packet=4096)
    return Talk(House(configured, Sessions("listen/d/", 4, 100, {}, NOW), Policy()))


@settings(max_examples=300)
@given(st.sampled_from([b"", V5, V311]), st.binary(max_size=200))
def test_any_bytes_are_answered_awaited_or_the_end(first: bytes, data: bytes) -> None:
    talk = fresh()
    talk.say(first)
    talk.say(data)


@settings(max_examples=400)
@given(
    st.sampled_from([V5, V311]),
    st.lists(st.sampled_from(GOOD), max_size=6),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(1, 50),
)
@example(V5, [GOOD[9]], [(8, 0xFF)], 50)
def test_packets_with_flipped_bytes_in_any_pieces_do_no_harm(
    version: bytes, said: list[bytes], flips: list[tuple[int, int]], piece: int
) -> None:
    data = bytearray(version + b"".join(said))
    for at, value in flips:
        data[at % len(data)] = value
    talk = fresh()
    for at in range(0, len(data), piece):
        if not talk.ended:
            talk.say(bytes(data[at : at + piece]))
    assert all(len(topic) <= 512 for topic, _ in talk.stored)


@settings(max_examples=100)
@given(st.sampled_from([V5, V311]), st.integers(1, 30))
def test_how_a_stream_is_cut_changes_nothing(version: bytes, piece: int) -> None:
    said = version + b"".join(
        publish(version, "t/a", str(n).encode(), packet_id=n) for n in range(1, 20)
    )
    talk = fresh()
    answer = b"".join(talk.say(said[at : at + piece]) for at in range(0, len(said), piece))
    assert [payload for _, payload in talk.stored] == [str(n).encode() for n in range(1, 20)]
    assert answer.endswith(bytes.fromhex("40020013"))


LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=4).map("/".join)
TOPICS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map("/".join)


@given(LEVELS, LEVELS, TOPICS, st.booleans(), st.booleans())
def test_a_filter_that_covers_another_has_all_of_its_topics(
    wide: str, narrow: str, topic: str, wide_open: bool, narrow_open: bool
) -> None:
    wide, narrow = wide + "/#" * wide_open, narrow + "/#" * narrow_open
    if covers(wide, narrow) and covers(narrow, topic):
        assert covers(wide, topic)
