"""A storm of connections is admitted at a bounded rate, address by address, and none is lost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.sources.listen.turns import Turns, party
from tests.edge_agent.listen.conftest import listening
from tests.edge_agent.listen.test_listen_protocol import V5, V311, packet, publish
from tests.fakes.ingest import FakeIngest

STEP_S = 0.01


def named(number: int) -> bytes:
    return packet(0x10, bytes.fromhex("0004 4d515454 04 02 003c 0003") + b"%03d" % number)


@pytest.mark.fault("F18")
def test_ten_thousand_at_once_are_let_in_at_2000_a_second_each_once() -> None:
    turns: Turns[int] = Turns(2000, 0.0)
    let_in = [n for n in range(10_000) if turns.enter("a", n, 0.0)]
    assert len(let_in) == 200
    steps = 0
    while len(turns):
        steps += 1
        let_in += turns.due(steps * STEP_S)
        assert len(let_in) <= 200 + 20 * steps
    assert let_in == list(range(10_000))
    assert steps in {490, 491}  # 4.9 s, but for rounding


def test_a_single_client_of_another_address_does_not_wait_behind_thousands() -> None:
    turns: Turns[str] = Turns(1, 0.0)
    for n in range(5000):
        turns.enter("storm", f"s{n}", 0.0)
    turns.enter("other", "d1", 0.0)
    assert turns.due(1.0) + turns.due(2.0) == ["s1", "d1"]


def test_whoever_has_a_64_has_one_turn_for_all_its_addresses() -> None:
    turns: Turns[str] = Turns(1, 0.0)
    for n in range(1000):
        turns.enter(f"2001:db8:1:2::{n:x}", f"s{n}", 0.0)
    turns.enter("2001:db8:1:3::1", "d1", 0.0)
    turns.leave("2001:db8:1:2::1", "s1")
    assert turns.due(1.0) + turns.due(2.0) == ["s2", "d1"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "192.0.2.2", False),
    ],
)
def test_who_takes_turns_as_one(one: str, other: str, *, same: bool) -> None:
    assert (party(one) == party(other)) is same


def test_who_comes_while_others_wait_does_not_pass_them() -> None:
    turns: Turns[str] = Turns(1, 0.0)
    assert [turns.enter("a", who, 0.0) for who in ("d1", "d2")] == [True, False]
    assert not turns.enter("a", "d3", 5.0)
    assert [turns.due(5.0), turns.due(6.0)] == [["d2"], ["d3"]]


moves = st.lists(
    st.tuples(st.sampled_from(["enter", "leave", "due"]), st.sampled_from("abc"), st.floats(0, 0.2))
)


@given(moves, st.integers(1, 500))
def test_everybody_gets_one_turn_or_leaves_and_never_more_than_the_rate(
    said: list[tuple[str, str, float]], rate: int
) -> None:
    turns: Turns[int] = Turns(rate, 0.0)
    now, number, let_in, waiting, gone = 0.0, 0, [], {}, []
    for move, address, later in said:
        now += later
        if move == "enter":
            number += 1
            if turns.enter(address, number, now):
                let_in.append(number)
            else:
                waiting[number] = address
        elif move == "due":
            found = turns.due(now)
            let_in += found
            for who in found:
                del waiting[who]
        elif waiting:
            who, place = waiting.popitem()
            turns.leave(place, who)
            gone.append(who)
        assert len(turns) == len(waiting)
        assert len(let_in) <= max(1.0, rate * 0.1) + rate * now + 1e-6
    while len(turns):
        now += 1.0
        let_in += turns.due(now)
    assert sorted(let_in + gone) == list(range(1, number + 1))


async def test_clients_wait_for_their_turn_longer_than_a_handshake_may_take_and_all_get_in() -> (
    None
):
    ingest = FakeIngest()
    async with listening(ingest, connect_rate=50, handshake="0.5s") as source:

        async def storm(number: int) -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", source.ports[0])
            said = named(number) + publish(V311, "t/a", b"%03d" % number)  # and waits for nothing
            writer.write(said)
            answers = await reader.readexactly(8)
            writer.close()
            return answers

        async with asyncio.TaskGroup() as tasks:
            clients = [tasks.create_task(storm(n)) for n in range(120)]
            while not source.states()["waiting"]:
                await asyncio.sleep(0)
            assert source.states()["handshake"] + source.states()["waiting"] <= 120
        assert {each.result().hex() for each in clients} == {"20020000" + "40020001"}
        told = source._meter.render().decode()
        assert source.states()["waiting"] == 0
    counts = [
        int(float(line.split()[-1]))
        for line in told.splitlines()
        if line.startswith("tidegate_mqtt_listen_connects_total")
    ]
    assert sum(counts) == 120
    assert min(counts) >= 5  # as many as are due after a quiet time did not wait
    assert sorted(ingest.payloads()) == [b"%03d" % n for n in range(120)]


async def test_who_waits_when_the_agent_ends_is_told_so() -> None:
    async with listening(FakeIngest(), connect_rate=1) as source:
        port = source.ports[0]
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for _, writer in streams:
            writer.write(V5)
        while source.states()["waiting"] < 2:
            await asyncio.sleep(0)
    said = [(await asyncio.wait_for(reader.read(), 20)).hex() for reader, _ in streams]
    for _, writer in streams:
        writer.close()
    assert sum(each[:2] == "20" and each[6:8] == "88" for each in said) == 2  # CONNACK: unavailable
