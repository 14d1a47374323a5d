"""Notifications are read as makers write them; what stands, stands for a while and is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.evidence import EventCheck, StreamCheck
from edge_agent.cameras.judge import Memory, judge
from edge_agent.cameras.notifications import MAX_NOTIFICATIONS, Notification, read_notifications
from edge_agent.cameras.parse import read_document
from edge_agent.cameras.pullpoint import (
    LIFETIME_S,
    create,
    pull,
    read_lifetime,
    read_subscription,
    renew,
)
from edge_agent.cameras.standing import LOST_S, MAX_STANDING, MOMENT_S, SYNC_S, Standing
from edge_agent.cameras.verdict import Finding
from gateway_core.clock import NS

HIKVISION = b"""<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body>
<tev:PullMessagesResponse><wsnt:NotificationMessage>
<wsnt:Topic Dialect="http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet">
 tns1:RuleEngine/TamperDetector/Tamper</wsnt:Topic><wsnt:Message>
<tt:Message UtcTime="2026-11-23T10:00:00Z" PropertyOperation="Changed"><tt:Source>
<tt:SimpleItem Name="VideoSourceConfigurationToken" Value="VideoSourceToken"/>
<tt:SimpleItem Name="Rule" Value="MyTamperDetectorRule"/></tt:Source><tt:Data>
<tt:SimpleItem Name="IsTamper" Value="true"/></tt:Data></tt:Message></wsnt:Message>
</wsnt:NotificationMessage></tev:PullMessagesResponse></env:Body></env:Envelope>"""
AXIS = b"""<Envelope><NotificationMessage><Topic>tns1:VideoSource/tnsaxis:Tampering</Topic><Message>
<Message UtcTime="x"><Source><SimpleItem Name="channel" Value="1"/></Source><Key/><Data>
<SimpleItem Name="tampering" Value="1"/></Data></Message></Message></NotificationMessage></Envelope>"""
FLAT = b"""<Envelope><NotificationMessage><Topic>tns1:VideoSource/SignalLoss/.</Topic>
<Message PropertyOperation="Initialized"><Source><SimpleItem Name="Source" Value="000"/></Source>
<Data><SimpleItem Name="State" Value="FALSE"/></Data></Message></NotificationMessage></Envelope>"""


def told(data: bytes) -> tuple[Notification, ...]:
    return read_notifications(read_document(data))


def test_hikvisions_axis_and_flat_messages_are_read() -> None:
    (hikvision,), (axis,), (flat,) = told(HIKVISION), told(AXIS), told(FLAT)

    assert (hikvision.fault, hikvision.change, hikvision.on) == ("event_tamper", "Changed", True)
    assert hikvision.source == {"VideoSourceToken", "MyTamperDetectorRule"}
    assert (axis.fault, axis.change, axis.on) == ("event_tamper", "", True)
    assert (flat.fault, flat.change, flat.on) == ("event_signal_loss", "Initialized", False)


@pytest.mark.parametrize(
    ("values", "on"),
    [
        ((("state", "true"),), True),
        ((("state", "1"),), True),
        ((("state", " Off "),), False),
        ((("level", "80"), ("state", "false")), False),
        ((("level", "80"),), False),
        ((("state", "maybe"),), False),
        ((), True),
    ],
)
def test_a_value_is_a_yes_a_no_or_neither(values: tuple[tuple[str, str], ...], on: bool) -> None:
    assert Notification(("videosource", "signalloss"), "Changed", frozenset(), values).on is on


def test_motion_is_no_fault() -> None:
    assert Notification(("ruleengine", "cellmotiondetector", "motion")).fault is None
    assert Notification(("videosource",)).fault is None


def test_no_more_is_read_of_one_answer_than_was_asked_for() -> None:
    one = b"<NotificationMessage><Topic>a/b</Topic><Message/></NotificationMessage>"

    assert len(told(b"<Envelope>" + one * 1000 + b"</Envelope>")) == MAX_NOTIFICATIONS


def loss(*, on: bool, source: str = "vs1", change: str = "Changed") -> Notification:
    values = (("state", "true" if on else "false"),)
    return Notification(("videosource", "signalloss"), change, frozenset({source}), values)  # type: ignore[arg-type]


def test_a_property_stands_until_it_is_taken_back() -> None:
    standing = Standing()
    standing.note([loss(on=True)], 0)
    standing.expire(10**9)
    assert standing.faults({"vs1"}, alone=False) == ("event_signal_loss",)
    assert standing.faults({"vs2"}, alone=False) == ()
    assert standing.faults((), alone=True) == ("event_signal_loss",)

    standing.note([loss(on=False)], 10**9)
    assert standing.faults({"vs1"}, alone=False) == ()


def test_what_is_not_repeated_ends() -> None:
    standing = Standing()
    standing.note([loss(on=True), loss(on=True, source="vs2")], 0)
    standing.subscribed(100)
    standing.note([loss(on=True, change="Initialized")], 101)
    standing.expire(100 + SYNC_S)
    assert standing.faults({"vs1"}, alone=False) == ("event_signal_loss",)
    assert standing.faults({"vs2"}, alone=False) == ()

    standing.lost(200)
    standing.lost(250)  # a second loss gives no second chance
    standing.expire(200 + LOST_S)
    assert standing.faults((), alone=True) == ()


def test_a_passing_word_ends_after_a_moment() -> None:
    standing = Standing()
    standing.note([loss(on=True, change="")], 0)
    assert standing.next_end() == MOMENT_S
    standing.expire(MOMENT_S)
    assert standing.faults((), alone=True) == ()


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=500))
def test_whatever_a_device_tells_is_bounded(events: list[tuple[int, bool]]) -> None:
    standing = Standing()
    standing.note([loss(on=on, source=str(number)) for number, on in events], 0)
    last = dict(events)
    count = sum(bool(standing.faults({str(number)}, alone=False)) for number in last)

    assert count <= MAX_STANDING
    assert all(not standing.faults({str(n)}, alone=False) for n, on in last.items() if not on)


def test_events_count_at_once_end_by_themselves_and_say_nothing_of_a_dead_stream() -> None:
    memory = judge(Memory(), StreamCheck("ok"), NS)
    memory = judge(memory, EventCheck(("event_tamper",), until=100 * NS), 2 * NS)
    assert memory.verdict == Finding("degraded", ("event_tamper",))

    dead = judge(judge(memory, StreamCheck("timeout"), 3 * NS), StreamCheck("timeout"), 4 * NS)
    assert dead.verdict == Finding("offline", ("rtsp_timeout",))

    assert judge(memory, EventCheck((), until=100 * NS), 3 * NS).verdict == Finding("online")
    assert judge(memory, StreamCheck("ok"), 101 * NS).verdict == Finding("online")


SUBSCRIBED = b"""<Envelope><SubscriptionReference><Address>http://192.168.1.64:80/onvif/sub?Idx=7
</Address><ReferenceParameters><d:Id xmlns:d="http://www.axis.com/2009/event">1 &lt; 2</d:Id>
<x:y/></ReferenceParameters></SubscriptionReference><CurrentTime>2026-11-23T10:00:00Z</CurrentTime>
<TerminationTime>2026-11-23T10:02:00.5+00:00</TerminationTime></Envelope>"""


def test_a_subscription_is_asked_at_its_path_with_what_the_device_wants_back() -> None:
    subscription = read_subscription(read_document(SUBSCRIBED))
    asked = pull(subscription, 30)

    assert subscription.lives_s == pytest.approx(120.5)
    assert (asked.path, asked.waits_s) == ("/onvif/sub?Idx=7", 30)
    assert asked.arguments == "<Timeout>PT30S</Timeout><MessageLimit>64</MessageLimit>"
    assert '<p:Id xmlns:p="http://www.axis.com/2009/event"' in asked.header
    assert ">1 &lt; 2</p:Id>" in asked.header
    assert ">http://192.168.1.64:80/onvif/sub?Idx=7</a:To>" in asked.header
    assert "/PullPointSubscription/PullMessagesRequest</a:Action>" in asked.header
    assert "a:To" not in pull(subscription.plain(), 30).header


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00Z", "2026-11-23T09:00:00Z"),
        ("2026-11-23T10:00:00Z", "2096-11-23T10:00:00Z"),
        ("2026-11-23T10:00:00Z", "0000-00-00T00:00:00Z"),
        ("", ""),
    ],
)
def test_a_lifetime_that_cannot_be_is_not_believed(now: str, ends: str) -> None:
    text = f"<Envelope><CurrentTime>{now}</CurrentTime><TerminationTime>{ends}</TerminationTime></Envelope>"

    assert read_lifetime(read_document(text.encode())) == LIFETIME_S


def test_the_end_is_asked_for_in_three_forms() -> None:
    at = 1_795_428_000 * NS
    subscription = read_subscription(read_document(SUBSCRIBED))

    assert create("relative", at).arguments.endswith(">PT300S</InitialTerminationTime>")
    assert create("absolute", at).arguments == (
        "<InitialTerminationTime>2026-11-23T10:05:00Z</InitialTerminationTime>"
    )
    assert create("none", at).arguments == ""
    assert renew(subscription, "relative", at).body.startswith(
        '<Renew xmlns="http://docs.oasis-open.org/wsn/b-2"><TerminationTime'
    )
