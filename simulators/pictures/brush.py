"""What the pictures are drawn with. OpenCV lives here."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.float32]
"""Rows x columns x blue, green, red; 0-255."""
Colour = tuple[float, float, float]


def fill(canvas: Canvas, points: Sequence[tuple[float, float]], colour: Colour) -> None:
    """Fill a polygon of (x, y) points."""
    cv2.fillPoly(canvas, [np.round(np.array(points)).astype(np.int32)], colour, cv2.LINE_AA)


def box(canvas: Canvas, x: float, y: float, width: float, height: float, colour: Colour) -> None:
    """Fill a rectangle."""
    far = (round(x + width), round(y + height))
    cv2.rectangle(canvas, (round(x), round(y)), far, colour, cv2.FILLED)


def disc(canvas: Canvas, x: float, y: float, radius: float, colour: Colour) -> None:
    """Fill a circle."""
    cv2.circle(canvas, (round(x), round(y)), max(1, round(radius)), colour, -1, cv2.LINE_AA)


def line(
    canvas: Canvas, x: float, y: float, to: tuple[float, float], colour: Colour, width: int = 1
) -> None:
    """Draw a line."""
    end = (round(to[0]), round(to[1]))
    cv2.line(canvas, (round(x), round(y)), end, colour, width, cv2.LINE_AA)


def write(canvas: Canvas, x: float, y: float, text: str, size: float = 0.5) -> None:
    """Write white letters with a black edge, as an overlay has them."""
    at, letters = (round(x), round(y)), np.clip(canvas, 0, 255).astype(np.uint8)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(letters, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    canvas[:] = letters


def smooth(canvas: Canvas, sigma: float) -> Canvas:
    """Blur with a Gaussian of so many pixels."""
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.float32)


def clouds(dice: np.random.Generator, rows: int, columns: int, grain: float) -> Canvas:
    """Return soft random patches, -1 to 1, of about ``grain`` pixels."""
    few = dice.uniform(-1, 1, (max(2, int(rows / grain)), max(2, int(columns / grain))))
    whole = cv2.resize(few.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.asarray(whole, np.float32)


def jpeg(canvas: Canvas, quality: int) -> bytes:
    """Encode."""
    whole = np.clip(np.round(canvas), 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
