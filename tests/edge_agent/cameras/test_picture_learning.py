"""A running edge learns what its cameras usually show, says why a picture is bad, and forgets.

The pictures are synthetic: drawn by the simulator.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from benchmarks.pictures import EXPECTED, Score, judged
from edge_agent.cameras.baseline import hour_of
from edge_agent.cameras.board import Board, Entry
from edge_agent.cameras.frame import quieten
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.pictures import PictureGrading
from edge_agent.cameras.settings import PatrolSettings
from gateway_core.clock import NS
from gateway_core.meter import Meter
from simulators.pictures.brush import Canvas, jpeg
from simulators.pictures.defects import Defect, spoil
from simulators.pictures.labelled import Label, labelled
from simulators.pictures.scenes import scene
from simulators.pictures.weather import crop, look, stamp
from tests.fakes.cameras import ScriptedDevice

DAY = 86_400 * NS
NOON = 1_700_049_600 * NS  # 12:00 UTC


STREET, YARD = scene("street", 1), scene("yard", 2)


def seen(place: Canvas, number: int, defect: Defect | None = None) -> bytes:
    """One look at a place at noon, as its camera encodes it; each number is another look."""
    dice = np.random.default_rng(number)
    picture = look(crop(place), 13, "infrared", "clear", dice)
    if defect is not None:
        picture = spoil(picture, defect, 3, dice)
    return jpeg(stamp(picture, 13, number), 85)


def a_feed() -> Feed:
    async def silent(*_: object) -> None:
        """Nobody connects."""

    return ScriptedDevice(silent).feed()


class Hand:
    """Hands pictures of one camera to a grading, at one hour of day after day."""

    def __init__(self, feed: Feed) -> None:
        self.now = NOON
        self.meter = Meter()
        self.grading = PictureGrading(None, lambda: self.now, self.meter)
        self.board = Board("e1", PatrolSettings())
        self.board.put(feed, self.now)
        entry = self.board.get(feed.id)
        assert entry is not None
        self.entry: Entry = entry

    async def faults(self, jpeg: bytes) -> tuple[str, ...]:
        self.now += DAY
        check = await self.grading.grade(self.entry, jpeg)
        assert check is not None
        self.record = self.board.note(self.entry, check, self.now)
        return check.faults


async def test_a_turned_camera_is_found_once_learned_and_accepted_when_told() -> None:
    hand = Hand(a_feed())
    feed = hand.entry.feed.id
    async with hand.grading.open():
        assert await hand.faults(seen(YARD, 90)) == ()  # nobody knows yet what it shall show
        await hand.grading.forget([feed])
        for number in range(6):
            assert await hand.faults(seen(STREET, number)) == ()
        hours = await hand.grading.usual(feed)
        assert [(each.hour, each.looks, each.learned) for each in hours] == [(12, 6, True)]

        assert await hand.faults(seen(YARD, 91)) == ("picture_moved",)
        assert await hand.grading.usual(feed) == hours  # a fault is not learned

        await hand.grading.forget([feed])
        assert await hand.grading.usual(feed) == ()
        assert await hand.faults(seen(YARD, 92)) == ()


async def test_a_camera_broken_from_the_first_day_is_no_baseline_of_its_own() -> None:
    hand = Hand(a_feed())
    async with hand.grading.open():
        for number in range(8):
            assert await hand.faults(seen(STREET, number, "blur")) == ("picture_blurred",)
        assert await hand.grading.usual(hand.entry.feed.id) == ()


async def test_the_worst_fault_of_an_hour_is_in_its_record_even_when_it_never_held() -> None:
    hand = Hand(a_feed())
    async with hand.grading.open():
        await hand.faults(seen(STREET, 0))
        await hand.faults(seen(STREET, 1, "blur"))
        assert await hand.faults(seen(STREET, 2, "signal_loss")) == ("picture_flat",)
        await hand.faults(seen(STREET, 3))

        [hourly] = hand.board.tick(hand.now + 3600 * NS)
        assert (hourly.state, hourly.hourly, hourly.worst) == ("unknown", True, "picture_flat")
        [later] = hand.board.tick(hand.now + 7200 * NS)
        assert later.worst == ""


def test_strong_defects_are_found_and_clear_pictures_are_good() -> None:
    quieten()
    score, shown = Score(), Counter[str]()
    for label, _, _ in judged(6, 1, score):
        shown[label.defect] += 1

    assert set(EXPECTED) < set(shown)
    strong = {defect: score.found[fault, 3] for defect, fault in EXPECTED.items()}
    assert sum(strong.values()) >= 12  # of 13
    assert score.good["clear"]["with a fault"] == 0


def test_the_same_seed_draws_the_same_pictures() -> None:
    def first(seed: int) -> tuple[Label, bytes]:
        return next(labelled(seed, 1))

    assert first(4) == first(4)
    assert first(4)[1] != first(5)[1]
    assert hour_of(NOON) == 12
    assert replace(first(4)[0], file="x").camera == "sim-4-000"
