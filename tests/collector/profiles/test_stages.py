"""A roll-out goes on only when every edge of the stage uses the version long enough, and ends by itself when one speaks against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.profiles.stages import Move, Progress, leaves_band, next_stage
from device_profiles.plan import Report

SHA = "a" * 64


def _progress(stage: str, **more) -> Progress:
    given_ = {"since": 100, "shadow_ns": 50, "hold_ns": 10} | more
    return Progress(stage, canary=frozenset({"c"}), rest=frozenset({"x", "y"}), **given_)


def _said(edge: str, kind: str, at: int = 100, **more) -> tuple[int, Report]:
    return at, Report(edge, f"{edge}{kind}{at}", at, kind, "a/b", "1.0.0", SHA, **more)


def test_a_comparison_lasts_its_time_then_the_canary_is_next() -> None:
    assert next_stage(_progress("shadow"), [], 149) is None
    move = next_stage(_progress("shadow"), [_said("x", "shadow", messages=9)], 150)
    assert move == Move("canary", "compared long enough")


def test_the_canary_is_watched_from_when_it_applied_not_from_when_it_was_asked() -> None:
    progress = _progress("canary")
    assert next_stage(progress, [], 10_000) is None
    said = [_said("c", "applied", 500)]
    assert next_stage(progress, said, 509) is None
    assert next_stage(progress, said, 510) == Move("rest", "1 edge(s) decode with it")


def test_it_is_done_when_every_edge_applied_it() -> None:
    progress = _progress("rest")
    said = [_said("c", "applied"), _said("x", "running")]
    assert next_stage(progress, said, 10_000) is None
    done = next_stage(progress, [*said, _said("y", "applied")], 10_000)
    assert done == Move("done", "3 edge(s) decode with it")


@pytest.mark.parametrize(
    ("stage", "ends"), [("shadow", "stopped"), ("canary", "rolled_back"), ("rest", "rolled_back")]
)
def test_an_edge_that_cannot_use_it_ends_it_whatever_others_say(stage: str, ends: str) -> None:
    said = [_said(edge, "applied") for edge in "cxy"] + [_said("x", "failed", detail="bad YAML")]
    move = next_stage(_progress(stage), said, 10_000)
    assert move == Move(ends, "edge x cannot use it: bad YAML")


def test_more_refusals_than_before_end_it_with_the_numbers() -> None:
    bad = _said("c", "running", messages=50, refused=20, messages_before=50, refused_before=1)
    move = next_stage(_progress("canary"), [bad], 100)
    assert move == Move("rolled_back", "edge c refuses 20 of 50 messages, before it 1 of 50")


@pytest.mark.parametrize("stage", ["done", "stopped", "rolled_back"])
def test_what_is_over_stays_over(stage: str) -> None:
    assert next_stage(_progress(stage), [_said("c", "failed")], 10_000) is None


@pytest.mark.parametrize(
    ("counts", "leaves"),
    [
        ((0, 0, 0, 0), False),
        ((1, 1, 100, 0), False),
        ((10, 10, 100, 0), True),
        ((3, 3, 0, 0), True),
        ((100, 2, 100, 0), False),
        ((100, 20, 100, 0), True),
        ((100, 20, 100, 20), False),
        ((1000, 300, 1000, 200), True),
        ((20, 19, 20, 20), False),
    ],
)
def test_the_band_of_refusals(counts: tuple[int, int, int, int], leaves: bool) -> None:
    assert leaves_band(*counts) is leaves


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.data())
def test_no_more_refusals_than_before_never_end_it(messages: int, before: int, data) -> None:
    refused_before = data.draw(st.integers(0, before))
    refused = data.draw(st.integers(0, refused_before * messages // before))
    assert not leaves_band(messages, refused, before, refused_before)
