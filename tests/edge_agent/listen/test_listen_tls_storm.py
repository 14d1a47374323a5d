"""TLS handshakes take turns: however many come, and however many stay half done, others get in.

Loopback has many addresses, so real connections come from several parties.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.listen import handshakes
from edge_agent.sources.listen.source import ListenSource
from edge_agent.sources.listen.turns import Turns
from tests.edge_agent.listen.conftest import listening
from tests.edge_agent.listen.test_listen_protocol import V311, publish
from tests.edge_agent.listen.test_listen_storm import named
from tests.fakes.ingest import FakeIngest

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, Any]:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(tmp_path / "key")
    server.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    authority.cert_pem.write_to_path(tmp_path / "ca")
    return {"cert_file": tmp_path / "cert", "key_file": tmp_path / "key"}


class Fleet:
    """Those who connect to one listener."""

    def __init__(self, source: ListenSource, tls: dict[str, Any]) -> None:
        self.context = ssl.create_default_context(cafile=tls["cert_file"].parent / "ca")
        self.port = source.ports[0]
        self.writers: list[asyncio.StreamWriter] = []

    async def bare(self, address: str) -> Stream:
        """Connect from an address, without a word."""
        found = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        self.writers.append(found[1])
        return found

    async def half(self, address: str) -> Stream:
        """Begin a handshake and leave it at the first half of a ClientHello."""
        found = await self.bare(address)
        out = ssl.MemoryBIO()
        begun = self.context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1")
        with pytest.raises(ssl.SSLWantReadError):
            begun.do_handshake()
        hello = out.read()
        found[1].write(hello[: len(hello) // 2])
        return found

    async def whole(self, address: str, number: int) -> Stream:
        """Have a handshake, connect and publish; return when the message is acknowledged."""
        found = await asyncio.open_connection(
            *("127.0.0.1", self.port), ssl=self.context, local_addr=(address, 0)
        )
        self.writers.append(found[1])
        found[1].write(named(number) + publish(V311, "t/a", b"%03d" % number))
        assert (await found[0].readexactly(8)).hex() == "20020000" + "40020001"
        return found

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *why: object) -> None:
        self.close()

    def close(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


def counted(source: ListenSource, name: str) -> dict[str, int]:
    """Return a counter of the listener by result."""
    pattern = rf'tidegate_mqtt_listen_{name}_total{{result="(\w+)",[^}}]*}} ([\d.]+)'
    found = re.findall(pattern, source._meter.render().decode())
    return {result: int(float(value)) for result, value in found}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@Loops
@pytest.mark.fault("F18")
def test_half_handshakes_hold_up_nobody_of_another_address(
    run: Run, tls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "AT_ONCE", 8)
    ingest = FakeIngest()

    async def storm() -> None:
        more = {"tls": tls, "handshake": "300s", "handshake_rate": 1000}  # no deadline helps
        async with listening(ingest, **more) as source, Fleet(source, tls) as fleet:
            reader, writer = await fleet.whole("127.0.0.1", 0)  # a device that is there before
            silent = [await fleet.bare("127.0.0.3") for _ in range(20)]
            torn = [await fleet.half("127.0.0.2") for _ in range(20)]
            await until(lambda: source.states()["waiting"] >= 33)
            assert source.states()["handshake"] <= 7  # so there is a place free
            async with asyncio.TaskGroup() as tasks:
                for number in range(1, 41):
                    tasks.create_task(fleet.whole("127.0.0.1", number))
                for _ in range(20):
                    writer.write(publish(V311, "t/a", b"there"))
                    assert (await reader.readexactly(4)).hex() == "40020001"
            assert counted(source, "handshakes") == {"ok": 41}
            assert source.states()["connected"] == 41
            assert len(silent) + len(torn) == 40

    run(storm())
    assert sorted(ingest.payloads()) == sorted(
        [b"%03d" % number for number in range(41)] + [b"there"] * 20
    )


@Loops
def test_many_handshakes_at_once_begin_at_the_rate_and_all_come_to_their_end(
    run: Run, tls: dict[str, Any]
) -> None:
    async def storm() -> None:
        more = {"tls": tls, "handshake_rate": 40, "handshake": "5s"}
        async with listening(FakeIngest(), **more) as source, Fleet(source, tls) as fleet:
            async with asyncio.TaskGroup() as tasks:
                for number in range(80):
                    tasks.create_task(fleet.whole("127.0.0.1", number))
                await until(lambda: source.states()["waiting"] > 20)
            turns = counted(source, "handshake_turns")
            assert turns["at_once"] + turns["waited"] == 80
            assert turns["waited"] > 40
            assert counted(source, "handshakes") == {"ok": 80}
            fleet.close()
            await until(lambda: len(source._admission) == 0)

    run(storm())


@Loops
def test_a_half_handshake_ends_at_its_deadline_and_gives_its_place_back(
    run: Run, tls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "AT_ONCE", 4)

    async def storm() -> None:
        more = {"tls": tls, "handshake": "0.2s", "handshake_rate": 1000}
        async with listening(FakeIngest(), **more) as source, Fleet(source, tls) as fleet:
            halves = [await fleet.half("127.0.0.2") for _ in range(6)]
            for reader, _ in halves:
                assert await ended(reader)
            assert counted(source, "handshakes") == {"late": 6}
            assert len(source._admission) == 0
            await fleet.whole("127.0.0.2", 1)

    run(storm())


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


@Loops
def test_what_is_no_tls_and_who_gave_up_are_counted_and_have_no_place(
    run: Run, tls: dict[str, Any]
) -> None:
    async def storm() -> None:
        more = {"tls": tls, "handshake_rate": 10}
        async with listening(FakeIngest(), **more) as source, Fleet(source, tls) as fleet:
            reader, writer = await fleet.bare("127.0.0.1")
            writer.write(V311)
            await ended(reader)
            assert counted(source, "handshakes") == {"failed": 1}
            for _ in range(5):
                _, writer = await fleet.bare("127.0.0.1")
                writer.transport.abort()  # most of them while they wait for their turn
            await until(lambda: len(source._admission) == 0)
            assert counted(source, "handshakes") == {"failed": 6}

    run(storm())


async def test_who_is_not_encrypted_yet_counts_among_the_connections_of_its_address(
    tls: dict[str, Any],
) -> None:
    more = {"tls": tls, "per_address": 2}
    async with listening(FakeIngest(), **more) as source, Fleet(source, tls) as fleet:
        first, second = [await fleet.bare("127.0.0.2") for _ in range(2)]
        reader, _ = await fleet.bare("127.0.0.2")
        assert await ended(reader)
        await fleet.whole("127.0.0.3", 1)
        assert len(source._admission) == 3
        for _, writer in (first, second):
            writer.close()
        await until(lambda: len(source._admission) == 1)
        fleet.close()
        await until(lambda: len(source._admission) == 0)
        assert counted(source, "connections") == {"ok": 3, "address_full": 1}


@Loops
def test_who_waits_or_is_half_done_is_let_go_when_the_agent_ends(
    run: Run, tls: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handshakes, "AT_ONCE", 2)

    async def storm() -> None:
        async with listening(FakeIngest(), tls=tls) as source:
            fleet = Fleet(source, tls)
            streams = [await fleet.half("127.0.0.1") for _ in range(4)]
            await until(lambda: source.states()["waiting"] == 3)
        async with asyncio.timeout(20):
            assert [await ended(reader) for reader, _ in streams] == [True] * 4
        fleet.close()

    run(storm())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["enter", "end"])), max_size=80))
def test_a_party_has_no_more_under_way_than_are_free_and_nobody_is_forgotten(
    moves: list[tuple[str, str]],
) -> None:
    held = dict.fromkeys("abc", 0)

    def take(group: str) -> bool:
        free = 6 - sum(held.values())
        if held[group] >= free:
            return False
        held[group] += 1
        return True

    turns: Turns[int] = Turns(1_000_000, 0.0, take)
    begun, came = [], 0
    for now, (group, move) in enumerate(moves):
        if move == "enter":
            came += 1
            if turns.enter(group, came, now):
                begun.append(came)
        elif held[group]:
            held[group] -= 1
        begun += turns.due(now)
        assert sum(held.values()) <= 6
        assert max(held.values()) <= 3  # half of them
        assert len(turns) == came - len(begun)
    for now in range(len(moves), len(moves) + came + 1):
        held.update(dict.fromkeys("abc", 0))
        begun += turns.due(now)
    assert sorted(begun) == list(range(1, came + 1))
