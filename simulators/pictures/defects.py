"""What can go wrong with a picture, each at three strengths."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simulators.pictures.brush import Canvas, box, clouds, fill, smooth, write
from simulators.pictures.scenes import COLUMNS, ROWS

Defect = Literal[
    "signal_loss",
    "blur",
    "too_bright",
    "too_dark",
    "black_and_white",
    "colour_cast",
    "noise",
    "stripes",
    "low_contrast",
    "occlusion",
    "scene_change",
    "freeze",
    "shake",
]
STRENGTHS = (1, 2, 3)
TURNED = (0.0, 70.0, 170.0)
"""Pixels that a camera was turned by; at the third strength it sees another place."""
SHAKEN = (10.0, 16.0, 26.0)
"""Pixels that a shaking camera is off at most."""


def spoil(picture: Canvas, defect: Defect, strength: int, dice: np.random.Generator) -> Canvas:
    """Return a picture with a defect of one frame.

    Args:
        picture: From `weather.look`.
        defect: Not ``scene_change``, ``freeze`` or ``shake``, which take more than one picture.
        strength: Of `STRENGTHS`.
        dice: Where, which colour, which way.
    """
    step = strength - 1
    match defect:
        case "signal_loss":
            return _no_signal(step)
        case "blur":
            return smooth(picture, (3.0, 5.0, 9.0)[step])
        case "too_bright":
            share = (0.80, 0.90, 0.97)[step]
            return picture * (1 - share) + share * 262
        case "too_dark":
            return picture * (0.10, 0.05, 0.02)[step]
        case "black_and_white":
            return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)
        case "colour_cast":
            return _cast(picture, (0.22, 0.36, 0.6)[step], dice)
        case "noise":
            return _noisy(picture, step, dice)
        case "stripes":
            return picture + (7.0, 13.0, 26.0)[step] * _wave(dice)
        case "low_contrast":
            return picture * (0.22, 0.14, 0.08)[step] + dice.uniform(80, 130)
        case "occlusion":
            return _covered(picture, (0.35, 0.6, 0.9)[step], dice)
        case _:
            raise ValueError(f"{defect} takes more than one picture")


def _no_signal(step: int) -> Canvas:
    """Return what a recorder or an encoder shows without a camera."""
    canvas = np.zeros((ROWS, COLUMNS, 3), np.float32)
    if step == 0:
        bars = ((192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 192, 0), (192, 0, 192))
        for place, colour in enumerate((*bars, (0, 0, 192), (192, 0, 0))):
            box(canvas, place * COLUMNS / 7, 0, COLUMNS / 7, ROWS, colour)
    elif step == 1:
        canvas[:] = (128, 128, 128)
        write(canvas, 200, 190, "NO SIGNAL", 1.4)
    else:
        canvas[:] = (200, 60, 20)
    return canvas


def _cast(picture: Canvas, amount: float, dice: np.random.Generator) -> Canvas:
    gains = np.ones(3, np.float32)
    gains[dice.integers(0, 3)] += amount
    gains[dice.integers(0, 3)] -= amount * 0.6
    if np.ptp(gains) < amount:
        gains = np.array((1 + amount, 1.0, 1 - amount * 0.6), np.float32)
    return picture * gains


def _noisy(picture: Canvas, step: int, dice: np.random.Generator) -> Canvas:
    sigma = (14.0, 24.0, 42.0)[step]
    picture = picture + dice.normal(0, sigma, picture.shape).astype(np.float32)
    if step == 2:
        specks = dice.random((ROWS, COLUMNS)) < 0.04
        picture[specks] = dice.choice((0.0, 255.0))
    return picture


def _wave(dice: np.random.Generator) -> Canvas:
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    angle = dice.choice((0.0, 0.0, np.pi / 2, dice.uniform(0.2, 1.4)))
    along = columns * np.sin(angle) + rows * np.cos(angle)
    wave = np.sin(2 * np.pi * along / dice.uniform(8, 40) + dice.uniform(0, 6))
    return np.asarray(wave[..., None], np.float32)


def _covered(picture: Canvas, share: float, dice: np.random.Generator) -> Canvas:
    """Put something before the lens: a board, a leaf, paint; too near to be sharp."""
    mask = np.zeros((ROWS, COLUMNS, 3), np.float32)
    side = int(dice.integers(0, 3))
    slope = dice.uniform(-0.12, 0.12) * ROWS
    if side == 0:
        edge = share * COLUMNS
        fill(mask, ((-99, -99), (edge + slope, -99), (edge - slope, 499), (-99, 499)), (1, 1, 1))
    elif side == 1:
        edge = (1 - share) * COLUMNS
        fill(mask, ((edge + slope, -99), (799, -99), (799, 499), (edge - slope, 499)), (1, 1, 1))
    else:
        edge = (1 - share) * ROWS
        fill(mask, ((-99, edge + slope), (799, edge - slope), (799, 499), (-99, 499)), (1, 1, 1))
    mask = smooth(mask, dice.uniform(4, 14))
    colour = dice.uniform(15, 130) + dice.uniform(-12, 12, 3)
    thing = colour + 3 * clouds(dice, ROWS, COLUMNS, 120)[..., None]
    return picture * (1 - mask) + mask * thing.astype(np.float32)
