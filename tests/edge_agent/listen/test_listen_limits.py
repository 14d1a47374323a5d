"""What one client may have is bounded, and each is told of its bound in its version's words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edge_agent.downlink import Downlink, NotSent, Undeliverable
from edge_agent.sources.listen.admission import Admission
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.source import ListenSource
from gateway_core.clock import NS
from gateway_core.errors import Unavailable
from tests.edge_agent.listen.conftest import NOW, Talk, listening
from tests.edge_agent.listen.test_listen_protocol import V5, V311, packet, publish
from tests.edge_agent.listen.test_listen_sessions import LASTING
from tests.fakes.ingest import FakeIngest

Client = Callable[..., Talk]
WEEK_S = 604_800
SUBSCRIBE = packet(0x82, b"\0\x09\0\0\x05cmd/a\x01")


def text(said: str) -> bytes:
    return len(said).to_bytes(2, "big") + said.encode()


def long(head: int, body: bytes) -> bytes:
    """Return a packet of up to 16,383 bytes."""
    size = len(body)
    return bytes((head, size) if size < 128 else (head, size & 0x7F | 0x80, size >> 7)) + body


def connect(
    client: str = "a",
    *,
    flags: int = 2,
    keep_alive: int = 60,
    properties: str = "",
    rest: bytes = b"",
) -> bytes:
    """Return CONNECT of version 5."""
    held = bytes.fromhex(properties)
    head = b"\0\4MQTT\5" + bytes((flags,)) + keep_alive.to_bytes(2, "big")
    return long(0x10, head + bytes((len(held),)) + held + text(client) + rest)


@pytest.mark.fault("F15")
def test_connections_are_bounded_in_all_and_by_address_and_a_place_comes_back() -> None:
    places = Admission(most=3, per_address=2)
    asked = [places.enter(address) for address in ("x", "x", "x", "y", "z")]
    assert asked == ["", "", "address_full", "", "full"]
    places.leave("x")
    assert len(places) == 2
    assert [places.enter("x"), places.enter("x")] == ["", "full"]


@pytest.mark.parametrize("bound", ["max_connections", "per_address"])
async def test_a_connection_too_many_is_closed_and_comes_in_when_another_left(bound: str) -> None:
    async with listening(FakeIngest(), **{bound: 1}) as source:

        async def answer() -> tuple[bytes, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
            try:
                writer.write(V311)
                return await asyncio.wait_for(reader.read(4), 10), writer
            except ConnectionError:
                return b"", writer

        said, first = await answer()
        assert said.hex() == "20020000"
        said, second = await answer()
        assert said == b""
        first.close()
        async with asyncio.timeout(10):
            while source.visits:
                await asyncio.sleep(0.01)
        said, third = await answer()
        assert said.hex() == "20020000"
        for writer in (second, third):
            writer.close()


@pytest.mark.parametrize(
    ("client", "code"), [("x" * 128, 0), ("x" * 129, 0x85), ("a\x07", 0x85), ("a\nb", 0x85)]
)
async def test_a_client_id_is_printable_and_not_longer_than_128(client: str, code: int) -> None:
    async with listening(FakeIngest()) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(connect(client))
        assert (await asyncio.wait_for(reader.readexactly(4), 10))[3] == code
        writer.close()


@pytest.mark.parametrize("asked", ["000a8c00", "ffffffff"])
def test_a_session_is_kept_for_a_week_at_most_and_version_5_is_told(
    house: House, client: Client, asked: str
) -> None:
    talk = client()
    assert "1100093a80" in talk.say(connect(flags=0, properties="11" + asked)).hex()
    talk.leave()
    house.sessions.due(NOW + WEEK_S * NS - 1)
    assert len(house.sessions) == 1
    house.sessions.due(NOW + WEEK_S * NS)
    assert len(house.sessions) == 0


def test_a_session_of_3_1_1_which_asks_for_no_end_ends_after_a_week(
    house: House, client: Client
) -> None:
    talk = client()
    talk.say(bytes.fromhex("100d 0004 4d515454 04 00 003c 0001 61"))
    talk.leave()
    house.sessions.due(NOW + WEEK_S * NS - 1)
    assert len(house.sessions) == 1
    house.sessions.due(NOW + WEEK_S * NS)
    assert len(house.sessions) == 0


def test_what_is_asked_for_at_the_end_is_bounded_likewise(house: House, client: Client) -> None:
    talk = client()
    talk.say(LASTING)
    talk.say(bytes.fromhex("e0070005 11ffffffff"))
    talk.leave()
    house.sessions.due(NOW + WEEK_S * NS)
    assert len(house.sessions) == 0


@pytest.mark.parametrize(("asked", "told"), [(0, "1304b0"), (65_535, "1304b0"), (7, "130007")])
def test_version_5_is_told_how_long_it_may_be_silent(client: Client, asked: int, told: str) -> None:
    assert told in client().say(connect(keep_alive=asked)).hex()


async def test_who_is_silent_for_too_long_is_sent_away_and_its_will_is_said() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        will = b"\0" + text("t/a") + text("bye")
        silent, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(connect(flags=6, keep_alive=1, rest=will))
        patient, other = await asyncio.open_connection("127.0.0.1", source.ports[0])
        other.write(bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 62"))  # keep alive 0: none
        said = await asyncio.wait_for(silent.read(), 10)
        assert said.endswith(b"\xe0\x18\x8d\x16\x1f\0\x13silent for too long")
        await ingest.until(1)
        other.write(b"\xc0\0")
        assert await asyncio.wait_for(patient.readexactly(6), 10) == bytes.fromhex("20020000d000")
        for each in (writer, other):
            each.close()
    assert ingest.payloads() == [b"bye"]


def test_enhanced_authentication_is_refused_by_name(client: Client) -> None:
    talk = client()
    assert talk.say(connect(properties="15 0003 616263"))[3] == 0x8C
    assert talk.ended


def test_a_will_and_a_topic_have_a_longest(house: House, client: Client) -> None:
    house.settings = house.settings.model_copy(update={"max_packet": 8192})

    def will(size: int) -> bytes:
        return connect(flags=6, rest=b"\0" + text("t/a") + text("x" * size))

    assert client().say(will(4096))[3] == 0
    assert client().say(will(4097))[3] == 0x95
    talk = client()
    talk.say(V5)
    topic = "t/" + "x" * 511
    assert talk.say(long(0x32, text(topic[:-1]) + b"\0\1\0x")).hex() == "40020001"
    assert talk.say(long(0x32, text(topic) + b"\0\2\0x")).hex() == "4003000290"
    assert [len(each) for each, _ in talk.stored] == [512]


@pytest.mark.parametrize(("version", "refused"), [(V5, 0x97), (V311, 0x80)])
def test_a_client_has_32_subscriptions_and_may_change_each(
    client: Client, version: bytes, refused: int
) -> None:
    talk = client()
    talk.say(version)

    def subscribe(first: int, last: int) -> bytes:
        properties = b"\0" if version is V5 else b""
        filters = b"".join(text(f"a/{n}") + b"\1" for n in range(first, last))
        return talk.say(long(0x82, b"\0\1" + properties + filters))

    assert subscribe(0, 32).endswith(b"\1" * 32)
    assert subscribe(30, 33)[-3:] == bytes((1, 1, refused))


def test_a_device_gets_no_more_than_it_said_that_it_takes(client: Client) -> None:
    talk = client()
    talk.say(connect(properties="21 0001 27 00000018"))  # one at a time, 24 bytes
    talk.say(SUBSCRIBE)
    with pytest.raises(Undeliverable):
        talk.talk.deliver("cmd/a", b"x" * 20, 1, None)
    assert talk.talk.deliver("cmd/a", b"on", 1, None)
    with pytest.raises(NotSent):
        talk.talk.deliver("cmd/a", b"off", 2, None)
    talk.say(bytes.fromhex("40020001"))
    assert talk.talk.deliver("cmd/a", b"off", 2, None)


def test_a_message_for_a_device_has_the_expiry_that_is_left(client: Client) -> None:
    talk = client()
    talk.say(V5)
    talk.say(SUBSCRIBE)
    talk.talk.deliver("cmd/a", b"on", 1, 30.9)
    sent = b"".join(talk.talk.replies).hex()
    assert sent == "3211" + "0005636d642f61" + "0001" + "05020000001e" + "6f6e"


def test_the_session_that_ended_first_makes_room_and_its_will_is_said(house: House) -> None:
    house.sessions._most = 2
    for name in ("a", "b", "c"):
        talk = Talk(house)
        will = bytes.fromhex("05 18 0000000a") + text("t/a") + text(name)
        talk.say(connect(name, flags=6, properties="11 00000e10", rest=will))
        talk.leave()
    assert len(house.sessions) == 2
    assert [will.payload for will in house.sessions.due(NOW)] == [b"a"]


async def hearing(source: ListenSource) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a device of version 5 that has subscribed to its commands."""
    reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
    writer.write(V5 + SUBSCRIBE)
    head = await reader.readexactly(2)
    await reader.readexactly(head[1] + 6)
    return reader, writer


