"""What stands in front of a camera and does not move, drawn by daylight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from simulators.pictures.brush import Canvas, Colour, box, clouds, disc, fill, line

COLUMNS, ROWS = 640, 360
MARGIN_X, MARGIN_Y = 180, 100
"""More is drawn than the camera sees, so that it can be turned."""
_WIDE, _HIGH = COLUMNS + 2 * MARGIN_X, ROWS + 2 * MARGIN_Y


def scene(kind: str, seed: int) -> Canvas:
    """Draw a scene, with its margin.

    Args:
        kind: Of `KINDS`.
        seed: Another one is another place of the same kind.
    """
    dice = np.random.default_rng(seed)
    canvas = np.zeros((_HIGH, _WIDE, 3), np.float32)
    KINDS[kind](canvas, dice)
    return np.clip(canvas, 0, 255)


def _grain(canvas: Canvas, dice: np.random.Generator, top: int, amount: float) -> None:
    rows = canvas.shape[0] - top
    fine = clouds(dice, rows, _WIDE, 3) + clouds(dice, rows, _WIDE, 14)
    canvas[top:] += amount * fine[..., None]


def _shade(dice: np.random.Generator, low: float, high: float, spread: float = 14) -> Colour:
    grey = dice.uniform(low, high)
    blue, green, red = grey + dice.uniform(-spread, spread, 3)
    return float(blue), float(green), float(red)


def _sky(canvas: Canvas, dice: np.random.Generator, horizon: int) -> None:
    fall = np.linspace(0, 1, horizon)[:, None, None]
    top, low = np.array((225, 185, 150)), np.array((228, 222, 215))
    canvas[:horizon] = top * (1 - fall) + low * fall
    canvas[:horizon] += 10 * clouds(dice, horizon, _WIDE, 90)[..., None]


def _houses(canvas: Canvas, dice: np.random.Generator, horizon: int) -> None:
    x = 0.0
    while x < _WIDE:
        width, height = dice.uniform(70, 190), dice.uniform(90, horizon - 20)
        wall = _shade(dice, 90, 190, 25)
        box(canvas, x, horizon - height, width, height, wall)
        glass = _shade(dice, 35, 80)
        step_x, step_y = dice.uniform(18, 30), dice.uniform(22, 34)
        for row in range(int(height / step_y)):
            for column in range(int(width / step_x)):
                left, top = x + 5 + column * step_x, horizon - height + 6 + row * step_y
                tint = dice.uniform(0.7, 1.5)
                pane = (glass[0] * tint, glass[1] * tint, glass[2] * tint)
                box(canvas, left, top, step_x * 0.5, step_y * 0.55, pane)
        x += width + dice.uniform(0, 40)


def _trees(canvas: Canvas, dice: np.random.Generator, horizon: int, count: int) -> None:
    for _ in range(count):
        x, size = dice.uniform(0, _WIDE), dice.uniform(18, 50)
        line(canvas, x, horizon + size, (x, horizon - size), (40, 55, 70), 5)
        for _ in range(70):
            at_x, at_y = x + dice.normal(0, size / 2), horizon - size + dice.normal(0, size / 2.5)
            leaf = (dice.uniform(30, 60), dice.uniform(70, 130), dice.uniform(40, 80))
            disc(canvas, at_x, at_y, dice.uniform(2, 6), leaf)


def _street(canvas: Canvas, dice: np.random.Generator) -> None:
    horizon = int(dice.uniform(220, 280))
    _sky(canvas, dice, horizon)
    _houses(canvas, dice, horizon)
    canvas[horizon:] = _shade(dice, 120, 150, 6)
    middle = dice.uniform(0.35, 0.65) * _WIDE
    road = _shade(dice, 75, 100, 5)
    fill(canvas, ((middle - 40, horizon), (middle + 40, horizon), (_WIDE, _HIGH), (0, _HIGH)), road)
    for part in range(7):
        y = horizon + 12 + part**2 * 6
        box(canvas, middle - 2 - part, y, 4 + 2 * part, 6 + 4 * part, (215, 220, 222))
    _grain(canvas, dice, horizon, 9)
    _trees(canvas, dice, horizon, 6)


def _crossing(canvas: Canvas, dice: np.random.Generator) -> None:
    canvas[:] = _shade(dice, 85, 115, 6)
    x, y = dice.uniform(300, 620), dice.uniform(180, 300)
    for part in range(14):
        box(canvas, x - 200 + part * 30, y + 70, 15, 60, (222, 226, 226))
        box(canvas, x + 230, y - 170 + part * 26, 55, 12, (222, 226, 226))
    for side in (0.0, _HIGH - 150.0):
        box(canvas, 0, side, dice.uniform(180, 320), 140, _shade(dice, 140, 175))
        box(canvas, _WIDE - dice.uniform(180, 320), side, 330, 140, _shade(dice, 130, 165))
    line(canvas, 0, y, (_WIDE, y + 20), (90, 190, 220), 4)
    _grain(canvas, dice, 0, 10)
    _trees(canvas, dice, 110, 5)


def _corridor(canvas: Canvas, dice: np.random.Generator) -> None:
    canvas[:] = _shade(dice, 175, 205, 12)
    x, y = dice.uniform(400, 600), dice.uniform(230, 300)
    fill(canvas, ((0, _HIGH), (_WIDE, _HIGH), (x + 60, y + 50), (x - 60, y + 50)), (120, 135, 150))
    fill(canvas, ((0, 0), (_WIDE, 0), (x + 60, y - 60), (x - 60, y - 60)), (215, 216, 214))
    for depth in (0.2, 0.42, 0.6, 0.74):
        for side, wall in ((0, x - 60), (_WIDE, x + 60)):
            at = side + (wall - side) * depth
            high, wide = 330 * (1 - depth), 90 * (1 - depth) * (1 if side == 0 else -1)
            door = _shade(dice, 60, 130, 35)
            fill(
                canvas,
                (
                    (at, y - high / 2),
                    (at + wide, y - high / 2 + 12),
                    (at + wide, y + high / 1.6),
                    (at, y + high / 1.5),
                ),
                door,
            )
        box(canvas, x - 120 * (1 - depth), y * (1 - depth), 220 * (1 - depth), 9, (250, 250, 248))
    box(canvas, x - 60, y - 60, 120, 110, _shade(dice, 120, 160, 20))
    _grain(canvas, dice, int(y), 5)


def _parking(canvas: Canvas, dice: np.random.Generator) -> None:
    canvas[:] = _shade(dice, 95, 120, 6)
    for row in range(5):
        y = 30 + row * 115
        for place in range(13):
            x = 10 + place * 78 + row * 11
            line(canvas, x, y, (x + 8, y + 72), (215, 218, 218), 2)
            if dice.random() < 0.7:
                paint = _shade(dice, 40, 210, 45)
                box(canvas, x + 14, y + 6, 48, 62, paint)
                box(canvas, x + 19, y + 20, 38, 14, (50, 45, 40))
                box(canvas, x + 19, y + 48, 38, 9, (60, 54, 48))
    _grain(canvas, dice, 0, 8)


def _wall(canvas: Canvas, dice: np.random.Generator) -> None:
    """Hardly anything to see, and nothing wrong with it."""
    fall = np.linspace(-18, 14, _WIDE)[None, :, None]
    canvas[:] = np.array(_shade(dice, 150, 190, 10)) + fall
    x = dice.uniform(300, 700)
    box(canvas, x, 0, 9, _HIGH, _shade(dice, 110, 130))
    box(canvas, dice.uniform(250, 600), dice.uniform(200, 320), 60, 34, _shade(dice, 70, 110, 30))
    canvas[400:] -= 45
    _grain(canvas, dice, 0, 2)


def _field(canvas: Canvas, dice: np.random.Generator) -> None:
    """Green all over, and no colour cast."""
    horizon = int(dice.uniform(150, 210))
    _sky(canvas, dice, horizon)
    canvas[horizon:] = (60, 130, 88)
    canvas[horizon:] += 16 * clouds(dice, _HIGH - horizon, _WIDE, 60)[..., None]
    for _ in range(2600):
        x, y = dice.uniform(0, _WIDE), dice.uniform(horizon, _HIGH)
        blade = 2 + (y - horizon) / 25
        tint = dice.uniform(0.6, 1.4)
        lean = x + dice.normal(0, 3)
        line(canvas, x, y, (lean, y - blade), (50 * tint, 125 * tint, 80 * tint))
    _trees(canvas, dice, horizon, 9)
    line(canvas, 0, horizon + 60, (_WIDE, horizon + 130), (120, 150, 165), 16)


def _shutters(canvas: Canvas, dice: np.random.Generator) -> None:
    """Lines at equal distances, and no stripes in the picture."""
    canvas[:] = _shade(dice, 130, 165, 15)
    step = int(dice.integers(7, 12))
    x = 0.0
    while x < _WIDE:
        width, top = dice.uniform(120, 210), dice.uniform(150, 200)
        metal = _shade(dice, 120, 190, 25)
        for y in range(int(top), 440, step):
            box(canvas, x, y, width, step - 3, metal)
            box(canvas, x, y + step - 3, width, 2, (metal[0] * 0.6, metal[1] * 0.6, metal[2] * 0.6))
        box(canvas, x + 8, top - 45, width - 16, 34, _shade(dice, 60, 200, 55))
        x += width + dice.uniform(20, 50)
    canvas[440:] = _shade(dice, 110, 140, 6)
    _grain(canvas, dice, 0, 5)


def _yard(canvas: Canvas, dice: np.random.Generator) -> None:
    brick = _shade(dice, 90, 120, 8)
    canvas[:] = (brick[0] * 0.7, brick[1] * 0.85, brick[2] * 1.35)
    for row in range(0, 330, 13):
        for column in range(-(row % 26), _WIDE, 34):
            tint = dice.uniform(0.8, 1.15)
            colour = (brick[0] * 0.6 * tint, brick[1] * 0.75 * tint, brick[2] * 1.25 * tint)
            box(canvas, column, row, 31, 10, colour)
    canvas[330:] = _shade(dice, 125, 150, 8)
    x = dice.uniform(260, 520)
    box(canvas, x, 130, 190, 210, _shade(dice, 45, 80, 25))
    for bar in range(9):
        line(canvas, x + 10 + bar * 21, 132, (x + 10 + bar * 21, 338), (150, 155, 160), 3)
    box(canvas, x + 230, 210, 110, 130, _shade(dice, 60, 150, 50))
    _grain(canvas, dice, 0, 7)


KINDS: Mapping[str, Callable[[Canvas, np.random.Generator], None]] = MappingProxyType(
    {
        "street": _street,
        "crossing": _crossing,
        "corridor": _corridor,
        "parking": _parking,
        "wall": _wall,
        "field": _field,
        "shutters": _shutters,
        "yard": _yard,
    }
)
