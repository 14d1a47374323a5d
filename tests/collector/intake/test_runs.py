"""Promise: of two agents with one identity the second is refused, and the first loses no record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector.reception import Reception, Report
from collector.refused import Refused
from gateway_core.model import Alarm, Record
from gateway_core.spool import open_spool
from gateway_core.wire import Upload
from tests.fakes.core import ToldClock, readings


@pytest.fixture
async def reception(tmp_path: Path) -> AsyncIterator[Reception]:
    clock = ToldClock()
    async with open_spool(tmp_path / "c.db", "centre", clock=clock) as spool:
        yield Reception(spool, clock, 10)


async def send(reception: Reception, first: int, last: int, run: str) -> int:
    """Send records as an agent's run does; return how many were new."""
    upload = Upload("edge-a", "e1", first, last, [*range(first, last + 1)], readings(first, last))
    return (await reception.receive(upload, Report(run=run))).accepted


async def refused(reception: Reception, first: int, last: int, run: str) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await send(reception, first, last, run)
    return caught.value.status, caught.value.code


async def alarms(reception: Reception) -> list[Record]:
    found, seq = [], 0
    while (batch := await reception.spool.read_after(seq, 1000)) is not None:
        found += [record for record in batch.records if isinstance(record, Alarm)]
        seq = batch.last
    return found


async def test_restarts_follow_each_other(reception) -> None:
    assert await send(reception, 1, 10, "a1;") == 10
    assert await send(reception, 11, 20, "a2;a1") == 10
    assert await send(reception, 21, 30, "a4;a3") == 10  # a3 never got through
    assert await send(reception, 31, 40, "") == 10  # an older program
    assert await alarms(reception) == []


async def test_last_words_of_a_run_that_ended_are_no_second_agent(reception) -> None:
    await send(reception, 1, 10, "a1;")
    await send(reception, 11, 20, "a2;a1")
    assert await refused(reception, 1, 10, "a1;") == (503, "run_followed")
    reception.clock.pass_seconds(3600)
    assert await send(reception, 21, 30, "a2;a1") == 10
    assert await alarms(reception) == []


@pytest.mark.fault("F8")
@pytest.mark.parametrize("restarted", [False, True])
async def test_an_upload_that_comes_again_and_again_is_no_second_agent(
    reception, restarted
) -> None:
    await send(reception, 1, 10, "a1;")
    await send(reception, 11, 20, "a2;a1")
    if restarted:
        reception = Reception(reception.spool, reception.clock, 10)
        await reception.load()
    for _ in range(5):
        reception.clock.pass_seconds(20)
        assert await refused(reception, 1, 10, "a1;") == (503, "run_followed")
    assert await send(reception, 21, 30, "a2;a1") == 10
    assert await alarms(reception) == []


@pytest.mark.fault("F22")
async def test_a_copy_that_starts_beside_its_original_is_found_out_and_takes_no_numbers(
    reception,
) -> None:
    await send(reception, 1, 10, "a1;")
    assert await send(reception, 11, 15, "b1;a1") == 5  # looks like a restart
    assert await refused(reception, 11, 20, "a1;") == (503, "run_followed")
    reception.clock.pass_seconds(5)
    assert await refused(reception, 11, 20, "a1;") == (503, "run_followed")
    reception.clock.pass_seconds(5)
    assert await send(reception, 11, 20, "a1;") == 10  # none of them passes for one of the copy's
    assert await refused(reception, 16, 20, "b1;a1") == (409, "identity_doubled")
    assert await refused(reception, 16, 20, "b2;b1") == (409, "identity_doubled")
    assert await send(reception, 21, 30, "a2;a1") == 10
    (alarm,) = await alarms(reception)
    assert (alarm.edge, alarm.rule, alarm.severity) == ("edge-a", "identity_doubled", "critical")
    books = reception.edges["edge-a"].epochs
    assert list(books["e1"].received) == [(1, 30)]
    assert list(books["e1-b1"].received) == [(11, 15)]
    assert [book.residual for book in books.values()] == [0, 0]
    assert [book.stored for book in books.values()] == [30, 5]


@pytest.mark.fault("F22")
async def test_a_copy_made_while_its_original_was_off_is_refused_at_once(reception) -> None:
    await send(reception, 1, 10, "a1;")
    await send(reception, 11, 20, "a2;a1")
    assert await refused(reception, 11, 15, "b1;a1") == (409, "identity_doubled")
    assert await send(reception, 21, 30, "a2;a1") == 10
    assert len(await alarms(reception)) == 1


async def test_who_was_found_out_stays_so_after_a_restart_of_the_collector(reception) -> None:
    await send(reception, 1, 10, "a1;")
    await send(reception, 11, 20, "a2;a1")
    assert await refused(reception, 11, 15, "b1;a1") == (409, "identity_doubled")
    again = Reception(reception.spool, reception.clock, 10)
    await again.load()
    assert await refused(again, 11, 15, "b1;a1") == (409, "identity_doubled")
    assert await send(again, 21, 30, "a2;a1") == 10
