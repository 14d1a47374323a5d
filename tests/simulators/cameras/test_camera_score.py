"""The score of a patrol is what its truth and its verdicts say, computed by hand here."""

from __future__ import annotations

from typing import Any

from simulators.cameras.score import Score, score

NS = 1_000_000_000


def line(second: float, state: str, feed: str = "a") -> dict[str, Any]:
    return {"time": int(second * NS), "feed": feed, "state": state}


def scored(truth: list[dict[str, Any]], *verdicts: tuple[float, str], until: float = 1000) -> Score:
    moments = [(int(second * NS), state) for second, state in verdicts]
    return score(truth, {"a": moments}, int(until * NS))


def test_the_delay_is_from_the_change_to_the_verdict() -> None:
    found = scored(
        [line(0, "online"), line(100, "offline"), line(400, "online")],
        (10, "online"),
        (142.5, "offline"),
        (430, "online"),
    )

    assert found.delays_s == {"offline": [42.5], "online": [30.0]}
    assert (found.missed, found.false_offline, found.offline_verdicts) == ([], [], 1)
    assert found.delay_s(0.95) == 42.5
    assert found.delay_s(0.95, "online") == 30.0
    assert Score().delay_s(0.95) is None


def test_a_camera_that_is_well_and_called_offline_is_wronged() -> None:
    found = scored([line(0, "online")], (10, "online"), (50, "offline"), (60, "online"))

    assert found.false_offline == [("a", 50 * NS)]


def test_a_verdict_may_be_as_old_as_its_checks() -> None:
    truth = [line(0, "offline"), line(100, "online")]

    assert scored(truth, (189, "offline")).false_offline == []
    assert scored(truth, (191, "offline")).false_offline == [("a", 191 * NS)]


def test_a_change_that_never_becomes_a_verdict_is_missed() -> None:
    truth = [line(0, "online"), line(100, "offline"), line(300, "online")]

    assert scored(truth, (10, "online")).missed == [("a", 100 * NS, "offline")]
    late = scored(truth, (10, "online"), (301, "offline"), (350, "online"))
    assert late.missed == [("a", 100 * NS, "offline")]


def test_what_was_soon_undone_or_came_at_the_end_need_not_be_seen() -> None:
    soon = scored([line(0, "online"), line(100, "offline"), line(200, "online")], (10, "online"))
    end = scored([line(0, "online"), line(900, "offline")], (10, "online"))

    assert (soon.missed, soon.changes) == ([], {})
    assert (end.missed, end.changes) == ([], {})


def test_a_clock_or_picture_fault_counts_as_online() -> None:
    found = scored([line(0, "online"), line(100, "degraded")], (10, "degraded"))

    assert (found.changes, found.missed) == ({}, [])


def test_feeds_without_a_verdict_and_locked_accounts_are_counted() -> None:
    truth = [line(0, "online"), line(0, "online", "b"), {"time": 5, "event": "login_locked"}]
    found = scored(truth, (10, "online"))

    assert (found.never_judged, found.locked) == (1, 1)
    assert scored([line(0, "online")], (10, "unknown")).never_judged == 1
