"""Promise: each day's books add up, follow the day before, and the centre notices when they do not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from collector.balances import Balances as Centre
from collector.reception import Reception, Report
from collector.refused import Refused
from device_profiles.signing import make_key
from edge_agent.balance import DAY_NS, Balances
from gateway_core.balance import Signed, chain_of, decode_balance, faults_of
from gateway_core.model import Alarm, Receipt, Rejection
from gateway_core.spool import Spool, open_spool
from gateway_core.wire import Upload
from tests.fakes.core import ToldClock, readings, refusal


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    async with open_spool(tmp_path / "edge.db", "edge-a", clock=ToldClock()) as opened:
        await opened.register("uplink")
        yield opened


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[Centre]:
    clock = ToldClock()
    async with open_spool(tmp_path / "centre.db", "centre", clock=clock) as opened:
        yield Centre(Reception(opened, clock, 10))


def closing(spool: Spool, tmp_path: Path, clock: ToldClock) -> Balances:
    return Balances("edge-a", spool, tmp_path / "identity.key", None, clock)


async def two_days(spool: Spool, tmp_path: Path) -> list[Signed]:
    clock = ToldClock()
    books = closing(spool, tmp_path, clock)
    await books._last()  # the agent's first look
    await spool.append(readings(1, 100), [refusal(1)], source="mqtt:site")
    receipt = Receipt((Rejection(3, "bad"),), {"policy": 10})
    await spool.settle("uplink", 1, 60, receipt)
    clock.pass_seconds(86_400)
    await books.close()
    again = closing(spool, tmp_path, clock)  # as after a restart
    await spool.append(readings(1, 20), source="coap")
    await spool.settle("uplink", 61, 110)
    clock.pass_seconds(86_400)
    await again.close()
    return await again.all()


async def test_a_day_is_what_came_and_what_became_of_it(spool, tmp_path) -> None:
    first, second = map(decode_balance, (s.balance for s in await two_days(spool, tmp_path)))
    assert (first.n, first.accepted, first.refused) == (1, {"mqtt:site": 100}, {"bad_crc": 1})
    up = first.accounts["uplink"]
    assert (up.opening, up.accepted, up.delivered, up.quarantined) == (0, 100, 49, 1)
    assert (up.dropped, up.closing, up.residual) == ({"policy": 10}, 40, 0)
    up = second.accounts["uplink"]
    assert (up.opening, up.accepted, up.delivered, up.closing) == (40, 20, 50, 10)
    assert (second.accepted, second.refused, second.settled) == ({"coap": 20}, {}, 110)
    assert second.until - second.since == DAY_NS
    assert faults_of(first) == faults_of(second) == []


async def arrive(centre: Centre, epoch: str, last: int) -> None:
    upload = Upload("edge-a", epoch, 1, last, list(range(1, last + 1)), readings(1, last))
    await centre._reception.receive(upload, Report())


async def test_the_centre_takes_what_follows_and_adds_up(spool, centre, tmp_path) -> None:
    await arrive(centre, spool.epoch, 110)
    for signed in await two_days(spool, tmp_path):
        for _ in range(2):  # a receipt can be lost
            await centre.take("edge-a", msgspec.json.encode(signed))
    kept = await centre.of("edge-a")
    assert [(each.balance.n, each.faults) for each in kept] == [(1, []), (2, [])]
    assert centre.verdicts() == {"edge-a": "ok"}
    centre._clock.pass_seconds(4 * 86_400)
    restarted = Centre(centre._reception)
    await restarted.load()
    assert restarted.verdicts() == {"edge-a": "missing"}


async def test_what_is_said_to_be_delivered_and_never_came_is_an_alarm(
    spool, centre, tmp_path
) -> None:
    await arrive(centre, spool.epoch, 50)
    first, _ = await two_days(spool, tmp_path)
    await centre.take("edge-a", msgspec.json.encode(first))
    (kept,) = await centre.of("edge-a")
    assert kept.faults == ["10 numbers up to 60 never came here"]
    assert centre.verdicts() == {"edge-a": "wrong"}
    batch = await centre._spool.read_after(50, 10)
    (alarm,) = batch.records
    assert isinstance(alarm, Alarm)
    assert (alarm.edge, alarm.rule, alarm.severity) == ("edge-a", "balance_wrong", "critical")


async def test_a_balance_left_out_is_noticed(spool, centre, tmp_path) -> None:
    await arrive(centre, spool.epoch, 110)
    _, second = await two_days(spool, tmp_path)
    await centre.take("edge-a", msgspec.json.encode(second))
    (kept,) = await centre.of("edge-a")
    assert kept.faults == ["the balances before it never came here"]


async def test_what_another_key_signed_or_somebody_changed_is_refused(
    spool, centre, tmp_path
) -> None:
    await arrive(centre, spool.epoch, 110)
    first, second = await two_days(spool, tmp_path)
    changed = msgspec.structs.replace(first, balance=first.balance.replace("49", "50"))
    with pytest.raises(Refused, match="did not sign this balance"):
        await centre.take("edge-a", msgspec.json.encode(changed))
    with pytest.raises(Refused, match="a balance of edge edge-a sent by edge-b"):
        await centre.take("edge-b", msgspec.json.encode(first))
    await centre.take("edge-a", msgspec.json.encode(first))
    thief = make_key(tmp_path / "thief.key")
    text = second.balance
    forged = Signed(text, thief.public.pem, thief.sign("balance", text.encode()).hex())
    with pytest.raises(Refused, match="another key"):
        await centre.take("edge-a", msgspec.json.encode(forged))
    assert decode_balance(second.balance).prev == chain_of(first.balance)


async def test_books_that_do_not_add_up_are_named() -> None:
    wrong = {"edge": "e", "n": 1, "prev": "0" * 64, "epoch": "x", "since": 0, "until": 1}
    account = {"opening": 5, "accepted": 10, "delivered": 12, "quarantined": 0, "closing": 2}
    rest = {"head": 15, "settled": 12, "accepted": {"s": 10}, "refused": {}}
    text = msgspec.json.encode({**wrong, **rest, "accounts": {"uplink": account}})
    assert faults_of(decode_balance(text)) == ["uplink: 1 records are not accounted for"]


async def test_a_replaced_key_is_refused_until_a_person_says_so(spool, centre, tmp_path) -> None:
    first, second = await two_days(spool, tmp_path)
    await centre.take("edge-a", msgspec.json.encode(first))
    (tmp_path / "identity.key").write_bytes(b"damaged")
    another = await closing(spool, tmp_path, ToldClock()).close()
    assert another.key != second.key
    with pytest.raises(Refused, match="edges trust edge-a"):
        await centre.take("edge-a", msgspec.json.encode(another))
    assert not await centre.trust("edge-b")
    assert await centre.trust("edge-a")
    await centre.load()  # what a person said survives a restart
    await centre.take("edge-a", msgspec.json.encode(another))
    assert [each.signed.key for each in await centre.of("edge-a")] == [another.key]
    with pytest.raises(Refused, match="another key"):
        await centre.take("edge-a", msgspec.json.encode(second))
