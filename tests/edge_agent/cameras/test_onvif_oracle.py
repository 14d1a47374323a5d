"""onvif-zeep-async, which knows nothing of our codec, reads the same from the same device."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from onvif import ONVIFCamera

from edge_agent.cameras.inspect import inspect_device
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.notifications import read_notifications
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.pullpoint import create, pull, read_subscription, unsubscribe
from edge_agent.cameras.survey import survey
from tests.fakes.cameras import fleet_and_feeds, set_up
from tests.fakes.event_camera import DARK, LOSS, EventCamera
from tests.fakes.hostile import PATIENT, onvif_client


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("login", ["none", "token"])
@pytest.mark.parametrize("codec", ["H264", "H265"])
@pytest.mark.parametrize("condition", ["", "clock_skew", "odd_xml"])
async def test_both_read_the_same_device(
    tmp_path: Path, channels: int, login: str, codec: str, condition: str
) -> None:
    options = {"count": channels, "channels": channels}
    async with fleet_and_feeds(tmp_path, **options) as (fleet, feeds):
        changes = {"condition": condition, "quirk": "foreign_address"} if condition else {}
        set_up(fleet.devices[0], soap_auth=login, codec=codec, media2=False, **changes)
        first, known = next(iter(feeds.values())), Device()
        theirs = await inspect_device(first.host, first.onvif_port or 0, first.credential)
        async with onvif_client(Logins(), PATIENT) as client:
            ours = [await survey(client, feed, known, 1e6) for feed in feeds.values()]

    assert {check.identity for check in ours} == {
        f"{theirs.manufacturer} {theirs.model} {theirs.firmware} {theirs.serial}"
    }
    assert theirs.skew_s == pytest.approx(ours[0].skew_s, abs=5)

    assert [(each.token, each.name, each.codec, each.size) for each in known.profiles] == [
        (each.token, each.name, each.codec, each.size) for each in theirs.profiles
    ]
    assert [known.streams[each.token] for each in theirs.profiles] == [
        path_of(each.stream_url) for each in theirs.profiles
    ]
    assert [path_of(check.snapshot_url) for check in ours] == [
        path_of(each.snapshot_url) for each in theirs.profiles
    ]
    # The device may name any host; ours is the registered one.
    assert {urlsplit(check.snapshot_url).hostname for check in ours} == {first.host}


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def test_both_hear_the_same_events() -> None:
    async with EventCamera() as camera:
        camera.tell(LOSS, on=True)
        camera.tell(DARK, on=False)
        feed, known = camera.feed(), Device()
        async with onvif_client(Logins(), PATIENT) as client:
            await survey(client, feed, known, 1e6)
            made = read_subscription(await client.call(feed, known, create("relative", 0)))
            heard = read_notifications(await client.call(feed, known, pull(made, 5.0)))
            await client.call(feed, known, unsubscribe(made))
        theirs = await heard_by_zeep(camera)

    assert sorted(("/".join(each.topic), each.change, each.on) for each in heard) == sorted(theirs)
    assert len(theirs) == 2


async def heard_by_zeep(camera: EventCamera) -> list[tuple[str, str, bool]]:
    """What their pull point hears: topic without prefix, change, state."""
    client = ONVIFCamera(camera.host, camera.port, "", "", nat_override=True)
    try:
        await client.update_xaddrs()
        manager = await client.create_pullpoint_manager(timedelta(seconds=60), lambda: None)
        async with asyncio.timeout(30):
            answer = await manager.get_service().PullMessages(
                {"Timeout": timedelta(seconds=5), "MessageLimit": 10}
            )
        await manager.shutdown()
        return [
            (
                each.Topic._value_1.removeprefix("tns1:").lower(),
                each.Message._value_1.PropertyOperation,
                each.Message._value_1.Data.SimpleItem[0].Value == "true",
            )
            for each in answer.NotificationMessage
        ]
    finally:
        await client.close()


async def test_a_device_without_a_login_is_looked_at_without_one(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], soap_auth="none", media2=False)
        (feed,) = feeds.values()
        found = await inspect_device(feed.host, feed.onvif_port or 0)

    assert (found.model, len(found.profiles)) == (f"{fleet.devices[0].maker[1]} & more", 1)
