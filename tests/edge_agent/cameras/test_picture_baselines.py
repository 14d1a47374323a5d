"""What a camera usually shows is learned from good looks only, bounded, robust, and kept on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.baseline import ENOUGH, KEPT, Sample, Slot, admit, hour_of, likeness, usual
from edge_agent.cameras.baselines import BaselineStore
from edge_agent.cameras.picture import CELLS
from gateway_core.clock import NS

DAY = 86_400 * NS
LAYOUT = bytes(at * 5 % 251 for at in range(2 * CELLS))


def look(time: int = 0, **changes: float) -> Sample:
    values = {"sharpness": 7.0, "focus": 8.0, "stripes": 0.5, "chroma": 9.0} | changes
    return Sample(
        time,
        cast_a=2,
        cast_b=5,
        lights=bytes(CELLS),
        cells=bytes([20] * CELLS),
        edges=LAYOUT,
        **values,
    )


@given(st.lists(st.integers(0, 40 * DAY), max_size=60))
def test_a_slot_never_grows_beyond_its_bound(times: list[int]) -> None:
    slot: Slot = ()
    for time in sorted(times):
        slot = admit(slot, look(time))

    assert len(slot) <= KEPT
    assert [each.time for each in slot] == sorted(each.time for each in slot)


def test_the_first_looks_count_at_once_and_the_rest_once_a_day() -> None:
    slot: Slot = ()
    for time in (0, 1, 2, 3, 4, DAY, DAY + 1):
        slot = admit(slot, look(time))

    assert [each.time for each in slot] == [0, 1, 2, DAY]


def test_a_clock_that_was_set_back_does_not_stop_the_learning() -> None:
    slot = tuple(look(time + 400 * DAY) for time in range(3))

    assert len(admit(slot, look(0))) == 4


def test_nothing_is_usual_before_enough_looks() -> None:
    few = tuple(look() for _ in range(ENOUGH - 1))

    assert usual([few]) is None
    assert usual([few, (look(),)]) is not None


@given(st.lists(st.floats(-5, 12), min_size=2, max_size=2), st.integers(0, 6))
def test_two_odd_looks_of_seven_do_not_move_what_is_usual(odd: list[float], place: int) -> None:
    focuses = [8.0] * 5
    focuses[place % 5 : place % 5] = odd
    learned = usual([tuple(look(focus=focus) for focus in focuses)])

    assert learned is not None
    assert learned.focus == 8.0


@given(st.binary(min_size=96, max_size=96), st.binary(min_size=96, max_size=96))
def test_likeness_is_a_correlation(one: bytes, other: bytes) -> None:
    assert -1.000001 <= likeness(one, other) <= 1.000001
    assert likeness(one, other) == pytest.approx(likeness(other, one))
    assert likeness(one, one) == pytest.approx(1.0)


def test_the_hour_of_day_is_of_the_wall_clock() -> None:
    assert hour_of(1_700_000_000 * NS) == 22  # 2023-11-14 22:13:20 UTC


async def test_slots_outlive_the_program(tmp_path: Path) -> None:
    slot = (look(1), look(2))
    async with BaselineStore(tmp_path / "b.db") as store:
        await store.put("cam-1", 0, slot)
        await store.put("cam-2", 5, slot)

    async with BaselineStore(tmp_path / "b.db") as store:
        assert await store.near("cam-1", 23) == ((), (), slot)
        assert await store.near("cam-1", 1) == (slot, (), ())
        assert await store.all("cam-2") == {5: slot}
        await store.forget(["cam-1"])
        assert await store.all("cam-1") == {}
        await store.forget_except(["cam-9"])
        assert await store.all("cam-2") == {}


async def test_a_broken_file_is_put_aside_and_learned_anew(tmp_path: Path) -> None:
    path = tmp_path / "b.db"
    path.write_bytes(b"not a database at all" * 100)

    async with BaselineStore(path) as store:
        await store.put("cam-1", 3, (look(),))
        assert await store.all("cam-1") == {3: (look(),)}

    assert (tmp_path / "b.db.damaged-1").read_bytes().startswith(b"not a database")


async def test_without_a_place_to_write_nothing_is_learned_and_nothing_fails(
    tmp_path: Path,
) -> None:
    async with BaselineStore(tmp_path / "missing" / "b.db") as store:
        await store.put("cam-1", 3, (look(),))
        assert await store.near("cam-1", 3) == ((), (), ())


async def test_looks_of_another_version_are_learned_anew(tmp_path: Path) -> None:
    import sqlite3

    async with BaselineStore(tmp_path / "b.db") as store:
        await store.put("cam-1", 3, (look(),))
    with sqlite3.connect(tmp_path / "b.db") as db:
        db.execute("UPDATE baseline SET looks = x'91920102'")
    db.close()

    async with BaselineStore(tmp_path / "b.db") as store:
        assert await store.all("cam-1") == {}
