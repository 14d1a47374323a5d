"""What is measured of a picture, and a JPEG's size before anything decodes it. Pure."""

from __future__ import annotations

import msgspec

from gateway_core.errors import PayloadError

MAX_SIDE = 12_000
MAX_PIXELS = 40_000_000
"""Wider or larger than any camera sold; the decoder's memory is a multiple of it."""

ACROSS, DOWN = 8, 6
"""Cells that a picture is divided into for its layout."""
CELLS = ACROSS * DOWN


class Measures(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is measured of a picture, scaled to at most 480 x 270.

    Attributes:
        width: Of the whole picture in pixels.
        height: Of the whole picture in pixels.
        mean: Brightness, 0-255.
        std: Standard deviation of the brightness.
        dead: Share of the pixels that equal all their neighbours exactly: no sensor drew them.
        contrast: From the 2nd to the 98th percentile of the brightness.
        sharpness: Variance of the Laplacian, less what the noise adds to it.
        focus: Sharpness against the variance of the brightness, so that fog does not look blurred;
            in thousandths.
        noise: Standard deviation of what is random from pixel to pixel.
        stripes: Amplitude of the strongest wave that runs through all quarters of the picture
            and stands out from the frequencies beside it.
        chroma: Mean distance from grey in Lab.
        cast_a: Mean of Lab's a* (green to red).
        cast_b: Mean of Lab's b* (blue to yellow).
        lights: For each of `CELLS`, the mean brightness.
        cells: For each of `CELLS`, the standard deviation of the brightness, 0-255.
        edges: For each of `CELLS`, how much changes across, then for each how much changes down.
        profile: Column means and then row means without their slow part; to tell movements.
        key: Hash of the middle rows, which no clock is painted over; equal for equal pictures.
        shift: By what share of its size the scene moved since the picture before; 0 without one.
        overlap: How well the two profiles agree after that shift, -1 to 1; 0 without one.
    """

    width: int
    height: int
    mean: float
    std: float
    dead: float
    contrast: float
    sharpness: float
    focus: float
    noise: float
    stripes: float
    chroma: float
    cast_a: float
    cast_b: float
    lights: bytes
    cells: bytes
    edges: bytes
    profile: bytes
    key: str
    shift: float = 0.0
    overlap: float = 0.0


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
