"""The promise: commits may end in any order; acknowledgements leave in the order of receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.arrival import Apart, Arrival, Parts, undivided
from edge_agent.sources.commit_line import CommitLine
from edge_agent.sources.redelivery import Redelivery, fingerprint
from gateway_core.errors import SpoolFull
from gateway_core.meter import Meter


class Gates:
    """An ingest whose calls end when the test says so, in the order the test says."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []
        self.begun: list[tuple[list[bytes], bool]] = []
        self.stored: list[bytes] = []

    async def __call__(
        self, arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        gate = asyncio.get_running_loop().create_future()
        self.waiting.append(gate)
        self.begun.append(([each.payload for each in arrivals], bool(state)))
        await gate
        self.stored += [each.payload for each in arrivals]
        return [None] * len(arrivals)


def _line(
    ingest, *, most_messages: int = 100, most_bytes: int = 10**6, apart: Apart = undivided
) -> tuple[CommitLine, list[int], list[bool]]:
    acked: list[int] = []
    pressure: list[bool] = []
    line = CommitLine(
        "mqtt:site",
        ingest,
        Redelivery("mqtt/site/", 100, {}),
        Meter(),
        most_messages=most_messages,
        most_bytes=most_bytes,
        apart=apart,
    )
    line.on_acknowledged = acked.extend
    line.on_pressure = pressure.append
    return line, acked, pressure


def _receive(line: CommitLine, packet_id: int) -> None:
    payload = b"%d" % packet_id
    line.open.arrivals.append(Arrival("mqtt:site", "a", payload, 0))
    line.open.words.append(packet_id)
    line.open.marks.append(fingerprint(packet_id, "a", payload))
    line.open.size += 10


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@given(st.permutations(range(6)))
@settings(max_examples=30)
def test_commits_end_in_any_order_and_acknowledgements_do_not(order: list[int]) -> None:
    async def play() -> None:
        ingest = Gates()
        line, acked, _ = _line(ingest)
        async with asyncio.TaskGroup() as tasks:
            line.start(tasks)
            for packet_id in range(6):
                _receive(line, packet_id)
                line.go()
                await _turns()
            ended: set[int] = set()
            for each in order:
                ingest.waiting[each].set_result(None)
                ended.add(each)
                await _turns()
                whole = next((n for n in range(6) if n not in ended), 6)
                assert acked == list(range(whole))
            await line.drained()

    asyncio.run(play())


async def test_what_many_connections_bring_in_one_step_of_the_loop_is_one_commit() -> None:
    ingest = Gates()
    line, acked, _ = _line(ingest)
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(20):
            _receive(line, packet_id)
            line.soon()
        await _turns()
        assert [len(payloads) for payloads, _ in ingest.begun] == [20]
        ingest.waiting[0].set_result(None)
        await line.drained()
    assert acked == list(range(20))


async def test_what_comes_while_eight_commits_are_under_way_becomes_one_more() -> None:
    ingest = Gates()
    line, acked, _ = _line(ingest)
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(20):
            _receive(line, packet_id)
            line.go()
            await _turns()
        assert len(ingest.waiting) == 8
        ingest.waiting[0].set_result(None)
        await _turns()
        assert len(ingest.waiting) == 9
        for gate in ingest.waiting[1:]:
            gate.set_result(None)
        await line.drained()
    assert acked == list(range(20))


async def test_pressure_is_said_once_at_the_limit_and_once_at_half_of_it() -> None:
    ingest = Gates()
    line, _, pressure = _line(ingest, most_messages=4)
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(6):
            _receive(line, packet_id)
            line.go()
            await _turns()
        assert pressure == [True]
        for gate in ingest.waiting:
            gate.set_result(None)
            await _turns()
        await line.drained()
    assert pressure == [True, False]


@pytest.mark.fault("F12")
async def test_pressure_is_said_for_bytes_as_well() -> None:
    ingest = Gates()
    line, _, pressure = _line(ingest, most_bytes=40)
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(4):
            assert pressure == []
            _receive(line, packet_id)
            line.go()
            await _turns()
        assert pressure == [True]
        for gate in ingest.waiting:
            gate.set_result(None)
        await line.drained()
    assert pressure == [True, False]


async def _slow_first(arrivals: Sequence[Arrival]) -> Parts:
    """Part a load as one does whose message ``0`` is slow to decode."""
    now = [each for each in arrivals if each.payload != b"0"]
    slow = [each for each in arrivals if each.payload == b"0"]
    return now, [slow] if slow else []


async def test_marks_are_stored_after_every_part_of_the_load_that_they_name() -> None:
    ingest = Gates()
    line, acked, _ = _line(ingest, apart=Apart(_slow_first))
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        _receive(line, 0)
        _receive(line, 1)
        line.go()
        for at in range(3):
            await _turns()
            assert len(ingest.begun) == at + 1
            ingest.waiting[at].set_result(None)
        await line.drained()
    assert ingest.begun == [([b"1"], False), ([b"0"], False), ([], True)]
    assert acked == [0, 1]


async def test_what_is_stored_and_waits_behind_a_slow_part_counts_until_it_is_acknowledged() -> (
    None
):
    ingest = Gates()
    line, acked, pressure = _line(ingest, most_messages=20, apart=Apart(_slow_first))
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(20):
            _receive(line, packet_id)
            line.go()
            await _turns()
            if packet_id:
                ingest.waiting[packet_id].set_result(None)
                await _turns()
        assert ingest.stored == [b"%d" % n for n in range(1, 20)]
        assert (acked, pressure) == ([], [True])
        ingest.waiting[0].set_result(None)
        await _turns()
        ingest.waiting[20].set_result(None)  # the marks of the slow one
        await line.drained()
    assert acked == list(range(20))
    assert pressure == [True, False]


async def test_a_fault_in_what_stores_acknowledges_nothing_and_nobody_waits_for_it() -> None:
    async def ingest(
        _arrivals: Sequence[Arrival], _state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        raise RuntimeError("a fault")

    line, acked, _ = _line(ingest)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            line.start(tasks)
            _receive(line, 0)
            line.go()

    with pytest.raises(ExceptionGroup):
        await run()
    async with asyncio.timeout(10):
        await line.drained()
    assert acked == []


async def test_a_full_spool_keeps_the_order_and_begins_nothing_new(monkeypatch) -> None:
    monkeypatch.setattr("edge_agent.sources.commit_line.FIRST_WAIT_S", 0.0)
    stored: list[bytes] = []
    refusals = [8]

    async def ingest(arrivals, _state):
        if refusals[0]:
            refusals[0] -= 1
            raise SpoolFull("no room in this test")
        stored.extend(each.payload for each in arrivals)
        return [None] * len(arrivals)

    line, acked, _ = _line(ingest)
    async with asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(5):
            _receive(line, packet_id)
            line.go()
        await _turns()
        _receive(line, 5)
        line.go()
        assert len(line.open.arrivals) == 1
        await line.drained()
    assert stored == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert acked == [0, 1, 2, 3, 4, 5]


async def test_what_waits_for_a_full_spool_is_cut_into_loads_that_will_fit(monkeypatch) -> None:
    monkeypatch.setattr("edge_agent.sources.commit_line.FIRST_WAIT_S", 0.001)
    monkeypatch.setattr("edge_agent.sources.commit_line.MOST_LOAD", 100)
    loads: list[int] = []
    states: list[Mapping[str, bytes | None]] = []
    full = True

    async def ingest(
        arrivals: Sequence[Arrival], state: Mapping[str, bytes | None]
    ) -> list[str | None]:
        if full or len(arrivals) > 15:
            raise SpoolFull("no room")
        loads.append(len(arrivals))
        states.append(state)
        return [None] * len(arrivals)

    line, acked, _ = _line(ingest)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        line.start(tasks)
        for packet_id in range(1, 56):
            _receive(line, packet_id)
            line.go()
            await _turns(1)
        full = False
        await line.drained()
    assert loads == [1, 10, 10, 10, 10, 10, 4]
    assert acked == list(range(1, 56))
    assert len(set().union(*states)) == len(loads)  # a slot claims nothing that another load stores
