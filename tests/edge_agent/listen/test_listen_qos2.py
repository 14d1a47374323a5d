"""QoS 2 means once: over the death of the agent a repeat stays a repeat, and a new message is new.

The packets are literal: `34` is PUBLISH of QoS 2, `3c` the same with DUP, `50` PUBREC, `62` PUBREL,
`70` PUBCOMP; all of them with packet id 1 and, where it matters, with the same words.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from edge_agent.sources.listen.house import House
from edge_agent.sources.listen.memory import Memory
from edge_agent.sources.listen.policy import Policy
from edge_agent.sources.listen.sessions import Sessions
from edge_agent.sources.listen.settings import ListenSettings
from gateway_core.clock import NS
from tests.edge_agent.listen.conftest import NOW, Talk
from tests.fakes.edge import ENV
from tests.fakes.ports import free_port
from tests.fakes.real_agent import RealAgent

LASTING = bytes.fromhex("100d 0004 4d515454 04 00 003c 0001 61")
LASTING5 = bytes.fromhex("1013 0004 4d515454 05 00 003c 05 11 00000e10 0001 61")
SAME = bytes.fromhex("3407 0001 74 0001 3231")
SAME5 = bytes.fromhex("3408 0001 74 0001 00 3231")
PUBREC, PUBREL, PUBCOMP = (bytes.fromhex(each + "020001") for each in ("50", "62", "70"))
VERSIONS = pytest.mark.parametrize(("connect", "same"), [(LASTING, SAME), (LASTING5, SAME5)])

State = dict[str, bytes]


def started(state: Mapping[str, bytes]) -> House:
    """Return an agent that finds this on its disk."""
    sessions = Sessions("listen/d/", 4, 100, dict(state), NOW)
    return House(ListenSettings(anonymous=True, receive_maximum=4), sessions, Policy())


def again(packet: bytes) -> bytes:
    return b"\x3c" + packet[1:]


def apply(state: State, change: Mapping[str, bytes | None]) -> None:
    for key, value in change.items():
        state.pop(key, None) if value is None else state.update({key: value})


class Disk(Talk):
    """A client of an agent that commits to a disk, or dies before it did."""

    def __init__(self, state: State, connect: bytes) -> None:
        self.state = state
        self.house = started(state)
        super().__init__(self.house)
        assert self.say(connect)[:1] == b"\x20"

    def commit(self) -> bytes:
        if not self.held:
            load = self.load
            change = self.house.sessions.enter(load.marks, settled=True)
            apply(self.state, change)
            self.load = dataclasses.replace(load, marks=[])
        return super().commit()


@VERSIONS
@pytest.mark.parametrize("proof", ["goodbye", "five seconds"])
def test_the_same_words_after_pubcomp_are_a_new_message_although_the_agent_died(
    connect: bytes, same: bytes, proof: str
) -> None:
    state: State = {}
    disk = Disk(state, connect)
    assert disk.say(same) + disk.say(PUBREL) == PUBREC + PUBCOMP
    if proof == "goodbye":
        disk.say(b"\xe0\0")
    else:
        disk.house.end_heard(disk.load, NOW + 5 * NS)
        disk.commit()
    disk = Disk(state, connect)
    assert disk.say(same) == PUBREC
    assert disk.stored == [("t", b"21")]


@VERSIONS
def test_on_one_connection_the_same_words_after_pubcomp_are_new_and_then_known(
    connect: bytes, same: bytes
) -> None:
    state: State = {}
    disk = Disk(state, connect)
    disk.say(same)
    disk.say(PUBREL)
    assert disk.say(same) == PUBREC
    assert len(disk.stored) == 2
    disk = Disk(state, connect)
    assert disk.say(again(same)) == PUBREC
    assert disk.stored == []


@VERSIONS
@pytest.mark.parametrize("died", [True, False])
def test_who_may_not_have_heard_pubcomp_may_say_it_again_as_paho_does(
    connect: bytes, same: bytes, *, died: bool
) -> None:
    state: State = {}
    disk = Disk(state, connect)
    assert disk.say(same) + disk.say(PUBREL) == PUBREC + PUBCOMP
    disk.house.end_heard(disk.load, NOW + 5 * NS - 1)
    if died:
        disk = Disk(state, connect)
    else:
        disk.leave()
        disk.talk = Talk(disk.house).talk
        disk.say(connect)
    before = len(disk.stored)
    assert disk.say(same) == PUBREC
    assert len(disk.stored) == before


@VERSIONS
def test_a_repeat_before_pubrel_is_no_new_message_although_the_agent_died(
    connect: bytes, same: bytes
) -> None:
    state: State = {}
    assert Disk(state, connect).say(same) == PUBREC
    for packet in (again(same), same):  # whatever DUP says
        disk = Disk(state, connect)
        assert disk.say(packet) == PUBREC
        assert disk.stored == []


@VERSIONS
def test_other_words_under_a_packet_id_are_never_taken_for_a_repeat(
    connect: bytes, same: bytes
) -> None:
    state: State = {}
    Disk(state, connect).say(same)
    disk = Disk(state, connect)
    assert disk.say(again(same[:-1] + b"2")) == PUBREC
    assert disk.stored == [("t", b"22")]


@VERSIONS
def test_pubcomp_leaves_in_its_turn_and_an_agent_that_died_before_is_asked_again(
    connect: bytes, same: bytes
) -> None:
    state: State = {}
    disk = Disk(state, connect)
    disk.say(same)
    disk.held = True
    assert disk.say(PUBREL) == b""
    disk = Disk(state, connect)  # it died
    assert disk.say(PUBREL) == PUBCOMP
    assert disk.say(PUBREL) == PUBCOMP
    assert disk.say(same) == PUBREC
    assert disk.stored == [("t", b"21")]


def test_a_pubrel_of_a_clean_session_is_answered_and_nothing_is_stored_of_it() -> None:
    state: State = {}
    disk = Disk(state, LASTING.replace(b"\x04\x00\x00\x3c", b"\x04\x02\x00\x3c"))
    assert disk.say(SAME) + disk.say(PUBREL) == PUBREC + PUBCOMP
    assert state == {}


def test_messages_that_are_over_leave_nothing_behind_and_many_are_a_few_slots() -> None:
    state: State = {}
    disk = Disk(state, LASTING)
    for _ in range(500):
        assert disk.say(SAME) + disk.say(PUBREL) == PUBREC + PUBCOMP
    marks = {key: value for key, value in state.items() if "/m/" in key}
    assert len(marks) <= 12
    assert sum(len(value) for value in marks.values()) <= 14 * 3 * 4
    assert len(disk.stored) == 500


def test_an_end_is_kept_as_long_as_a_slot_may_hold_what_it_ends_and_no_longer() -> None:
    """The mark lies in a large old slot, its end in a small new one, which is folded first."""
    state: State = {}
    memory = Memory("m/", {}, 4, state)
    first = [memory.note(1, (packet_id, 7), 4) for packet_id in (1, 2, 3, 4)]
    apply(state, memory.enter(first, settled=True))
    apply(state, memory.enter([memory.release(1, 1)], settled=True))
    for number in range(5, 30):
        apply(state, memory.enter([memory.note(1, (number, 7), 4)], settled=True))
        later = Memory("m/", {}, 100, state)  # as if it had more open than it has
        assert not later.recognises((1, 1, 7))
        assert later.recognises((1, number, 7))
    assert sum(value.count(bytes(6)) for value in state.values()) == 0  # no end is left


def test_an_end_counts_although_its_mark_was_folded_into_a_slot_behind_it() -> None:
    state: State = {}
    memory = Memory("m/", {}, 4, state)
    marks = memory.enter([memory.note(1, (1, 7, 2, 7), 4)], settled=False)
    apply(state, marks)
    memory.stored(marks)
    end = memory.enter([memory.release(1, 1)], settled=False)  # under way, so it is not folded
    apply(state, memory.enter([memory.note(1, (3, 7, 4, 7), 4)], settled=False))
    apply(state, end)
    later = Memory("m/", {}, 4, state)
    assert [later.recognises((1, each, 7)) for each in (1, 2, 3, 4)] == [False, True, True, True]


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[tuple[RealAgent, int]]:
    port = free_port("::1")
    listener = f"mqtt_listen: [{{listen: '[::1]:{port}', anonymous: true}}]\n"
    made = RealAgent(tmp_path, None, ENV, listener)
    made.start()
    yield made, port
    await made.kill()


async def test_over_kill_9_a_repeat_is_stored_once_and_a_new_message_is_stored(
    agent: tuple[RealAgent, int],
) -> None:
    program, port = agent
    body = bytes.fromhex("0008 74672f64312f7570 0001") + b'{"temperature": 21.5}'
    first, repeated = (bytes((head, len(body))) + body for head in (0x34, 0x3C))

    async def say(*packets: bytes) -> list[str]:
        """Connect, say each packet and hear its answer."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection("::1", port)
                    break
                await asyncio.sleep(0.05)
            heard = []
            for packet in (LASTING, *packets):
                writer.write(packet)
                heard.append((await reader.readexactly(4)).hex())
        writer.close()
        return heard

    async def die() -> None:
        await program.kill()
        program.start()

    assert await say(first) == ["20020000", "50020001"]
    await die()
    answers = await say(repeated, PUBREL, first)  # the third is a new message
    assert answers == ["20020100", "50020001", "70020001", "50020001"]
    await die()
    assert await say(repeated, PUBREL) == ["20020100", "50020001", "70020001"]
    await program.until(lambda status: status["residual"] == 0)
    question = {"measurement": "env", "fields": ["temperature"], "where": {"device": ["d1"]}}
    _, table = await program.post("/query", question)
    place = table["columns"].index("temperature")
    assert [row[place] for row in table["rows"]] == [21.5, 21.5]
