"""Each defect of a picture follows from what was measured, and the grade says from what."""

from __future__ import annotations

import msgspec
import pytest

from edge_agent.cameras.baseline import Usual
from edge_agent.cameras.grading import GRADES, Before, Grade, PictureLimits, faults_of, grade
from edge_agent.cameras.picture import CELLS, Measures

LAYOUT = bytes(40 + 60 * (at * 7 % 5 == 0) + at % 9 for at in range(2 * CELLS))
LIGHTS = bytes(90 + at * 3 for at in range(CELLS))
DARKS = bytes(90 + at * 11 % 130 for at in range(CELLS))
OTHER = bytes(40 + 60 * (at * 3 % 4 == 0) + at % 5 for at in range(2 * CELLS))
GOOD = Measures(
    width=640,
    height=360,
    mean=126,
    std=40,
    dead=0.01,
    contrast=140,
    sharpness=160,
    focus=200,
    noise=0.8,
    stripes=0.5,
    chroma=9,
    cast_a=2,
    cast_b=5,
    lights=LIGHTS,
    cells=bytes([20] * CELLS),
    edges=LAYOUT,
    profile=b"",
    key="a",
)
USUAL = Usual(
    looks=9,
    sharpness=7.3,
    focus=7.6,
    most_stripes=0.7,
    chroma=9,
    least_chroma=7,
    cast_a=2,
    cast_b=5,
    cast_spread=0.4,
    lights=LIGHTS,
    cells=bytes([20] * CELLS),
    edges=LAYOUT,
    likeness=0.98,
    still=True,
)
LAST = Before("before", b"", (0.0, 0.0, 0.0, 0.0))


def measures(**changes: object) -> Measures:
    return msgspec.structs.replace(GOOD, **changes)


def graded(seen: Measures, usual: Usual | None = USUAL, before: Before = LAST) -> dict[str, Grade]:
    return {each.fault: each for each in grade(seen, before, usual, PictureLimits())}


def faults(seen: Measures, usual: Usual | None = USUAL, before: Before = LAST) -> tuple[str, ...]:
    return faults_of(grade(seen, before, usual, PictureLimits()))


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (GOOD, ()),
        (measures(mean=8, contrast=0, dead=1.0), ("picture_black",)),
        (measures(mean=12, contrast=90), ()),  # a lamp in the night
        (measures(mean=251, contrast=1, dead=1.0), ("picture_white",)),
        (measures(mean=128, contrast=0, dead=1.0), ("picture_flat",)),  # a decoder's grey
        (measures(mean=110, contrast=170, dead=0.88), ("picture_flat",)),  # a test picture
        (measures(contrast=12, dead=0.9), ("picture_faint",)),
        (measures(key="before"), ("picture_frozen",)),
        (measures(focus=4, sharpness=2), ("picture_blurred",)),
        (measures(key="before", focus=4, sharpness=2), ("picture_frozen", "picture_blurred")),
        (measures(noise=4.5), ("picture_noisy",)),
        (measures(stripes=40), ("picture_striped",)),
    ],
)
def test_what_needs_no_baseline_is_found_from_the_first_look_on(
    seen: Measures, found: tuple[str, ...]
) -> None:
    assert faults(seen, None) == found
    assert faults(seen) == found


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (measures(focus=15, sharpness=12), "picture_blurred"),
        (measures(focus=190, sharpness=8), ""),  # fog: all contrasts are less, none is softer
        (measures(focus=15, sharpness=150), ""),  # headlights: they add contrast
        (measures(stripes=4), "picture_striped"),
        (measures(stripes=4, lights=DARKS), ""),  # lines of another scene
        (measures(edges=OTHER), ""),  # all the light is where it was: something lies over it
        (measures(cast_a=14, cast_b=5), "picture_cast"),
        (measures(cast_a=0.4, cast_b=1), ""),  # snow has less of the usual colour
        (measures(chroma=0.05, cast_a=0, cast_b=0), "picture_grey"),
        (measures(cells=bytes([1] * 16 + [20] * 32), edges=LAYOUT), ""),  # flat, not smooth
        (measures(lights=DARKS, edges=OTHER), "picture_moved"),
    ],
)
def test_what_only_a_baseline_can_tell_is_unknown_without_one(seen: Measures, found: str) -> None:
    assert faults(seen, None) == ()
    assert faults(seen) == ((found,) if found else ())
    if found:
        assert graded(seen, None)[found].verdict in {"unknown", "ok"}


def test_a_covered_part_shows_nothing_where_there_usually_is_something() -> None:
    blank = [at for at in range(CELLS) if at < CELLS // 3]
    edges = bytes(2 if at % CELLS in blank else LAYOUT[at] for at in range(2 * CELLS))
    cells = bytes(1 if at in blank else 20 for at in range(CELLS))

    found = graded(measures(cells=cells, edges=edges))["picture_covered"]

    assert found == Grade("picture_covered", "fault", 16 / 48, 0.16, 0.0)


def test_a_camera_that_is_always_moved_about_is_never_said_to_be_moved() -> None:
    touring = msgspec.structs.replace(USUAL, likeness=0.1, still=False)

    assert (
        graded(measures(lights=DARKS, edges=OTHER), touring)["picture_moved"].verdict == "unknown"
    )


def test_infrared_at_night_is_usual_at_night() -> None:
    night = msgspec.structs.replace(USUAL, chroma=0.05, least_chroma=0.04, cast_a=0, cast_b=0)
    grey = measures(chroma=0.05, cast_a=0, cast_b=0)

    assert faults(grey, night) == ()
    assert faults(grey, USUAL) == ("picture_grey",)
    assert graded(grey, None)["picture_grey"].verdict == "unknown"


def test_one_move_is_no_shaking_and_moving_to_and_fro_is() -> None:
    here = measures(shift=0.03, overlap=0.9)

    assert faults(here) == ()
    assert faults(here, before=Before("b", b"", (0.02, 0.03, 0.0, 0.03))) == ("picture_shaking",)
    few = graded(here, before=Before("b", b"", (0.03,)))["picture_shaking"]
    assert few.verdict == "unknown"


def test_a_picture_without_a_scene_forgets_how_it_moved() -> None:
    assert Before("b", b"", (0.03, 0.03)).after(measures(shift=0.09, overlap=0.2)).shifts == ()


def test_what_cannot_be_seen_is_unknown_not_ok() -> None:
    black = graded(measures(mean=8, contrast=0, dead=1.0))

    assert tuple(black) == GRADES
    assert black["picture_black"].verdict == "fault"
    assert {black[each].verdict for each in GRADES[4:]} == {"unknown"}


def test_a_grade_says_what_was_measured_compared_and_allowed() -> None:
    assert graded(measures(noise=4.5))["picture_noisy"] == Grade("picture_noisy", "fault", 4.5, 2.5)
    cast = graded(measures(cast_a=14, cast_b=5))["picture_cast"]
    assert (cast.verdict, cast.limit, cast.usual) == ("fault", 6.8, 0.0)
    assert cast.value == pytest.approx(12.0)  # from (14, 5) to (2, 5), the usual colour
    moved = graded(measures(lights=DARKS, edges=OTHER))["picture_moved"]
    assert (moved.limit, moved.usual) == (0.5, 0.98)
    assert moved.value < 0.5
