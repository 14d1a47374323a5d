"""From a picture's measures, and what is usual for its camera, to graded defects. Pure.

Every grade says what was measured, what was compared with and where the limit is. What only a
baseline can tell is ``unknown`` until there is one; what is defective in one way is not held
against the picture in another: a covered lens is not blurred as well.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

import msgspec

from edge_agent.cameras.baseline import Usual, likeness, log2
from edge_agent.cameras.picture import CELLS, Measures

Verdict = Literal["ok", "fault", "unknown"]
Fault = Literal[
    "picture_flat",
    "picture_black",
    "picture_white",
    "picture_faint",
    "picture_frozen",
    "picture_covered",
    "picture_moved",
    "picture_blurred",
    "picture_noisy",
    "picture_striped",
    "picture_cast",
    "picture_grey",
    "picture_shaking",
]
GRADES: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]  # of a Literal
"""All faults of a picture, the worst first."""

SHAKES = 4
"""Movements between pictures that are remembered."""


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """Where a picture begins to be bad; set on synthetic pictures (docs/explanation/pictures.md).

    Attributes:
        dead: Share of pixels without any difference to their neighbours: no signal.
        dark: Mean brightness, 0-255, and no contrast beyond ``faint``.
        bright: Mean brightness.
        faint: Contrast.
        noise: Standard deviation.
        sharpness: Blurred below it even without a baseline, if so is ``focus``.
        focus: In thousandths.
        times_duller: Blurred when focus and sharpness are so much less than usual.
        stripes: Amplitude, even without a baseline.
        more_stripes: Amplitude beyond 1.3 times the most that was usual.
        cast: Distance from grey in Lab that is a cast without a baseline.
        other_cast: Distance from what is between the usual colour and grey.
        colour: Chroma under which a picture is black and white.
        covered: Share of the cells that usually show something and show nothing.
        likeness: Layout correlation under which the scene is another one.
        shift: Share of the picture that it moved by between two looks.
    """

    dead: float = 0.85
    dark: float = 20.0
    bright: float = 212.0
    faint: float = 22.0
    noise: float = 2.5
    sharpness: float = 6.0
    focus: float = 25.0
    times_duller: float = 10.0
    stripes: float = 32.0
    more_stripes: float = 2.0
    cast: float = 40.0
    other_cast: float = 6.0
    colour: float = 0.5
    covered: float = 0.16
    likeness: float = 0.5
    shift: float = 0.012


class Grade(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How a picture stands in one respect.

    Attributes:
        fault: What would be wrong.
        verdict: ``unknown`` where a baseline is wanted and not learned yet, or where another
            fault hides it.
        value: What was measured.
        limit: Where the fault begins.
        usual: What is usual for this camera at this hour; None where that does not matter or is
            not known.
    """

    fault: Fault
    verdict: Verdict
    value: float
    limit: float
    usual: float | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """What is remembered of a camera's pictures before this one.

    Attributes:
        key: `Measures.key` of the last; empty for none.
        profile: `Measures.profile` of the last.
        shifts: How far the last ones had moved, oldest first.
    """

    key: str = ""
    profile: bytes = b""
    shifts: tuple[float, ...] = ()

    def after(self, measures: Measures) -> Before:
        """Return what to remember once this picture was graded."""
        known = measures.overlap >= _SAME_SCENE
        shifts = (*self.shifts, measures.shift)[-SHAKES:] if known else ()
        return Before(measures.key, measures.profile, shifts)


def grade(
    measures: Measures, before: Before, usual: Usual | None, limits: PictureLimits
) -> tuple[Grade, ...]:
    """Grade a picture in every respect, in the order of `GRADES`.

    Args:
        measures: Of this picture.
        before: What came before it.
        usual: For the camera at this hour; None while nothing was learned.
        limits: Where a picture begins to be bad.
    """
    signal = _signal(measures, limits)
    gone = any(each.verdict == "fault" for each in signal)
    frozen = _frozen(measures, before)
    if gone:
        return (*signal, _unless(frozen, hidden=gone), *_hidden(measures, limits))
    covered, moved = _covered(measures, usual, limits), _moved(measures, usual, limits)
    blurred, noisy = _blurred(measures, usual, limits), _noisy(measures, limits)
    striped = _striped(measures, usual, limits)
    covered = _unless(covered, hidden=_is(blurred) and covered.value < _NEARLY_ALL)
    spoilt = _is(covered) or _is(blurred) or _is(noisy) or _is(striped)
    moved = _unless(moved, hidden=spoilt)
    strange = _is(covered) or _is(moved)
    return (
        *signal,
        frozen,
        covered,
        moved,
        _unless(blurred, hidden=strange),
        noisy,
        _unless(striped, hidden=_is(moved)),
        _unless(_cast(measures, usual, limits), hidden=strange),
        _unless(_grey(measures, usual, limits), hidden=strange),
        _shaking(measures, before, limits),
    )


