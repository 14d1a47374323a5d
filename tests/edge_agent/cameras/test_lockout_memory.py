"""A program that starts again and again locks no account that it could not lock while it ran."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.instant import Now
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.lockouts import PREFIX
from edge_agent.cameras.logins import Logins
from gateway_core.clock import NS
from tests.fakes.cameras import Recorder, fleet_and_feeds, patrolling, set_up

START = 1_800_000_000 * NS


def feed(feed_id: str = "c1", password: str = "p", user: str = "u") -> Feed:
    address = RtspAddress("rtsp://10.0.0.7/1", "10.0.0.7", 554)
    return Feed(feed_id, "10.0.0.7", address, credential=Credential(user, password))


def at(second: float, boot: float = 0.0) -> Now:
    """An instant; ``boot`` is when the monotonic clock began."""
    return Now(START + int(second * NS), second - boot)


def kept(logins: Logins, state: dict[str, bytes], now: Now) -> dict[str, bytes]:
    for key, value in logins.changes(now):
        state.pop(key, None)
        if value is not None:
            state[key] = value
    return state


def restarted(state: dict[str, bytes], feeds: list[Feed], now: Now) -> Logins:
    logins = Logins()
    logins.recall(state, feeds, now)
    kept(logins, state, now)
    return logins


def test_one_refusal_before_and_one_after_a_restart_stop_the_login() -> None:
    logins, state = Logins(), {}
    logins.refuse(feed(), 0.0)
    kept(logins, state, at(0))
    again = restarted(state, [feed()], at(100, boot=100))

    assert again.permit(feed(), 0.0) == "free"
    again.refuse(feed(), 0.0)
    assert again.permit(feed(), 1e9) == "stopped"
    kept(again, state, at(101, boot=100))
    assert restarted(state, [feed()], at(10**6, boot=10**6)).permit(feed(), 0.0) == "stopped"


def test_a_pause_goes_on_after_a_restart_by_the_wall_clock() -> None:
    logins, state = Logins(), {}
    logins.accept(feed())
    logins.refuse(feed(), 0.0)
    logins.refuse(feed(), 0.0)
    kept(logins, state, at(0))
    again = restarted(state, [feed()], at(100, boot=100))

    assert [again.permit(feed(), second) for second in (0.0, 199.0, 201.0)] == [
        "paused",
        "paused",
        "free",
    ]
    assert again.refuse(feed(), 201.0), "that the login worked once is remembered too"


@pytest.mark.fault("F4")
def test_a_clock_set_back_by_years_pauses_no_longer_than_the_longest_pause() -> None:
    logins, state = Logins(), {}
    logins.accept(feed())
    logins.refuse(feed(), 0.0)
    logins.refuse(feed(), 0.0)
    kept(logins, state, at(0))
    again = restarted(state, [feed()], Now(START // 2, 0.0))

    assert again.permit(feed(), 19_199.0) == "paused"
    assert again.permit(feed(), 19_201.0) == "free"


def test_a_password_that_was_changed_while_the_program_stood_is_tried_at_once() -> None:
    logins, state = Logins(), {}
    logins.refuse(feed(), 0.0)
    logins.refuse(feed(), 0.0)
    kept(logins, state, at(0))

    assert restarted(state, [feed(password="new")], at(9)).permit(feed(password="new"), 9) == "free"
    assert state == {}


def test_the_state_holds_neither_name_nor_password_and_forgets_with_the_feed() -> None:
    logins, state = Logins(), {}
    logins.refuse(feed(user="gatekeeper", password="hunter2"), 0.0)
    kept(logins, state, at(0))

    assert sorted(state) == [
        key for key in sorted(state) if key.startswith(f"{PREFIX}10.0.0.7:554/")
    ]
    assert len(state) == 3
    assert not any(b"hunter2" in raw or b"gatekeeper" in raw for raw in state.values())
    assert not any("gatekeeper" in key for key in state)
    logins.forget_except([])
    assert kept(logins, state, at(1)) == {}


def test_a_login_that_goes_on_working_is_stored_once() -> None:
    logins = Logins()
    logins.accept(feed())
    assert len(list(logins.changes(at(0)))) == 2
    for _ in range(100):
        logins.accept(feed())

    assert list(logins.changes(at(1))) == []


@given(
    st.lists(st.sampled_from(["accept", "refuse", "wait", "restart"]), max_size=40),
    st.sampled_from(["p", "密码", ""]),
)
def test_restarts_change_nothing_in_what_is_permitted(steps: list[str], password: str) -> None:
    one, two, state = Logins(), Logins(), {}
    mine, second = feed(password=password), 0.0
    for step in steps:
        if step == "accept":
            one.accept(mine)
            two.accept(mine)
        elif step == "refuse":
            assert one.refuse(mine, second) == two.refuse(mine, second)
        elif step == "wait":
            second += 400.0
        kept(two, state, at(second))
        if step == "restart":
            two = restarted(state, [mine], at(second))

        assert one.permit(mine, second) == two.permit(mine, second)


async def test_a_camera_refuses_two_logins_over_five_starts_of_the_patrol(tmp_path: Path) -> None:
    state: dict[str, bytes] = {}
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        device = fleet.devices[0]
        set_up(device, auth="md5", password="changed")
        for _ in range(5):
            recorder = Recorder()
            recorder.state = state
            async with patrolling(feeds, recorder, recalled=dict(state)):
                await recorder.until(
                    lambda each=recorder: each.states().get("cam-000001") == "auth_failed"
                )
            state = recorder.state

    assert device.refused_logins == 2
