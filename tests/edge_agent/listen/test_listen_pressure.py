"""While the disk is full, a flood from many connections waits in the devices, and nothing is lost."""

from __future__ import annotations

import asyncio
import socket
from typing import Self

import pytest

from edge_agent.sources.listen.source import UNCOMMITTED, ListenSource
from edge_agent.sources.listen.transport import check_open
from gateway_core.errors import SpoolFull, Unavailable
from tests.edge_agent.listen.conftest import listening
from tests.edge_agent.listen.test_listen_protocol import V5, V311, publish
from tests.fakes.ingest import FakeIngest

CONNECTIONS, EACH = 150, 200


async def flood(port: int, number: int, version: bytes) -> bytes:
    """Send all there is to say in one write; return the acknowledgements."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    name = f"{number:03d}".encode()
    connect = version[:1] + bytes((version[1] + 2,)) + version[2:-2] + b"\x03" + name
    said = (publish(version, "t/a", b"%d/%d" % (number, n), packet_id=n + 1) for n in range(EACH))
    writer.write(connect + b"".join(said))
    head = await reader.readexactly(2)
    await reader.readexactly(head[1])
    answers = await reader.readexactly(4 * EACH)
    writer.close()
    return answers


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self, count: int) -> bytes:
        async with asyncio.timeout(20):
            return await self._reader.readexactly(count)

    def close(self) -> None:
        self._writer.close()


class Clients:
    """Connections that end with the block."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._all: list[Client] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for each in self._all:
            each.close()

    async def enter(self, version: bytes, name: bytes) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self._port))
        self._all.append(client)
        client.say(version[:-1] + name)
        head = await client.hear(2)
        await client.hear(head[1])
        return client


def waiting(source: ListenSource) -> int:
    """Messages that the listener holds and that are not on disk."""
    return source._line._messages + len(source._line.open.arrivals)


@pytest.mark.fault("F2")
@pytest.mark.parametrize("version", [V311, V5])
async def test_a_flood_while_the_disk_is_full_is_held_off_and_stored_once_in_the_end(
    version: bytes,
) -> None:
    ingest = FakeIngest()
    ingest.trouble = SpoolFull("full")
    most = held = kept = 0
    async with listening(ingest) as source, asyncio.TaskGroup() as tasks:
        floods = [tasks.create_task(flood(source.ports[0], n, version)) for n in range(CONNECTIONS)]
        async with asyncio.timeout(30):
            while source.states()["held"] < CONNECTIONS // 4 or ingest.calls < 9:
                await asyncio.sleep(0.01)
                most, kept = max(most, waiting(source)), max(kept, source._kept)
            while source._strangers:  # who comes meanwhile is let in, and waits
                await asyncio.sleep(0.01)
        held = source.states()["held"]
        assert not any(each.done() for each in floods)
        ingest.trouble = None
    assert UNCOMMITTED <= most <= UNCOMMITTED + EACH
    assert held
    assert kept <= CONNECTIONS * EACH * 20  # no more than what was sent
    answers = b"".join(b"\x40\x02" + n.to_bytes(2, "big") for n in range(1, EACH + 1))
    assert {each.result() for each in floods} == {answers}
    assert len(ingest.stored) == CONNECTIONS * EACH
    assert len(set(ingest.payloads())) == CONNECTIONS * EACH


async def test_who_is_told_that_the_disk_is_full_can_try_again_and_nothing_refused_is_stored() -> (
    None
):
    ingest = FakeIngest()
    ingest.trouble = SpoolFull("full")
    async with listening(ingest, when_full="refuse") as source, Clients(source.ports[0]) as clients:
        first = await clients.enter(V5, b"1")
        first.say(publish(V5, "t/a", b"first"))  # nobody knows yet, so it waits
        await ingest.when(lambda: ingest.calls > 0)
        told, old = await clients.enter(V5, b"2"), await clients.enter(V311, b"3")
        while not source.house.refusing:
            await asyncio.sleep(0)
        told.say(publish(V5, "t/a", b"no", packet_id=5) + publish(V5, "t/a", b"no", 0x34, 6))
        assert (await told.hear(10)).hex() == "4003000597" + "5003000697"
        told.say(publish(V5, "t/a", b"no", packet_id=5))
        assert (await told.hear(5)).hex() == "4003000597"
        told.say(publish(V5, "t/a", b"zero", 0x30) + publish(V5, "t/a", b"behind", packet_id=7))
        old.say(publish(V311, "t/a", b"old", packet_id=8))
        ingest.trouble = None
        assert (await first.hear(4)).hex() == "40020001"
        assert (await told.hear(4)).hex() == "40020007"  # it stood behind what has no answer
        assert (await old.hear(4)).hex() == "40020008"
        told.say(publish(V5, "t/a", b"yes", packet_id=5))
        assert (await told.hear(4)).hex() == "40020005"
        assert source.house.refusing == 0
    assert sorted(ingest.payloads()) == [b"behind", b"first", b"old", b"yes", b"zero"]


async def test_while_many_wait_for_the_disk_others_are_told_all_the_same() -> None:
    ingest = FakeIngest()
    ingest.trouble = SpoolFull("full")
    async with listening(ingest, when_full="refuse") as source, Clients(source.ports[0]) as clients:
        first = await clients.enter(V311, b"1")
        first.say(publish(V311, "t/a", b"first"))
        while not source.house.refusing:
            await asyncio.sleep(0)
        source._press(True)
        other = await clients.enter(V5, b"2")
        other.say(publish(V5, "t/a", b"no", packet_id=5))
        assert (await other.hear(5)).hex() == "4003000597"
        ingest.trouble = None
        assert (await first.hear(4)).hex() == "40020001"


class Waiter:
    """A connection that waits for room; the second one that goes on takes all there is."""

    def __init__(self, source: ListenSource, number: int, order: list[int]) -> None:
        self._source, self._number, self._order = source, number, order

    def resume(self) -> None:
        self._order.append(self._number)
        if len(self._order) % 2 == 0:
            self._source._press(True)


async def test_who_waited_longest_goes_on_first_and_only_while_there_is_room() -> None:
    order: list[int] = []
    async with listening(FakeIngest()) as source:
        source._press(True)
        for number in range(5):
            source.held(Waiter(source, number, order))  # type: ignore[arg-type]
        source._press(False)
        assert order == [0, 1]
        source._press(False)
        assert order == [0, 1, 2, 3]
        source._press(False)
    assert order == [0, 1, 2, 3, 4]


async def test_a_listener_whose_socket_was_closed_under_it_says_so_and_can_begin_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        check_open([door])
    with pytest.raises(Unavailable, match="a listening socket was closed"):
        check_open([door])