async def test_what_a_device_does_not_confirm_is_not_called_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_agent.sources.listen.outgoing.MOST_WAITING", 1)
    order = Downlink("cmd/a", b"on")
    async with listening(FakeIngest()) as source:
        reader, writer = await hearing(source)
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(source.publish(order))
            at = (await reader.readexactly(14))[9:11]
            with pytest.raises(NotSent, match="1 messages wait"):
                await source.publish(order)
            writer.write(b"\x40\x02" + at)
        assert first.result() == ""
        refused = asyncio.create_task(source.publish(order))
        at = (await reader.readexactly(14))[9:11]
        writer.write(b"\x40\x03" + at + b"\x87")
        with pytest.raises(Undeliverable, match="0x87"):
            await refused
        monkeypatch.setattr("edge_agent.sources.listen.outgoing.ANSWER_S", 0.05)
        with pytest.raises(Unavailable, match="did not confirm"):
            await source.publish(order)
        monkeypatch.setattr("edge_agent.sources.listen.outgoing.ANSWER_S", 10.0)
        gone = asyncio.create_task(source.publish(order))
        await reader.readexactly(28)
        writer.close()
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable, match="went away"):
                await gone


async def test_a_client_that_does_not_read_is_not_read_either_until_it_does() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(V5)
        await reader.readexactly(2)
        (visit,) = source.visits
        visit.pause_writing()
        writer.write(publish(V5, "t/a"))
        other, second = await asyncio.open_connection("127.0.0.1", source.ports[0])
        second.write(V311.replace(b"a", b"b") + publish(V311, "t/b", b"y"))
        await other.readexactly(8)
        assert ingest.payloads() == [b"y"]
        visit.resume_writing()
        await ingest.until(2)
        for each in (writer, second):
            each.close()
