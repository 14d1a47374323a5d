"""Promise: how long a site can stay offline is counted from its budget, and unknown is no figure."""

from __future__ import annotations

import pytest

from edge_agent.endurance import alarms_s, done_s, telemetry_s
from edge_agent.site import Rates
from edge_agent.throttle import Throttle
from gateway_core.clock import NS
from gateway_core.spool import Books, SpoolOptions
from gateway_core.units import parse_bit_rate
from tidegate.edge_books import spoken

MIB = 1 << 20
BOOKS = Books("e", head=1000, oldest=1, bytes=100_000, max_bytes=1_000_000)


def test_telemetry_lasts_as_long_as_its_bytes() -> None:
    assert telemetry_s(BOOKS, rate=10.0) == 1000.0
    assert telemetry_s(BOOKS, rate=0.0) is None


def test_devices_that_speak_every_five_minutes_arrive_in_silent_minutes_too() -> None:
    rates, head = Rates(), 0
    for second in range(0, 1800, 5):
        head += 60 if second % 300 == 0 else 0
        rates.head.look(head, second * NS)
        rates.hour.look(head, second * NS)

    now = 1795 * NS
    assert rates.head.rate(head, now) == 0.0
    assert rates.arriving(head, now) == 300 / 1795


def test_alarms_have_the_reserve_where_telemetry_waits_and_everything_where_it_is_given_up() -> (
    None
):
    waits = SpoolOptions(max_bytes=64 * MIB)
    gives = SpoolOptions(max_bytes=64 * MIB, when_full="evict")
    assert alarms_s(waits, 1000.0, rate=1.0) == 1000.0 + 2 * MIB / 512
    assert alarms_s(gives, 1000.0, rate=1.0) == 66 * MIB / 512
    assert alarms_s(waits, 1000.0, rate=0.0) is None
    assert alarms_s(waits, None, rate=1.0) is None


def test_a_backlog_is_done_when_it_shrinks() -> None:
    assert done_s(600, -2.0) == 300.0
    assert done_s(600, 1.0) is None
    assert done_s(0, 1.0) == 0.0


def test_lengths_of_time_are_spoken_in_two_units() -> None:
    assert [spoken(s) for s in (0.2, 59, 3725, 90_061, None)] == [
        "0 s",
        "59 s",
        "1 h 2 min",
        "1 d 1 h",
        "—",
    ]


async def test_uploads_take_no_more_than_the_contract_and_records_are_as_long_as_they_were(
    monkeypatch,
) -> None:
    slept, now = [], [100.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("edge_agent.throttle.asyncio.sleep", sleep)
    throttle = Throttle(parse_bit_rate("80kbit/s"), lambda: now[0])
    for _ in range(30):
        await throttle.admit(5_000, 100)
    assert slept[:3] == [0.0, 0.5, 0.5]
    assert now[0] == pytest.approx(100.0 + 29 * 0.5)
    assert 198 <= throttle.most() <= 202  # 50 bytes each, of 10,000 a second
    assert Throttle(None).most() > 10**6


@pytest.mark.parametrize("text", ["2MB/s", "2Mbit", "fast", 5])
def test_a_bandwidth_is_bits_a_second(text) -> None:
    with pytest.raises(ValueError, match="512kbit/s or 2Mbit/s"):
        parse_bit_rate(text)
