"""From a picture's measures to its faults, and a JPEG's size before anything decodes it. Pure."""

from __future__ import annotations

import msgspec

from gateway_core.errors import PayloadError

MAX_SIDE = 12_000
MAX_PIXELS = 40_000_000
"""Wider or larger than any camera sold; the decoder's memory is a multiple of it."""

DARK_MEAN = 20.0
BRIGHT_MEAN = 235.0
FLAT_STD = 4.0
# Each of these stands in the geometric middle between a good and a bad picture as measured at
# 480 x 270 (docs/explanation/patrol.md).
BLURRED_SHARPNESS = 20.0
NOISY_SHARPNESS = 1700.0
NOISY_RESIDUAL = 3.0


class Measures(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is measured of a picture, in grey, scaled to at most 480 x 270.

    Attributes:
        width: Of the whole picture in pixels.
        height: Of the whole picture in pixels.
        mean: Brightness, 0-255.
        std: Standard deviation of the brightness.
        sharpness: Variance of the Laplacian.
        residual: Mean distance from the 3 x 3 median: noise.
        key: Hash of the middle rows, which no clock is painted over; equal for equal pictures.
    """

    width: int
    height: int
    mean: float
    std: float
    sharpness: float
    residual: float
    key: str


def grade(measures: Measures, last_key: str) -> tuple[str, ...]:
    """Name the faults of a picture, a subset of `verdict.GRADES`.

    Args:
        measures: Of this picture.
        last_key: Of the picture before; empty when there is none.
    """
    if measures.mean < DARK_MEAN and measures.std < 2 * FLAT_STD:
        return ("picture_black",)
    if measures.mean > BRIGHT_MEAN:
        return ("picture_white",)
    if measures.std < FLAT_STD:
        return ("picture_flat",)
    faults: list[str] = []
    if measures.sharpness < BLURRED_SHARPNESS:
        faults.append("picture_blurred")
    if measures.sharpness > NOISY_SHARPNESS and measures.residual > NOISY_RESIDUAL:
        faults.append("picture_noisy")
    if measures.key == last_key:  # sensor noise makes no two pictures of a live camera equal
        faults.append("picture_frozen")
    return tuple(faults)


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return (width, height) from a JPEG's frame header (ITU-T T.81 B.2.2).

    Raises:
        PayloadError: ``picture_unreadable`` or ``picture_too_large``.
    """
    if not data.startswith(b"\xff\xd8"):
        raise PayloadError("picture_unreadable", "not a JPEG")
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height = int.from_bytes(data[at + 5 : at + 7], "big")
            width = int.from_bytes(data[at + 7 : at + 9], "big")
            if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
                raise PayloadError("picture_too_large", f"{width} x {height} pixels")
            if not width or not height:
                break
            return width, height
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise PayloadError("picture_unreadable", "a JPEG without a frame header")