def faults_of(grades: tuple[Grade, ...]) -> tuple[Fault, ...]:
    """Return what is wrong, the worst first."""
    return tuple(each.fault for each in grades if each.verdict == "fault")


def _is(grade_: Grade) -> bool:
    return grade_.verdict == "fault"


def _unless(grade_: Grade, *, hidden: bool) -> Grade:
    return msgspec.structs.replace(grade_, verdict="unknown") if hidden else grade_


def _of(
    fault: Fault, value: float, limit: float, *, bad: bool, usual: float | None = None
) -> Grade:
    return Grade(fault, "fault" if bad else "ok", value, limit, usual)


def _signal(m: Measures, limits: PictureLimits) -> tuple[Grade, ...]:
    dark = m.mean < limits.dark and m.contrast <= limits.faint
    bright = m.mean > limits.bright
    # A test picture has hard edges, a missing one has none; a faint scene lies in between.
    drawn = m.dead >= limits.dead and (m.contrast <= 2 or m.contrast > 2 * limits.faint)
    flat = drawn and not dark and not bright
    faint = m.contrast <= limits.faint and not (dark or bright or flat)
    return (
        _of("picture_flat", m.dead, limits.dead, bad=flat),
        _of("picture_black", m.mean, limits.dark, bad=dark),
        _of("picture_white", m.mean, limits.bright, bad=bright),
        _of("picture_faint", m.contrast, limits.faint, bad=faint),
    )


def _frozen(m: Measures, before: Before) -> Grade:
    if not before.key:
        return Grade("picture_frozen", "unknown", 0.0, 1.0)
    same = m.key == before.key  # sensor noise makes no two pictures of a live camera equal
    return _of("picture_frozen", float(same), 1.0, bad=same)


def _hidden(m: Measures, limits: PictureLimits) -> tuple[Grade, ...]:
    """Return the grades of a picture that shows nothing: nothing is known about them."""
    return (
        Grade("picture_covered", "unknown", 0.0, limits.covered),
        Grade("picture_moved", "unknown", 0.0, limits.likeness),
        Grade("picture_blurred", "unknown", m.focus, limits.focus),
        Grade("picture_noisy", "unknown", m.noise, limits.noise),
        Grade("picture_striped", "unknown", m.stripes, limits.stripes),
        Grade("picture_cast", "unknown", math.hypot(m.cast_a, m.cast_b), limits.cast),
        Grade("picture_grey", "unknown", m.chroma, limits.colour),
        Grade("picture_shaking", "unknown", m.shift, limits.shift),
    )


_SHOWS = 6
"""Standard deviation from which on a cell usually shows something."""
_FEW = 6
_TEXTURE = 8.0
_NEARLY_ALL = 0.6
_SAME_SCENE = 0.7
_SAME_LIGHTS = 0.73
_VERY_SAME_LIGHTS = 0.9


