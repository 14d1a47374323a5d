"""A vector passes when its message means what it says: not how the program happens to write it."""

from __future__ import annotations

from device_profiles.examples import run_tests
from tests.fakes.profile_text import PROFILE, room

FIRST = "expect: {device: s1-n1, points: [{time: 1700000000, temperature: 21.5}]}"
HISTORY = PROFILE.replace(
    "decode: [{json: {}}]", "decode: [{json: {}}]\neach: {from: old, time: at}"
)
STORED = "payload: {temperature: 21.5, old: [{at: 1699999900, temperature: 20}]}"
LINE = "env,device=s1-n1,edge=edge1,profile=acme/room,site=s1 temperature={} 1700000000000000000"


def outcome(expect: str, received: str = "payload: {temperature: 21.5}") -> tuple[str, ...]:
    """Return the failures of one vector of a profile with history records."""
    text = HISTORY.replace(FIRST, f"expect: {expect}").replace(
        "payload: {temperature: 21.5}", received
    )
    return run_tests(room(PROFILE, text))[0].failures


def test_points_may_be_listed_in_any_order() -> None:
    now, then = "{time: 1700000000, temperature: 21.5}", "{time: 1699999900, temperature: 20}"
    assert outcome(f"{{points: [{now}, {then}]}}", STORED) == ()
    assert outcome(f"{{points: [{then}, {now}]}}", STORED) == ()
    assert outcome("{points: [{temperature: 20}, {temperature: 21.5}]}", STORED) == ()


def test_a_point_listed_twice_is_not_found_twice() -> None:
    twice = "{points: [{temperature: 20}, {temperature: 20}]}"
    assert outcome(twice, STORED) == ("point 2: temperature: expected 20, found 21.5",)


def test_a_whole_float_is_the_same_line_with_and_without_its_zero() -> None:
    for written in ("20", "20.0"):
        line = f"{{line: '{LINE.format(written)}'}}"
        assert outcome(line, "payload: {temperature: 20}") == ()
    assert outcome(f"{{line: '{LINE.format('20i')}'}}", "payload: {temperature: 20}") != ()


def test_every_outcome_says_where_its_vector_stands() -> None:
    lines = [found.line for found in run_tests(room())]
    assert lines == [
        PROFILE.splitlines().index(f"  - name: {n}") + 1
        for n in ("good", "out of range", "not JSON")
    ]
