"""What is different at every look at a scene and nobody's fault: hour, weather, traffic, grain."""

from __future__ import annotations

from typing import Literal

import numpy as np

from simulators.pictures.brush import Canvas, box, clouds, disc, line, smooth, write
from simulators.pictures.scenes import COLUMNS, MARGIN_X, MARGIN_Y, ROWS

Weather = Literal["clear", "fog", "rain", "snow", "headlights"]
Night = Literal["infrared", "lamps"]
HOURS = (2, 8, 13, 19)


def crop(canvas: Canvas, x: float = 0.0, y: float = 0.0) -> Canvas:
    """Return what the camera sees of a scene when it is turned by (x, y) pixels."""
    left, top = MARGIN_X + round(x), MARGIN_Y + round(y)
    return canvas[top : top + ROWS, left : left + COLUMNS].copy()


def look(
    seen: Canvas, hour: int, night: Night, weather: Weather, dice: np.random.Generator
) -> Canvas:
    """Return a scene as the sensor gets it, before it is encoded.

    Args:
        seen: From `crop`.
        hour: Of `HOURS`.
        night: What the camera does in the dark.
        weather: ``headlights`` only at night.
        dice: Everything that happens by chance.
    """
    picture = seen.copy()
    _traffic(picture, dice)
    sun = clouds(dice, ROWS, COLUMNS, 220)[..., None]
    picture *= dice.uniform(0.92, 1.06) * (1 + 0.07 * sun)
    if weather == "snow":
        _snow(picture, dice)
    elif weather == "fog":
        _fog(picture, dice)
    elif weather == "rain":
        _rain(picture, dice)
    picture, grain = _light(picture, hour, night)
    if weather == "headlights":
        _headlights(picture, dice)
    return picture + dice.normal(0, grain, (ROWS, COLUMNS, 1)).astype(np.float32) * (
        1.0 if night == "infrared" and hour == 2 else dice.uniform(0.8, 1.2, 3).astype(np.float32)
    )


def stamp(picture: Canvas, hour: int, second: int) -> Canvas:
    """Write the clock over it, as the encoder does, whatever the sensor sees."""
    write(picture, 12, 24, f"2026-05-{1 + second // 3600 % 28:02} {hour:02}:{second // 60 % 60:02}")
    write(picture, 470, 346, "CAM 01")
    return picture


def _traffic(picture: Canvas, dice: np.random.Generator) -> None:
    for _ in range(int(dice.integers(0, 5))):
        x, y = dice.uniform(0, COLUMNS), dice.uniform(150, 330)
        size = dice.uniform(14, 46)
        shade = dice.uniform(30, 220)
        blue, green, red = (float(each) for each in shade + dice.uniform(-35, 35, 3))
        box(picture, x, y, size, size * 0.45, (blue, green, red))
        box(picture, x + size * 0.2, y - size * 0.2, size * 0.5, size * 0.2, (45, 42, 40))


def _light(picture: Canvas, hour: int, night: Night) -> tuple[Canvas, float]:
    """Return the picture in the hour's light, and how much grain the sensor adds."""
    if hour == 19:
        return picture * np.array((0.42, 0.46, 0.52), np.float32), 2.0
    if hour != 2:
        return picture * (0.85 if hour == 8 else 1.0), 1.2
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    if night == "infrared":
        far = np.hypot((columns - COLUMNS / 2) / COLUMNS, (rows - ROWS / 2) / ROWS)
        grey = picture.mean(axis=2, keepdims=True) * (0.85 - 0.75 * far[..., None])
        return np.repeat(grey, 3, axis=2), 3.0
    lamps = np.zeros((ROWS, COLUMNS), np.float32)
    for x in (0.2, 0.55, 0.9):
        lamps += np.exp(-(np.hypot(columns - x * COLUMNS, rows - 140) ** 2) / (2 * 110**2))
    tint = np.array((0.6, 0.85, 1.0), np.float32)
    return picture * (0.10 + 0.42 * lamps[..., None]) * tint, 3.5


def _fog(picture: Canvas, dice: np.random.Generator) -> None:
    depth = np.linspace(1, 0.25, ROWS, dtype=np.float32)[:, None, None]
    veil = dice.uniform(0.55, 0.85) * depth
    picture *= 1 - veil
    picture += veil * 195


def _rain(picture: Canvas, dice: np.random.Generator) -> None:
    picture *= 0.8
    picture += 25
    for _ in range(int(dice.integers(150, 400))):
        x, y, long = dice.uniform(0, COLUMNS), dice.uniform(0, ROWS), dice.uniform(8, 26)
        line(picture, x, y, (x + long * 0.25, y + long), (172, 170, 168))


def _snow(picture: Canvas, dice: np.random.Generator) -> None:
    picture *= 0.65
    picture += 75
    lying = np.clip(0.75 + clouds(dice, ROWS // 2, COLUMNS, 50), 0, 1)[..., None]
    ground = picture[ROWS - ROWS // 2 :]
    ground *= 1 - 0.75 * lying
    ground += 0.75 * lying * 225
    for _ in range(int(dice.integers(150, 450))):
        white = (240.0, 240.0, 240.0)
        disc(picture, dice.uniform(0, COLUMNS), dice.uniform(0, ROWS), dice.uniform(1, 2.6), white)


def _headlights(picture: Canvas, dice: np.random.Generator) -> None:
    glare = np.zeros((ROWS, COLUMNS, 3), np.float32)
    x, y = dice.uniform(120, 500), dice.uniform(180, 300)
    for side in (-26, 26):
        disc(glare, x + side, y, 13, (255, 255, 255))
    picture += smooth(glare, 5) * 2 + smooth(glare, 45) * 5
