"""What people are told of a feed: one row of a list, or everything that explains its verdict."""

from __future__ import annotations

from typing import Literal

import msgspec

from edge_agent.cameras.board import Entry, Look
from edge_agent.cameras.evidence import DeviceCheck
from edge_agent.cameras.grading import Fault, Grade, Verdict
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.judge import Seen
from edge_agent.cameras.logins import Permit
from edge_agent.cameras.stream_sample import StreamSample
from gateway_core.model import FeedState


class FeedStatus(msgspec.Struct, frozen=True):
    """One row. Times are nanoseconds since 1970.

    Attributes:
        since: Since when it is so; None before the first verdict.
        checked: When its last stream check ended; None for never.
        rtt_ms: Of the last answered check since the last record.
    """

    id: str
    name: str
    group: str
    area: str
    state: FeedState
    faults: tuple[str, ...]
    since: int | None
    checked: int | None
    rtt_ms: float | None


class PictureGrade(msgspec.Struct, frozen=True):
    """How the last picture stands in one respect, and why; as `grading.Grade`."""

    fault: Fault
    verdict: Verdict
    value: float
    limit: float
    usual: float | None


class FeedDetail(msgspec.Struct, frozen=True):
    """Why a feed has its verdict.

    Attributes:
        verdict: What would be reported if nobody was at work there.
        verdict_faults: Its reasons.
        parent: The lost switch, recorder or subnet that it depends on; empty while none is.
        login: Whether its login may be tried; ``none`` when it has none, ``unreadable`` when its
            sealed password cannot be opened.
        login_trouble: Why it cannot.
        next_check_s: Seconds until its next stream check; None when it is not in the timetable.
        looks: The last stream checks, oldest first.
        device: What ONVIF said last; None before the first time.
        device_faults: Faults of the last three ONVIF checks, oldest first.
        picture_faults: Faults of the last three pictures graded, oldest first.
        graded: When the last of them was graded; None before the first.
        grades: Of the last of them, the worst fault first.
        stream_faults: Faults of the last three samples of its packets, oldest first.
        sampled: When the last one was taken; None before the first.
        sample: What was heard then; None when the stream was not to be had.
        sample_trouble: Why it was not.
        event_faults: What the device says of itself, where its events are listened to.
    """

    feed: FeedStatus
    url: str
    onvif_port: int | None
    maintenance: bool
    verdict: FeedState
    verdict_faults: tuple[str, ...]
    parent: str
    login: Permit | Literal["none", "unreadable"]
    login_trouble: str
    next_check_s: float | None
    looks: tuple[Look, ...]
    device: DeviceCheck | None
    device_faults: tuple[Seen, ...]
    picture_faults: tuple[Seen, ...]
    graded: int | None
    grades: tuple[PictureGrade, ...]
    stream_faults: tuple[Seen, ...]
    sampled: int | None
    sample: StreamSample | None
    sample_trouble: str
    event_faults: tuple[str, ...]


def status_of(entry: Entry) -> FeedStatus:
    """Return the row of a feed."""
    feed = entry.feed
    return FeedStatus(
        id=feed.id,
        name=feed.name,
        group=feed.group,
        area=feed.area,
        state=entry.reported.state,
        faults=entry.reported.faults,
        since=entry.changed_at or None,
        checked=entry.memory.checked or None,
        rtt_ms=entry.rtt_ms,
    )


def detail_of(
    entry: Entry, *, parent: str, login: Permit, next_check_s: float | None
) -> FeedDetail:
    """Return all that is known of a feed.

    Args:
        entry: Of the feed.
        parent: The label of its lost parent, or nothing.
        login: Whether its login may be tried.
        next_check_s: Seconds until its next stream check.
    """
    feed, memory = entry.feed, entry.memory
    return FeedDetail(
        feed=status_of(entry),
        url=feed.rtsp.url,
        onvif_port=feed.onvif_port,
        maintenance=entry.maintenance,
        verdict=memory.verdict.state,
        verdict_faults=memory.verdict.faults,
        parent=parent,
        login=_login(entry.feed, login),
        login_trouble=feed.login_trouble,
        next_check_s=next_check_s,
        looks=entry.looks,
        device=entry.device,
        device_faults=memory.devices,
        picture_faults=memory.pictures,
        graded=entry.graded.time if entry.graded is not None else None,
        grades=tuple(map(_grade, entry.graded.grades())) if entry.graded is not None else (),
        stream_faults=memory.samples,
        sampled=entry.sampled.time if entry.sampled is not None else None,
        sample=entry.sampled.check.sample if entry.sampled is not None else None,
        sample_trouble=entry.sampled.check.trouble if entry.sampled is not None else "",
        event_faults=memory.events.faults,
    )


def _grade(grade: Grade) -> PictureGrade:
    usual = round(grade.usual, 3) if grade.usual is not None else None
    value, limit = round(grade.value, 3), round(grade.limit, 3)
    return PictureGrade(grade.fault, grade.verdict, value, limit, usual)


def _login(feed: Feed, permit: Permit) -> Permit | Literal["none", "unreadable"]:
    if feed.login_trouble:
        return "unreadable"
    return permit if feed.credential is not None else "none"
