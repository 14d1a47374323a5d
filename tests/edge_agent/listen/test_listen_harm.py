"""No client harms another or the listener: not by its choice of name, its size, its haste or its silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_agent.downlink import Downlink
from edge_agent.sources.listen import source as listener
from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.packets import KEEP_ALIVE_TIMEOUT, Broken
from edge_agent.sources.listen.users import hash_key, hash_password
from gateway_core.clock import NS
from gateway_core.errors import ConfigError, SpoolFull
from tests.edge_agent.listen.conftest import NOW, Talk, listening
from tests.edge_agent.listen.test_listen_protocol import V5, V311, packet, publish
from tests.edge_agent.listen.test_listen_sessions import LASTING, WILL
from tests.fakes.ingest import FakeIngest

SUBSCRIBE = packet(0x82, b"\0\x09\0\0\x05cmd/a\x01")
DELAYED_WILL = bytes.fromhex(
    "1023 0004 4d515454 05 04 003c 05 11 00000e10 0001 61"
    "05 18 0000000a 0003 742f61 0003 627965".replace(" ", "")
)  # session expiry an hour, Will Delay 10 s

Client = Callable[..., Talk]


async def connected(
    port: int, said: bytes = V5
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    await reader.readexactly(2)
    return reader, writer


def login(name: str, key: str, client: str = "") -> bytes:
    parts = [client, name, key]
    body = bytes.fromhex("0004 4d515454 05 c2 003c 00")
    return packet(0x10, body + b"".join(len(p).to_bytes(2, "big") + p.encode() for p in parts))


def test_a_client_id_gives_nobody_the_session_of_another_identity(client: Client) -> None:
    victim, thief = client("victim"), client("thief")
    victim.say(LASTING)
    victim.say(packet(0x82, b"\0\x09\0\0\x0acmd/victim\x01"))
    assert thief.say(LASTING)[2:4].hex() == "0000"  # no session present
    assert not victim.ended
    nobody = client()
    assert nobody.say(LASTING)[2:4].hex() == "0000"
    assert not victim.ended


def test_a_client_that_went_away_while_it_was_looked_at_is_not_let_in(
    house: House, client: Client
) -> None:
    talk = client()
    talk.talk.read(LASTING, talk.load, NOW)
    assert talk.talk.asked is not None
    talk.leave()
    assert talk.talk.asked is None
    assert len(house.sessions) == 0


def test_a_3_1_1_client_is_read_no_further_than_what_can_be_recognised_later(
    client: Client,
) -> None:
    talk = client()
    talk.held = True
    talk.say(V311)
    talk.say(b"".join(publish(V311, "t/a", b"%d" % n, packet_id=n + 1) for n in range(10)))
    assert len(talk.load.arrivals) == 4


async def test_a_3_1_1_client_that_sends_all_at_once_is_acknowledged_to_the_end() -> None:
    ingest = FakeIngest()
    async with listening(ingest, receive_maximum=8) as source:
        reader, writer = await connected(source.ports[0], V311)
        await reader.readexactly(2)
        for first in (1, 1001):  # exactly the window, many times over, and once more after it
            ids = range(first, first + 1000)
            writer.write(b"".join(publish(V311, "t/a", b"x", packet_id=n) for n in ids))
            answers = await asyncio.wait_for(reader.readexactly(4000), 20)
            assert answers == b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in ids)
        writer.close()
    assert len(ingest.stored) == 2000


async def test_while_the_disk_is_full_a_waiting_client_is_not_called_silent() -> None:
    ingest = FakeIngest()
    ingest.trouble = SpoolFull("full")
    said = bytes.fromhex("100d 0004 4d515454 04 02 0001 0001 61")  # keep alive one second
    async with listening(ingest, receive_maximum=1) as source:
        reader, writer = await connected(source.ports[0], said)
        await reader.readexactly(2)
        writer.write(publish(V311, "t/a") + publish(V311, "t/a", packet_id=2))
        await ingest.when(lambda: ingest.calls >= 5)  # four seconds
        ingest.trouble = None
        assert await asyncio.wait_for(reader.readexactly(8), 20)
        writer.close()


async def test_a_client_that_reads_nothing_is_gone_soon_after_it_was_sent_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "LINGER_S", 0.5)
    async with listening(FakeIngest()) as source:
        _, writer = await connected(source.ports[0])
        (visit,) = source.visits
        visit._send(b"\xd0\0" * 8_000_000)  # more than the two sockets hold
        visit.close(Broken(KEEP_ALIVE_TIMEOUT, "silent for too long"))
        async with asyncio.timeout(10):
            while source.visits:
                await asyncio.sleep(0.05)
        writer.close()


async def test_packets_that_never_end_are_held_for_all_clients_together_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener, "MOST_KEPT", 100_000)
    ingest = FakeIngest()
    async with listening(ingest, max_packet=65_536) as source:
        begun = b"\x32" + bytes.fromhex("c0b803") + b"\0\x03t/a" + b"x" * 20_000
        flood = []
        for n in range(10):
            said = V5[:-1] + b"%d" % n
            flood.append(await connected(source.ports[0], said))
            flood[-1][1].write(begun)
        reader, writer = await connected(source.ports[0])
        writer.write(publish(V5, "t/a"))
        await ingest.until(1)
        async with asyncio.timeout(10):
            while source._kept > 100_000 or len(source.visits) > 6:
                await asyncio.sleep(0.05)
        for _, each in [*flood, (reader, writer)]:
            each.close()


def test_the_will_of_a_connection_that_was_taken_over_is_said(house: House, client: Client) -> None:
    first, second = client(), client()
    first.say(WILL)
    second.say(WILL)
    assert [will.payload for will in house.sessions.due(NOW)] == [b"bye"]


def test_a_will_that_waits_is_taken_back_by_a_session_that_goes_on_and_said_for_one_that_ended(
    house: House, client: Client
) -> None:
    first = client()
    first.say(DELAYED_WILL)
    first.leave()
    client().say(LASTING)
    assert house.sessions.due(NOW + 60 * NS) == []
    third = client()
    third.say(DELAYED_WILL)
    third.leave()
    assert house.sessions.due(NOW + 9 * NS) == []
    client().say(V5)  # clean start
    assert [will.payload for will in house.sessions.due(NOW + 9 * NS)] == [b"bye"]


def test_a_will_that_waits_is_said_after_its_time(house: House, client: Client) -> None:
    talk = client()
    talk.say(DELAYED_WILL)
    talk.leave()
    assert house.sessions.due(NOW + 9 * NS) == []
    assert [will.payload for will in house.sessions.due(NOW + 10 * NS)] == [b"bye"]
    house.sessions.due(NOW + 3600 * NS)
    assert len(house.sessions) == 0


def test_what_a_client_makes_the_listener_keep_has_a_limit(client: Client) -> None:
    talk = client()
    talk.say(LASTING)
    long_filter = b"\0\x09\0" + (600).to_bytes(2, "big") + b"a/" + b"x" * 598 + b"\x01"
    assert talk.say(_long(0x82, long_filter)).endswith(b"\x8f")
    topic = b"t" * 600
    talk.say(_long(0x30, (600).to_bytes(2, "big") + topic + b"\x03\x23\0\x01x"))
    assert talk.ended  # an alias for a long topic


def _long(head: int, body: bytes) -> bytes:
    return bytes((head, len(body) & 0x7F | 0x80, len(body) >> 7)) + body


def test_sessions_that_nobody_keeps_leave_nothing_to_store(house: House, client: Client) -> None:
    for _ in range(100):
        talk = client()
        talk.say(V5)
        talk.leave()
    assert not house.sessions.changed


def test_a_session_expiry_said_at_the_end_is_stored(house: House, client: Client) -> None:
    talk = client()
    talk.say(LASTING)
    talk.held = True
    talk.say(bytes.fromhex("e0070005110000003c"))
    (stored,) = house.sessions.enter([], settled=True).values()
    assert stored is not None
    assert msgspec.msgpack.decode(stored)[1] == 60


async def test_a_subscription_is_stored_although_nobody_publishes() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        _, writer = await connected(source.ports[0], LASTING)
        writer.write(SUBSCRIBE)
        await ingest.when(lambda: any(b"cmd/a" in value for value in ingest.state.values()))
        writer.close()
    assert ingest.stored == []


async def test_what_was_subscribed_to_with_qos_0_comes_with_qos_0() -> None:
    async with listening(FakeIngest()) as source:
        reader, writer = await connected(source.ports[0], V311)
        await reader.readexactly(2)
        writer.write(packet(0x82, b"\0\x09\0\x05cmd/a\0"))
        assert (await reader.readexactly(5)).hex() == "9003000900"
        assert "QoS 0" in await source.publish(Downlink("cmd/a", b"on"))
        assert (await reader.readexactly(11)).hex() == "3009" + "0005636d642f61" + "6f6e"
        writer.close()


async def test_the_listener_says_goodbye_when_the_agent_ends_and_tells_no_will() -> None:
    ingest = FakeIngest()
    async with listening(ingest) as source:
        reader, writer = await connected(source.ports[0], WILL)
    said = await asyncio.wait_for(reader.read(), 10)
    assert b"\xe0" in said
    assert b"\x8b" in said
    assert ingest.stored == []
    writer.close()


async def test_a_shared_key_is_no_way_to_be_a_device_that_has_its_own(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"d1:{hash_key('own')}\n@all:{hash_key('shared')}\n")
    async with listening(FakeIngest(), anonymous=False, users_file=str(users)) as source:

        async def answer(said: bytes) -> str:
            reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
            writer.write(said)
            found = await reader.readexactly(4)
            writer.close()
            return found[3:].hex()

        assert await answer(login("@all", "shared", "d1")) == "87"
        assert await answer(login("@all", "shared", "d2")) == "00"
        assert await answer(login("d1", "own", "d1")) == "00"


async def test_who_is_struck_from_the_users_is_sent_away_at_a_reload_and_the_others_stay(
    tmp_path: Path,
) -> None:
    users = tmp_path / "users"
    second = f"d2:{hash_key('k2')}\n"
    users.write_text(f"d1:{hash_key('k1')}\n{second}")
    async with listening(FakeIngest(), anonymous=False, users_file=str(users)) as source:
        gone, writer_1 = await connected(source.ports[0], login("d1", "k1", "d1"))
        _, writer_2 = await connected(source.ports[0], login("d2", "k2", "d2"))
        users.write_text("no hash at all\n")
        with pytest.raises(ConfigError):
            await source.reread()
        users.write_text(f"{second}d3:{hash_key('k3')}\n")
        (await source.reread())()
        assert b"\x87" in await asyncio.wait_for(gone.read(), 10)
        _, writer_3 = await connected(source.ports[0], login("d3", "k3", "d3"))
        assert {visit.login for visit in source.visits} == {"d2", "d3"}
        for writer in (writer_1, writer_2, writer_3):
            writer.close()


async def test_a_flood_of_logins_is_told_to_come_again_and_a_key_comes_in_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.sources.listen.entrance.MOST_LOGINS", 5)
    users = tmp_path / "users"
    users.write_text(f"d1:{hash_key('key')}\nd2:{hash_password('word')}\n")
    async with listening(FakeIngest(), anonymous=False, users_file=str(users)) as source:
        flood = [await asyncio.open_connection("127.0.0.1", source.ports[0]) for _ in range(60)]
        for _, writer in flood:
            writer.write(login("d2", "guess", "d2"))
        reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
        writer.write(login("d1", "key", "d1"))
        assert (await asyncio.wait_for(reader.readexactly(4), 20))[3] == 0
        codes = [(await asyncio.wait_for(each.readexactly(4), 20))[3] for each, _ in flood]
        assert set(codes) == {0x86, 0x89}
        for _, each in [*flood, (reader, writer)]:
            each.close()