def _covered(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    if usual is None or not usual.still:
        return Grade("picture_covered", "unknown", 0.0, limits.covered)
    shown = [at for at in range(CELLS) if usual.cells[at] >= _SHOWS]
    if len(shown) < _FEW:
        return Grade("picture_covered", "unknown", 0.0, limits.covered, 0.0)
    # What is left to see tells how much the weather takes from all of it.
    best = min(1.0, max(m.cells[at] / usual.cells[at] for at in shown))
    gone = {
        at
        for at in shown
        if m.cells[at] < min(4.0, 0.35 * best * usual.cells[at]) and _smooth(m, usual, at)
    }
    share = len(gone) / len(shown)
    left = [at for at in range(CELLS) if at not in gone]
    if share < _NEARLY_ALL and _alike(m, usual, left) < limits.likeness:
        share = 0.0  # what is left to see is another scene
    return _of("picture_covered", share, limits.covered, bad=share >= limits.covered, usual=0.0)


def _alike(m: Measures, usual: Usual, cells: list[int]) -> float:
    places = [*cells, *(CELLS + at for at in cells)]
    return likeness(*(bytes(edges[at] for at in places) for edges in (m.edges, usual.edges)))


def _smooth(m: Measures, usual: Usual, at: int) -> bool:
    now, then = (e[at] + e[at + CELLS] for e in (m.edges, usual.edges))
    return now < 0.6 * then


def _moved(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    if usual is None or not usual.still:
        return Grade("picture_moved", "unknown", 0.0, limits.likeness)
    like = likeness(m.edges, usual.edges)
    # Where there is little to see, little may change by itself: snow on a plain wall.
    texture = statistics.pstdev(usual.edges) / _TEXTURE
    limit = limits.likeness * min(1.0, texture)
    bad = like < limit and likeness(m.lights, usual.lights) < _VERY_SAME_LIGHTS
    return _of("picture_moved", like, limit, bad=bad, usual=usual.likeness)


def _blurred(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    if m.focus < limits.focus and m.sharpness < limits.sharpness:
        return Grade("picture_blurred", "fault", m.focus, limits.focus)
    if usual is None:
        return Grade("picture_blurred", "unknown", m.focus, limits.focus)
    duller = math.log2(limits.times_duller)
    limit = 2 ** (usual.focus - duller)
    # Fog takes the sharpness and leaves the focus; headlights take the focus only.
    bad = m.focus < limit and log2(m.sharpness) < usual.sharpness - duller
    return _of("picture_blurred", m.focus, limit, bad=bad, usual=2**usual.focus)


def _noisy(m: Measures, limits: PictureLimits) -> Grade:
    return _of("picture_noisy", m.noise, limits.noise, bad=m.noise > limits.noise)


def _striped(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    if m.stripes >= limits.stripes:
        return Grade("picture_striped", "fault", m.stripes, limits.stripes)
    if usual is None:
        return Grade("picture_striped", "unknown", m.stripes, limits.stripes)
    limit = 1.3 * usual.most_stripes + limits.more_stripes
    # Stripes leave light and dark where they were; another scene may have lines of its own.
    here = not usual.still or likeness(m.lights, usual.lights) >= _SAME_LIGHTS
    bad = m.stripes > limit and here
    return _of("picture_striped", m.stripes, limit, bad=bad, usual=usual.most_stripes)


def _cast(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    strength = math.hypot(m.cast_a, m.cast_b)
    if usual is None:
        verdict: Verdict = "fault" if strength > limits.cast else "unknown"
        return Grade("picture_cast", verdict, strength, limits.cast)
    limit = limits.other_cast + 2 * usual.cast_spread
    away = _away(m, usual)
    return _of("picture_cast", away, limit, bad=away > limit, usual=0.0)


def _away(m: Measures, usual: Usual) -> float:
    """Return how far a colour is from all that fog and snow make of the usual one: less of it."""
    size = usual.cast_a**2 + usual.cast_b**2
    along = (m.cast_a * usual.cast_a + m.cast_b * usual.cast_b) / size if size else 0.0
    share = max(0.0, min(1.0, along))
    return math.hypot(m.cast_a - share * usual.cast_a, m.cast_b - share * usual.cast_b)


def _grey(m: Measures, usual: Usual | None, limits: PictureLimits) -> Grade:
    if usual is None:  # an infrared camera at night, or a thermal one, for all that is known
        verdict: Verdict = "unknown" if m.chroma < limits.colour else "ok"
        return Grade("picture_grey", verdict, m.chroma, limits.colour)
    bad = m.chroma < limits.colour and usual.least_chroma > 4 * limits.colour
    return _of("picture_grey", m.chroma, limits.colour, bad=bad, usual=usual.chroma)


def _shaking(m: Measures, before: Before, limits: PictureLimits) -> Grade:
    shifts = before.after(m).shifts
    if len(shifts) < SHAKES - 1:
        return Grade("picture_shaking", "unknown", m.shift, limits.shift)
    # A camera that was turned once has moved once; the second largest of the last four tells.
    shift = sorted(shifts)[1] if len(shifts) == SHAKES else min(shifts)
    return _of("picture_shaking", shift, limits.shift, bad=shift > limits.shift)
