"""What a device says by itself joins the verdict at once, and leaves it when it is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from edge_agent.cameras.patrol import Patrol
from tests.fakes.cameras import Recorder, patrolling
from tests.fakes.event_camera import DARK, LOSS, SCENE, EventCamera, Traits

QUICK = {"events": True, "event_wait_s": 2.0, "event_gap_s": 0.05, "event_retry_s": 0.2}


@asynccontextmanager
async def listening(
    camera: EventCamera, recorder: Recorder, channels: int = 1, **settings: float
) -> AsyncIterator[Patrol]:
    """A patrol that has made a subscription and asked for messages."""
    feeds = {feed.id: feed for feed in (camera.feed(n) for n in range(1, channels + 1))}
    async with patrolling(feeds, recorder, **{**QUICK, **settings}) as patrol:
        await recorder.until(lambda: set(recorder.states().values()) == {"online"})
        await camera.until(1, "PullMessages")
        yield patrol


async def becomes(recorder: Recorder, feed: str, state: str, *faults: str) -> None:
    def so() -> bool:
        latest = recorder.latest().get(feed)
        return latest is not None and (latest.state, latest.faults) == (state, faults)

    await recorder.until(so)


async def visited(patrol: Patrol, *feeds: str) -> None:
    async with asyncio.timeout(30):
        while any(patrol.detail(each).device is None for each in feeds):  # type: ignore[union-attr]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("topic", "item", "fault"),
    [
        (LOSS, "State", "event_signal_loss"),
        ("tns1:RuleEngine/TamperDetector/Tamper", "IsTamper", "event_tamper"),
        (SCENE, "State", "event_tamper"),
        (DARK, "State", "event_too_dark"),
        ("tns1:VideoSource/ImageTooBright/ImagingService", "State", "event_too_bright"),
        ("tns1:VideoSource/ImageTooBlurry/RecordingService", "State", "event_blurred"),
    ],
)
async def test_a_property_degrades_the_feed_until_it_is_taken_back(
    topic: str, item: str, fault: str
) -> None:
    recorder = Recorder()
    async with EventCamera() as camera, listening(camera, recorder):
        camera.tell(topic, on=True, item=item)
        await becomes(recorder, "gate-1", "degraded", fault)
        camera.tell(topic, on=False, item=item)
        await becomes(recorder, "gate-1", "online")
        camera.tell(topic, on=True, item=item)
        await becomes(recorder, "gate-1", "degraded", fault)
        camera.delete(topic)
        await becomes(recorder, "gate-1", "online")


async def test_what_was_so_before_we_listened_is_known_too() -> None:
    recorder = Recorder()
    async with EventCamera() as camera:
        camera.tell(LOSS, on=True)
        async with patrolling({"gate-1": camera.feed()}, recorder, **QUICK) as patrol:
            await becomes(recorder, "gate-1", "degraded", "event_signal_loss")
            detail = patrol.detail("gate-1")

    assert detail is not None
    assert detail.event_faults == ("event_signal_loss",)


async def test_events_are_not_asked_for_unless_configured() -> None:
    recorder = Recorder()
    async with EventCamera() as camera:
        async with patrolling({"gate-1": camera.feed()}, recorder) as patrol:
            await camera.until(1, "GetStreamUri")
            await visited(patrol, "gate-1")

        assert "CreatePullPointSubscription" not in camera.asked


async def test_each_channel_of_a_recorder_hears_only_what_is_about_itself() -> None:
    recorder = Recorder()
    async with EventCamera(Traits(channels=3)) as camera:
        async with listening(camera, recorder, channels=3):
            camera.tell(LOSS, "vs1", on=True)
            await becomes(recorder, "gate-1", "degraded", "event_signal_loss")
            camera.tell(LOSS, "vs9", on=True)
            camera.tell(DARK, "vs3", on=True)
            await becomes(recorder, "gate-3", "degraded", "event_too_dark")
            camera.tell(LOSS, "vs1", on=False)
            await becomes(recorder, "gate-1", "online")

        assert camera.most_pulling == 1
    told = {
        each.feed
        for each in recorder.records
        if getattr(each, "faults", ()) == ("event_signal_loss",)
    }
    assert told == {"gate-1"}


async def test_a_reboot_loses_the_subscription_and_with_it_what_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_agent.cameras.standing.SYNC_S", 0.3)
    recorder = Recorder()
    async with EventCamera() as camera, listening(camera, recorder):
        camera.tell(LOSS, on=True)
        await becomes(recorder, "gate-1", "degraded", "event_signal_loss")
        camera.reboot()
        await camera.until(2, "CreatePullPointSubscription")
        await becomes(recorder, "gate-1", "online")
        camera.tell(DARK, on=True)
        await becomes(recorder, "gate-1", "degraded", "event_too_dark")


async def test_a_device_that_is_never_heard_again_keeps_no_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_agent.cameras.standing.LOST_S", 0.3)
    recorder = Recorder()
    async with EventCamera() as camera, listening(camera, recorder):
        camera.tell(LOSS, on=True)
        await becomes(recorder, "gate-1", "degraded", "event_signal_loss")
        camera.traits.refuses = True
        camera.reboot()
        await becomes(recorder, "gate-1", "online")


async def test_what_is_told_in_passing_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.cameras.standing.MOMENT_S", 0.3)
    recorder = Recorder()
    async with EventCamera() as camera, listening(camera, recorder):
        camera.mention("tns1:VideoSource/tnsaxis:Tampering", "1", "1", "tampering")
        await becomes(recorder, "gate-1", "degraded", "event_tamper")
        await becomes(recorder, "gate-1", "online")


@pytest.mark.parametrize(
    "traits",
    [
        Traits(lives_s=2.0),
        Traits(lives_s=2.0, renews=False),
        Traits(term="absolute"),
        Traits(term="none"),
        Traits(chokes=True),
        Traits(wants_parameters=True),
        Traits(closes=True),
        Traits(initialises=False),
        Traits(most=1),
    ],
    ids=repr,
)
async def test_an_odd_event_service_is_listened_to_all_the_same(traits: Traits) -> None:
    recorder = Recorder()
    async with EventCamera(traits) as camera:
        async with listening(camera, recorder, event_wait_s=1.0):
            await camera.until(4, "PullMessages")
            if not traits.renews:
                await camera.until(2, "CreatePullPointSubscription")
            elif traits.lives_s < 10:
                await camera.until(2, "Renew")
            camera.tell(LOSS, on=True)
            await becomes(recorder, "gate-1", "degraded", "event_signal_loss")

            assert camera.subscriptions <= 1
        assert camera.subscriptions == 0  # given back at the end


async def test_a_device_without_pull_points_is_left_alone_after_a_few_refusals() -> None:
    recorder = Recorder()
    async with EventCamera(Traits(refuses=True)) as camera:
        async with patrolling({"gate-1": camera.feed()}, recorder, **QUICK, onvif_s=1e6) as patrol:
            await camera.until(9, "CreatePullPointSubscription")  # three forms, three times
            await asyncio.sleep(1.0)
            rows = list(patrol.rows())

        assert camera.asked.count("CreatePullPointSubscription") == 9
    assert [row.state for row in rows] == ["online"]


async def test_no_more_devices_are_listened_to_than_there_is_room_for() -> None:
    recorder = Recorder()
    first, second = EventCamera(), EventCamera(host="127.0.0.2")
    async with first, second:
        feeds = {
            name: replace(camera.feed(), id=name)
            for name, camera in (("one", first), ("two", second))
        }
        async with patrolling(feeds, recorder, **QUICK, event_listeners=1) as patrol:
            await recorder.until(lambda: set(recorder.states().values()) == {"online"})
            await visited(patrol, *feeds)
            listened = first if first.subscriptions else second
            await listened.until(2, "PullMessages")

    assert sorted([first.most_pulling, second.most_pulling]) == [0, 1]
