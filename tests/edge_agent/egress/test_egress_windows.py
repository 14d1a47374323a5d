"""A window is open for late readings as long as it may be, and is stored when it changed."""

from __future__ import annotations

from pathlib import Path

from edge_agent.grant import NONE
from edge_agent.windows import AggregateOptions
from tests.edge_agent.egress.test_egress_aggregate import (
    T0,
    S,
    Site,
    grant,
    policy,
    reading,
    site,
)


async def test_a_late_reading_is_told_again_to_the_same_series_and_time(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("mean", "count")) as one:
        await one.feed(reading(10, t=1.0))
        assert len(await one.at(310)) == 1
        one.now = T0 + 3000 * S
        await one.feed(reading(20, t=3.0), reading(30, t=5.0))
        first, second = await one.at(3010)
        assert (first.measurement, first.time, first.tags) == (
            second.measurement,
            second.time,
            second.tags,
        )
        assert first.fields == {"t_mean": 1.0, "t_count": 1}
        assert second.fields == {"t_mean": 3.0, "t_count": 3}


async def test_a_reading_for_a_forgotten_window_is_dropped_as_late(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.feed(reading(10, t=1.0))
        await one.at(310)
        assert len(await one.at(310 + 3600)) == 1
        receipt = await one.feed(reading(20, t=3.0))
        assert receipt.dropped == {"late": 1}
        assert len(await one.at(310 + 7200)) == 1
        assert (await one.spool.books()).residual == 0


async def test_a_device_that_comes_back_with_its_own_history_is_not_late(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        one.now = T0 + 86_400 * S
        receipt = await one.feed(*[reading(60 * n, t=1.0) for n in range(15)])
        assert receipt.dropped == {}
        told = await one.at(86_410)
        assert [(each.time - T0) // S for each in told] == [0, 300, 600]
        assert [each.fields["t_count"] for each in told] == [5, 5, 5]


async def test_history_older_than_the_horizon_is_late(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        one.now = T0 + 8 * 86_400 * S
        assert (await one.feed(reading(0, t=1.0))).dropped == {"late": 1}


async def test_windows_beyond_the_limit_are_refused_and_counted(tmp_path: Path) -> None:
    async with site(tmp_path, AggregateOptions(max_windows=10), t=grant("count")) as one:
        receipt = await one.feed(*[reading(1, f"d{n}", t=1.0) for n in range(15)])
        assert receipt.dropped == {"windows": 5}
        assert len(await one.at(310)) == 10


async def test_told_windows_make_room_for_new_ones(tmp_path: Path) -> None:
    async with site(tmp_path, AggregateOptions(max_windows=10), t=grant("count")) as one:
        await one.feed(*[reading(1, f"d{n}", t=1.0) for n in range(10)])
        await one.at(310)
        receipt = await one.feed(*[reading(301, f"d{n}", t=1.0) for n in range(10)])
        assert receipt.dropped == {}
        assert len(await one.at(620)) == 20


async def test_a_policy_that_tightened_meanwhile_holds_for_open_windows(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("mean", "max"), u=grant("mean")) as one:
        await one.feed(reading(1, t=1.0, u=2.0))
        one.aggregate.adopt(policy(t=grant("mean"), u=NONE))
        (told,) = await one.at(310)
        assert told.fields == {"t_mean": 1.0}


async def test_only_windows_that_changed_are_stored_again(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.feed(*[reading(1, f"d{n}", t=1.0) for n in range(100)])
        receipt = await one.feed(reading(2, "d7", t=1.0))
        assert len(receipt.state) == 1


async def test_a_window_that_a_bad_disk_made_unreadable_stops_no_other(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.feed(reading(1, "d1", t=1.0), reading(1, "d2", t=1.0))
        broken, whole = sorted(await one.spool.state("aggregate/window/"))
        await one.spool.append(
            (), source="test", state={broken: b"\xc1", "aggregate/horizon/x": b"soon"}
        )
        again = Site(one.spool, policy(t=grant("count")), AggregateOptions())
        told = await again.at(310)
        assert [reading.fields for reading in told] == [{"t_count": 1}]
        assert broken not in await one.spool.state("aggregate/")
        assert whole in await one.spool.state("aggregate/")


async def test_forgotten_windows_leave_the_spools_state(tmp_path: Path) -> None:
    async with site(tmp_path, t=grant("count")) as one:
        await one.feed(reading(1, t=1.0))
        await one.at(310)
        await one.at(310 + 3601)
        assert [key.split("/")[1] for key in await one.spool.state("aggregate/")] == ["horizon"]
        await one.at(9 * 86_400)
        assert await one.spool.state("aggregate/") == {}
