"""Promise: a comparison names every way in which two versions differ, counted, and no other."""

from __future__ import annotations

import pytest

from device_profiles.profile import load_profile
from edge_agent.raw.block import RawMessage
from edge_agent.versions.compare import MOST_EXAMPLES, Comparison, Summary
from tests.fakes.edge import ENV, NOW, arrival

GOOD = '{"temperature": 21.5, "humidity": 40, "count": 7}'


def compared(new: str, *messages: RawMessage, old: str | None = ENV) -> Summary:
    made = Comparison(load_profile(old) if old else None, load_profile(new))
    for message in messages:
        made.take(message)
    return made.summary()


def said(payload: str, n: int = 0, profile: str = "test/env", topic: str = "tg/d1/up"):
    return RawMessage(arrival(topic, payload, NOW + n), NOW + n, profile)


def found(summary: Summary) -> list[tuple[str, str, int]]:
    return [(each.change, each.subject, each.count) for each in summary.differences]


def test_the_same_version_differs_in_nothing() -> None:
    summary = compared(ENV, said(GOOD), said("{", 1), said('{"temperature": 70}', 2))
    assert (summary.messages, summary.refused, summary.refused_before) == (3, 1, 1)
    assert (summary.differing, summary.differences) == (0, [])
    assert (summary.since, summary.until) == (NOW, NOW + 2)


@pytest.mark.parametrize(
    ("was", "is_now", "payload", "difference"),
    [
        ("count: {type: int", "count: {type: float", GOOD, ("changed", "count", 1)),
        ("temperature: {type: float", "temperature: {scale: 0.1, type: float", GOOD, ("changed", "temperature", 1)),
        ("range: [0, 100]}\n  battery", "range: [0, 30]}\n  battery", GOOD, ("lost", "humidity", 1)),
        ("temperature > 60.0, clear: temperature < 55.0", "temperature > 20.0, clear: temperature < 15.0", GOOD, ("alarms", "+hot", 1)),
        ('pattern: "[^/]{1,64}"', 'pattern: "x[^/]{1,64}"', GOOD, ("refused", "bad_device_id", 1)),
        ("measurement: env", "measurement: air", GOOD, ("changed", "store.measurement", 1)),
    ],
)  # fmt: skip
def test_each_change_is_named(was: str, is_now: str, payload: str, difference) -> None:
    assert was in ENV
    text = ENV.replace(was, is_now, 1)
    summary = compared(text, said(payload))
    assert difference in found(summary)
    assert summary.differing == 1


def test_a_field_that_is_called_otherwise_is_lost_and_added() -> None:
    both = '{"humidity": 40, "moisture": 41}'
    summary = compared(ENV.replace("humidity", "moisture"), said(both))
    assert found(summary) == [("lost", "humidity", 1), ("added", "moisture", 1)]


def test_a_flag_that_is_new_is_named() -> None:
    text = ENV.replace("range: [0, 100]}\n  battery", "range: [0, 30]}\n  battery", 1)
    assert ("flags", "humidity:range", 1) in found(compared(text, said(GOOD)))


def test_what_only_the_new_version_reads_is_news() -> None:
    text = ENV.replace(
        "  - {via: coap", '  - {via: mqtt, topic: "th/{id}", payload: json}\n  - {via: coap'
    )
    refused = RawMessage(arrival("th/d1", GOOD), NOW, "", "no_match")
    summary = compared(text, refused)
    assert found(summary) == [("read", "no_match", 1)]
    assert (summary.messages, summary.refused, summary.refused_before) == (1, 0, 1)


def test_with_no_version_in_use_everything_that_is_read_is_news() -> None:
    assert found(compared(ENV, said(GOOD), old=None)) == [("read", "no_match", 1)]


def test_messages_of_other_profiles_and_other_topics_are_none_of_its_business() -> None:
    summary = compared(
        ENV, said(GOOD, profile="acme/x"), said(GOOD, topic="else/where", profile="")
    )
    assert summary.messages == 0


def test_floats_that_differ_by_rounding_do_not_differ() -> None:
    text = ENV.replace(
        "temperature: {type: float", "temperature: {scale: 1.0000000000001, type: float"
    )
    assert found(compared(text, said(GOOD))) == []


def test_examples_are_few_and_show_both_sides() -> None:
    text = ENV.replace("temperature: {type: float", "temperature: {scale: 2, type: float")
    summary = compared(text, *(said('{"temperature": 10}', n) for n in range(50)))
    (seen,) = summary.differences
    assert seen.count == 50
    assert len(seen.examples) == MOST_EXAMPLES
    first = seen.examples[0]
    assert (first.device, first.before, first.after) == ("d1", "10.0", "20.0")
    assert (first.address, first.payload) == ("tg/d1/up", '{"temperature": 10}')
