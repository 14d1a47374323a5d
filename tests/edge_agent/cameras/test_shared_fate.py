"""When a switch or a recorder goes, the patrol sends one alarm, and no feed behind it is offline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edge_agent.cameras.inventory import Feed
from gateway_core.model import Alarm, FeedHealth
from tests.fakes.cameras import Recorder, fleet_and_feeds, patrolling


def alarms(recorder: Recorder) -> list[tuple[str, str, str]]:
    found = [each for each in recorder.records if isinstance(each, Alarm)]
    return [(each.rule, each.device, each.state) for each in found]


def states_seen(recorder: Recorder) -> set[str]:
    return {each.state for each in recorder.records if isinstance(each, FeedHealth)}


def behind_switch(feeds: Mapping[str, Feed]) -> dict[str, Feed]:
    return {key: replace(feed, group="east switch", onvif_port=None) for key, feed in feeds.items()}


async def test_a_recorder_that_falls_silent_is_one_alarm_and_its_channels_are_unknown(
    tmp_path: Path,
) -> None:
    recorder = Recorder()
    async with fleet_and_feeds(tmp_path, count=32, channels=32) as (fleet, listed):
        feeds = {key: replace(feed, onvif_port=None) for key, feed in listed.items()}
        async with patrolling(feeds, recorder, sweep_s=3.0, answer_s=0.25):
            await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 32)
            await fleet.change(0, "silent")
            await recorder.until(lambda: list(recorder.states().values()) == ["unknown"] * 32)
            await recorder.until(lambda: len(alarms(recorder)) == 1)
            assert recorder.latest()["cam-000007"].faults == ("rtsp_parent_lost",)
            await fleet.change(0, "good")
            await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 32)
            await recorder.until(lambda: len(alarms(recorder)) == 2)

        place = f"nvr:{feeds['cam-000001'].place}"
    assert alarms(recorder) == [
        ("camera_parent_lost", place, "raised"),
        ("camera_parent_lost", place, "cleared"),
    ]
    assert states_seen(recorder) == {"online", "unknown"}


async def test_a_switch_that_fails_is_one_alarm_and_its_cameras_are_unknown(
    tmp_path: Path,
) -> None:
    recorder = Recorder()
    async with (
        fleet_and_feeds(tmp_path, count=8) as (fleet, listed),
        patrolling(behind_switch(listed), recorder, sweep_s=2.0),
    ):
        await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 8)
        for index in range(8):
            await fleet.change(index, "offline")
        await recorder.until(lambda: list(recorder.states().values()) == ["unknown"] * 8)
        await recorder.until(lambda: len(alarms(recorder)) == 1)
        for index in range(8):
            await fleet.change(index, "good")
        await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 8)
        await recorder.until(lambda: len(alarms(recorder)) == 2)

    assert alarms(recorder) == [
        ("camera_parent_lost", "group:east switch", "raised"),
        ("camera_parent_lost", "group:east switch", "cleared"),
    ]
    assert states_seen(recorder) == {"online", "unknown"}


async def test_one_camera_of_a_healthy_group_is_offline_by_its_own_fault(tmp_path: Path) -> None:
    recorder = Recorder()
    async with (
        fleet_and_feeds(tmp_path, count=6) as (fleet, listed),
        patrolling(behind_switch(listed), recorder, sweep_s=2.0),
    ):
        await recorder.until(lambda: list(recorder.states().values()) == ["online"] * 6)
        await fleet.change(3, "offline")
        await recorder.until(lambda: recorder.states()["cam-000004"] == "offline")

    assert recorder.latest()["cam-000004"].faults == ("rtsp_refused",)
    assert alarms(recorder) == []


async def test_a_switch_that_was_lost_before_a_restart_is_not_told_twice(tmp_path: Path) -> None:
    before, after = Recorder(), Recorder()
    async with fleet_and_feeds(tmp_path, count=5) as (fleet, listed):
        feeds = behind_switch(listed)
        for index in range(5):
            await fleet.change(index, "offline")
        async with patrolling(feeds, before):
            await before.until(lambda: len(alarms(before)) == 1)
        async with patrolling(feeds, after, recalled=before.state):
            await after.until(lambda: list(after.states().values()) == ["unknown"] * 5)
            for index in range(5):
                await fleet.change(index, "good")
            await after.until(lambda: list(after.states().values()) == ["online"] * 5)
            await after.until(lambda: len(alarms(after)) == 1)

    assert alarms(before) == [("camera_parent_lost", "group:east switch", "raised")]
    assert alarms(after) == [("camera_parent_lost", "group:east switch", "cleared")]
    assert states_seen(after) == {"unknown", "online"}
