"""The timeline says when the clock was not to be trusted, and by how much it was wrong.

It is told what two clocks say and whether a time service vouches; no clock is read here.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.clock.timeline import LEAP_NS, Timeline
from gateway_core.clock import NS

NOW = 1_800_000_000 * NS
HOUR = 3600 * NS


class Machine:
    """Two clocks and a time service, moved by hand."""

    def __init__(self, wall: int = NOW, **told) -> None:
        self.wall, self.steady, self.head, self.service = wall, 30 * NS, 0, None
        self.line = Timeline(lambda: self.service, **told)
        self.look()

    def look(self) -> bool:
        return self.line.look(self.wall, self.steady, self.head)

    def run(self, seconds: int) -> None:
        """Let time pass, and a hundred records come a second."""
        self.wall += seconds * NS
        self.steady += seconds * NS
        self.head += 100 * seconds
        self.look()
        self.line.tick(self.steady, self.head)

    def set(self, wall: int) -> None:
        self.wall = wall
        self.look()

    def told(self) -> list[tuple[str | None, int | None]]:
        return [(each.trouble, each.by) for each in self.line.stretches]


def test_a_boot_in_1970_is_wrong_by_what_the_clock_is_later_put_ahead():
    machine = Machine(wall=5 * NS)
    assert machine.line.trouble == "unset"
    machine.run(60)
    machine.set(NOW)
    assert machine.line.trouble is None
    assert machine.told() == [("unset", NOW - 65 * NS), (None, None)]
    assert [(each.after, each.last) for each in machine.line.stretches] == [(0, 6000), (6000, 0)]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_and_comes_back_was_wrong_by_the_jump(hours):
    machine = Machine()
    machine.run(60)
    machine.set(machine.wall + hours * HOUR)
    assert machine.line.trouble == "jumped"
    machine.run(60)
    machine.set(machine.wall - hours * HOUR)
    assert machine.told() == [(None, None), ("jumped", -hours * HOUR), (None, None)]


def test_a_step_that_a_time_service_vouches_for_puts_right_what_was_unsure_before():
    machine = Machine()
    machine.run(60)
    machine.service = True
    machine.set(machine.wall + HOUR)
    assert machine.told() == [(None, HOUR), (None, None)]


def test_a_step_after_a_time_service_vouched_changes_nothing_before():
    machine = Machine()
    machine.service = True
    machine.run(60)
    machine.set(machine.wall + HOUR)
    assert machine.told() == [(None, None), (None, None)]


def test_a_time_service_that_vouches_after_a_jump_shows_which_side_was_right():
    machine = Machine()
    machine.run(60)
    machine.set(machine.wall + HOUR)
    machine.run(10)
    machine.service = True
    machine.run(1)
    assert machine.told() == [(None, HOUR), ("jumped", 0), (None, None)]


def test_a_jump_that_lasts_an_hour_was_meant_and_nothing_is_put_right():
    machine = Machine()
    machine.run(60)
    machine.set(machine.wall - 30 * 24 * HOUR // 10)
    for _ in range(61):
        machine.run(60)
    assert machine.told() == [(None, None), ("jumped", None), (None, None)]


def test_where_a_time_service_was_once_the_clock_waits_for_it():
    machine = Machine(strict=True)
    assert machine.line.trouble == "unsynced"
    machine.run(60)
    machine.service = True
    machine.run(1)
    assert machine.told() == [("unsynced", 0), (None, None)]


def test_a_clock_before_it_was_last_right_is_not_set():
    assert Machine(good=NOW + 24 * HOUR).line.trouble == "unset"
    assert Machine(good=NOW + HOUR // 2).line.trouble is None


def test_a_slewed_clock_stays_one_stretch():
    machine = Machine()
    for _ in range(20):
        machine.wall += LEAP_NS // 2
        machine.run(60)
    assert machine.told() == [(None, None)]


@given(st.lists(st.sampled_from([0, 5 * NS, HOUR, -HOUR, 40 * HOUR]), max_size=12))
def test_every_instant_is_found_in_the_stretch_that_it_was_taken_in(jumps):
    machine = Machine()
    for jump in jumps:
        machine.set(machine.wall + jump)
        machine.run(20)
        assert machine.line.at(machine.wall, machine.steady) is machine.line.stretches[-1]
