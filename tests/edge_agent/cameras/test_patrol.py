"""The patrol comes to the truth about every feed, follows it as it changes, and loses no record."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.board import Board
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.verdict import OUTCOME_STATES
from gateway_core.model import FeedHealth, Listed
from tests.fakes.cameras import HandClock, Recorder, fleet_and_feeds, patrolling, set_up

CONDITIONS = ("good", "offline", "silent", "wrong_password", "no_stream", "busy", "odd_xml")


@pytest.mark.parametrize("address", ["127.10.0.1", "::1"])
async def test_every_condition_gets_its_verdict(tmp_path: Path, address: str) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=len(CONDITIONS), address=address) as (fleet, feeds):
        for index, condition in enumerate(CONDITIONS):
            set_up(fleet.devices[index], auth="md5")
            await fleet.change(index, condition)
        truth = fleet.states()
        async with patrolling(feeds, recorder, answer_s=0.25) as patrol:
            await recorder.until(lambda: recorder.states() == truth)

            assert {row.id: row.state for row in patrol.rows()} == truth
            assert patrol.states()["offline"] == 2


async def test_a_feed_is_followed_down_and_up_again(tmp_path: Path) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=5) as (fleet, feeds):
        async with patrolling(feeds, recorder):
            await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 5)
            await fleet.change(2, "offline")
            await recorder.until(lambda: recorder.states()["cam-000003"] == "offline")
            assert recorder.latest()["cam-000003"].faults == ("rtsp_refused",)
            await fleet.change(2, "good")
            await recorder.until(lambda: recorder.states()["cam-000003"] == "online")

        others = [
            r.state
            for r in recorder.records
            if isinstance(r, FeedHealth) and r.feed != "cam-000003"
        ]
        assert others == ["online"] * 4


async def test_every_feed_is_listed_once_and_again_when_it_changes(tmp_path: Path) -> None:
    recorder = Recorder()
    async with (
        fleet_and_feeds(tmp_path, count=3) as (_, feeds),
        patrolling(feeds, recorder) as patrol,
    ):

        def listed() -> list[str]:
            return sorted(r.id for r in recorder.records if isinstance(r, Listed))

        await recorder.until(lambda: len(listed()) == 3)
        renamed = {**feeds, "cam-000002": replace(feeds["cam-000002"], name="East gate")}
        changes = patrol.replace(renamed)
        await recorder.until(lambda: len(listed()) == 4)

        assert listed() == ["cam-000001", "cam-000002", "cam-000002", "cam-000003"]
        assert [feed.id for feed in changes.changed] == ["cam-000002"]
        last = [r for r in recorder.records if isinstance(r, Listed)][-1]
        assert (last.kind, last.name, last.area, last.lat) == (
            "feed",
            "East gate",
            "371602",
            35.401,
        )


async def test_a_feed_without_an_area_is_in_its_edge_s(tmp_path: Path) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=1) as (_, feeds):
        ((name, feed),) = feeds.items()
        async with patrolling({name: replace(feed, area="")}, recorder, area="3716"):
            await recorder.until(lambda: any(isinstance(r, Listed) for r in recorder.records))

    (listed,) = [r for r in recorder.records if isinstance(r, Listed)]
    assert listed.area == "3716"


async def test_records_wait_while_the_spool_is_full_and_come_once(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.full = True
    async with fleet_and_feeds(tmp_path, count=6) as (_, feeds), patrolling(feeds, recorder):
        await recorder.until(lambda: recorder.refused >= 2)
        assert recorder.records == []
        recorder.full = False
        await recorder.until(lambda: len(recorder.records) == 12)

    kinds = [type(record).__name__ for record in recorder.records]
    assert (kinds.count("Listed"), kinds.count("FeedHealth")) == (6, 6)


async def test_losing_our_own_network_makes_feeds_unknown_not_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    loop = asyncio.get_running_loop()

    async def unreachable(*_: object, **__: object) -> None:
        raise OSError(errno.EHOSTUNREACH, "no route to host")

    async with fleet_and_feeds(tmp_path, count=6) as (_, listed):
        feeds = {key: replace(feed, onvif_port=None) for key, feed in listed.items()}
        async with patrolling(feeds, recorder):
            await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 6)
            with monkeypatch.context() as patched:
                patched.setattr(loop, "create_connection", unreachable)
                await recorder.until(lambda: list(recorder.states().values()) == ["unknown"] * 6)
                assert recorder.latest()["cam-000001"].faults == ("rtsp_network_down",)
            await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 6)

    states = {r.state for r in recorder.records if isinstance(r, FeedHealth)}
    assert states == {"online", "unknown"}


async def test_a_changed_password_is_tried_at_once(tmp_path: Path) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        device = fleet.devices[0]
        set_up(device, auth="md5", password="changed")
        async with patrolling(feeds, recorder) as patrol:
            await recorder.until(lambda: recorder.states().get("cam-000001") == "auth_failed")
            await recorder.until(
                lambda: recorder.latest()["cam-000001"].faults == ("rtsp_login_stopped",)
            )
            assert device.refused_logins == 2
            feed = feeds["cam-000001"]
            patrol.replace({feed.id: replace(feed, credential=Credential("patrol", "changed"))})
            await recorder.until(lambda: recorder.states()["cam-000001"] == "online")

        assert device.refused_logins == 2


async def test_a_black_picture_degrades_a_feed_that_is_online(tmp_path: Path) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=2) as (fleet, feeds):
        await fleet.change(1, "black")
        async with patrolling(feeds, recorder, onvif_s=0.5):
            await recorder.until(lambda: recorder.states().get("cam-000002") == "degraded")

        assert recorder.latest()["cam-000002"].faults == ("picture_black",)
        assert recorder.states()["cam-000001"] == "online"


async def test_without_opencv_feeds_are_judged_and_the_reason_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.cameras.pictures.grading_available", lambda: False)
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=2) as (fleet, feeds):
        await fleet.change(0, "black")
        await fleet.change(1, "clock_skew")
        with structlog.testing.capture_logs() as logs:
            async with patrolling(feeds, recorder, onvif_s=0.5):
                await recorder.until(lambda: recorder.states().get("cam-000002") == "degraded")

    assert recorder.states()["cam-000001"] == "online"
    assert [entry["event"] for entry in logs].count("picture_grading_skipped") == 1
    assert fleet.devices[0].pictures == 0


async def test_coverage_and_checks_are_measured(tmp_path: Path) -> None:
    recorder = Recorder()
    async with (
        fleet_and_feeds(tmp_path, count=4) as (_, feeds),
        patrolling(feeds, recorder, sweep_s=3.0) as patrol,
    ):
        await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 4)
        assert patrol.coverage() == 1.0
        text = patrol._meter.render().decode()

    assert 'tidegate_feed_checks_total{result="ok"}' in text
    assert "tidegate_feed_coverage" in text


def board(clock: HandClock) -> Board:
    table = Board("bz-edge-01", PatrolSettings())
    address = RtspAddress("rtsp://10.0.0.7/", "10.0.0.7", 554)
    table.put(Feed("c1", "10.0.0.7", address), clock())
    return table


def test_an_hour_without_a_change_is_rolled_up() -> None:
    clock = HandClock()
    table = board(clock)
    entry = table.get("c1")
    assert entry is not None
    first = table.note(entry, StreamCheck("ok", rtt_ms=1.5), clock())
    for _ in range(59):
        assert table.note(entry, StreamCheck("ok", rtt_ms=2.5), clock.advance(60)) is None
        assert list(table.tick(clock())) == []

    (hourly,) = table.tick(clock.advance(60))

    assert first == FeedHealth(
        "bz-edge-01", "c1", 1_800_000_000 * 10**9, "online", checks=1, rtt_ms=1.5
    )
    assert (hourly.state, hourly.hourly, hourly.checks, hourly.failures) == ("online", True, 59, 0)
    assert (hourly.up_s, hourly.rtt_ms) == (3600.0, 2.5)


def test_a_feed_that_is_no_longer_checked_turns_stale_and_counts_no_up_time_after() -> None:
    clock = HandClock()
    table = board(clock)
    entry = table.get("c1")
    assert entry is not None
    table.note(entry, StreamCheck("ok"), clock())

    (stale,) = table.tick(clock.advance(181))
    (hourly,) = table.tick(clock.advance(3600))

    assert (stale.state, stale.faults, stale.rtt_ms) == ("stale", ("not_checked",), None)
    assert (hourly.state, hourly.up_s, hourly.checks) == ("stale", 0.0, 0)
    assert table.coverage(clock()) == 0.0


def test_maintenance_is_reported_instead_of_the_verdict() -> None:
    clock = HandClock()
    table = board(clock)
    entry = table.get("c1")
    assert entry is not None
    entry.maintenance = True

    record = table.note(entry, StreamCheck("refused"), clock())

    assert record is not None
    assert record.state == "maintenance"


@given(
    st.lists(st.tuples(st.sampled_from(sorted(OUTCOME_STATES)), st.integers(1, 4000)), max_size=40)
)
def test_each_check_is_counted_in_exactly_one_record(steps: list) -> None:
    clock = HandClock()
    table = board(clock)
    entry = table.get("c1")
    assert entry is not None
    records = []
    for outcome, seconds in steps:
        records.append(table.note(entry, StreamCheck(outcome), clock()))
        records.extend(table.tick(clock.advance(seconds)))
    made = [record for record in records if record is not None]

    states = [OUTCOME_STATES[outcome] for outcome, _ in steps]
    known = [state for state in states if state != "unknown"]
    assert sum(r.checks for r in made) + entry.checks == len(known)
    assert sum(r.failures for r in made) + entry.failures == len(
        [s for s in known if s != "online"]
    )
    assert sum(r.up_s for r in made) + entry.up_s <= sum(seconds for _, seconds in steps)
