"""Decodes a JPEG and measures it; runs in the picture worker only. OpenCV lives here.

Everything is measured at 480 x 270 or less, where a picture costs milliseconds and where the noise
and the sharpness of a sensor of two or of eight megapixels come out alike.
"""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.cameras.picture import ACROSS, DOWN, Measures

WIDTH, HEIGHT = 480, 270
_SMALL = (120, 68)
_WAVE = (128, 64)
"""What a quarter of the picture is scaled to before its waves are looked for."""
_ASIDE = 3
"""Beyond what the window smears a single frequency over."""
_SLOW = np.ix_(*(np.r_[:5, size - 4 : size] for size in reversed(_WAVE)))
_COLUMNS, _ROWS = 240, 136
_REACH = 0.1
"""How far a scene may have moved between two pictures, as a share of its size."""
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}
# Immerkaer, Fast Noise Variance Estimation, 1996: blind to edges and slopes.
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
_NOISE_IN_LAPLACIAN = 20.0  # the squares of its coefficients, added up

_Plane = npt.NDArray[Any]


def quieten() -> None:
    """Use one thread and print nothing, as a worker shall."""
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def measure(jpeg: bytes, width: int, height: int, before: bytes = b"") -> Measures | None:
    """Decode a JPEG and measure it.

    Args:
        jpeg: Whole file; its header was checked.
        width: From the header; decides how much the decoder may shrink it on the way.
        height: From the header.
        before: `Measures.profile` of the camera's last picture; empty without one.

    Returns:
        None when it cannot be decoded.
    """
    shrink = next(factor for factor in _REDUCED if width >= WIDTH * factor or factor == 1)
    try:
        colour = cv2.imdecode(np.frombuffer(jpeg, np.uint8), _REDUCED[shrink])
    except cv2.error:
        return None
    if colour is None or not colour.size:
        return None
    return _measures(_scaled(colour), width, height, before)


def _scaled(colour: _Plane) -> _Plane:
    rows, columns = colour.shape[:2]
    factor = min(WIDTH / columns, HEIGHT / rows, 1.0)
    size = (max(16, round(columns * factor)), max(16, round(rows * factor)))
    return cv2.resize(colour, size, interpolation=cv2.INTER_AREA)


def _measures(colour: _Plane, width: int, height: int, before: bytes) -> Measures:
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    edge = grey.shape[0] // 8  # clocks and names are painted over the first and last rows
    middle = np.ascontiguousarray(grey[edge : grey.shape[0] - edge])
    mean, std = (float(each.item()) for each in cv2.meanStdDev(grey))
    spread = float(cv2.meanStdDev(middle)[1].item())
    noise = _noise(middle)
    laplacian = float(cv2.meanStdDev(cv2.Laplacian(middle, cv2.CV_16S))[1].item()) ** 2
    sharpness = max(0.0, laplacian - _NOISE_IN_LAPLACIAN * noise**2)
    chroma, cast_a, cast_b = _colours(colour)
    histogram = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel())
    low, high = np.searchsorted(histogram, (0.02 * histogram[-1], 0.98 * histogram[-1]))
    lights, cells, edges = _layout(middle)
    profile = _profile(middle)
    shift, overlap = _shift(profile, np.frombuffer(before, np.int8))
    return Measures(
        width=width,
        height=height,
        mean=mean,
        std=std,
        dead=_dead(middle),
        contrast=float(high - low),
        sharpness=sharpness,
        focus=1000 * sharpness / (spread**2 + 4),
        noise=noise,
        stripes=_stripes(middle),
        chroma=chroma,
        cast_a=cast_a,
        cast_b=cast_b,
        lights=lights,
        cells=cells,
        edges=edges,
        profile=profile.tobytes(),
        key=hashlib.blake2b(middle.tobytes(), digest_size=8).hexdigest(),
        shift=shift,
        overlap=overlap,
    )


def _dead(grey: _Plane) -> float:
    kernel = np.ones((3, 3), np.uint8)
    differs = cv2.countNonZero(cv2.absdiff(cv2.dilate(grey, kernel), cv2.erode(grey, kernel)))
    return 1 - differs / grey.size


def _noise(grey: _Plane) -> float:
    """Return the noise where the scene itself is calmest: texture is no noise."""
    random = np.abs(cv2.filter2D(grey, cv2.CV_32F, _NOISE))
    blocks = cv2.resize(random, (30, 12), interpolation=cv2.INTER_AREA)
    clipped = cv2.resize(grey, (30, 12), interpolation=cv2.INTER_AREA)
    usable = blocks[(clipped > 12) & (clipped < 243)]
    return float(np.quantile(usable, 0.3)) * 1.2533 if usable.size > 20 else 0.0


def _stripes(grey: _Plane) -> float:
    """Look for one wave in all four quarters: a fence or a blind rarely fills them all."""
    rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
    window = cv2.createHanningWindow(_WAVE, cv2.CV_32F)
    least: _Plane | None = None
    for top in (0, rows):
        for left in (0, columns):
            quarter = grey[top : top + rows, left : left + columns].astype(np.float32)
            scaled = cv2.resize(quarter, _WAVE, interpolation=cv2.INTER_AREA)
            wave = cv2.dft((scaled - scaled.mean()) * window, flags=cv2.DFT_COMPLEX_OUTPUT)
            height = cv2.magnitude(wave[..., 0], wave[..., 1])
            least = height if least is None else cv2.min(least, height)
    assert least is not None
    # A wave stands out from its neighbours; an edge is in all frequencies, the low ones above all.
    beside = [np.roll(least, by, axis) for axis in (0, 1) for by in (-_ASIDE, _ASIDE)]
    alone = least - np.maximum.reduce(beside)
    alone[_SLOW] = 0  # the light changes slowly over the picture; that is no wave
    # A wave of amplitude 1 has the height N / 4 behind a Hann window in two directions, N / 2 / 4.
    return max(0.0, float(alone.max())) * 8 / (_WAVE[0] * _WAVE[1])


def _colours(colour: _Plane) -> tuple[float, float, float]:
    small = cv2.resize(colour, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB)
    a, b = lab[..., 1], lab[..., 2]
    return float(cv2.magnitude(a, b).mean()), float(a.mean()), float(b.mean())


def _layout(grey: _Plane) -> tuple[bytes, bytes, bytes]:
    """Measure each cell: its brightness, how much that varies, and in which direction."""
    wide, high = 8 * (grey.shape[1] // 8), 6 * (grey.shape[0] // 6)
    if not wide or not high:
        return bytes(ACROSS * DOWN), bytes(ACROSS * DOWN), bytes(2 * ACROSS * DOWN)
    picture = cv2.GaussianBlur(grey[:high, :wide], (5, 5), 0).astype(np.float32)
    size = (ACROSS, DOWN)
    mean = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    square = cv2.resize(picture * picture, size, interpolation=cv2.INTER_AREA)
    std = np.sqrt(np.maximum(0, square - mean * mean))
    changes = []
    for across, down in ((1, 0), (0, 1)):
        slope = np.abs(cv2.Sobel(picture, cv2.CV_32F, across, down, ksize=3))
        changes.append(8 * np.sqrt(cv2.resize(slope, size, interpolation=cv2.INTER_AREA)))
    edges = np.concatenate([each.ravel() for each in changes])
    return _bytes(mean), _bytes(std), _bytes(edges)


def _bytes(values: _Plane) -> bytes:
    return np.clip(values, 0, 255).astype(np.uint8).tobytes()


def _profile(grey: _Plane) -> npt.NDArray[np.int8]:
    picture = grey.astype(np.float32)
    columns = cv2.resize(picture.mean(axis=0)[None, :], (_COLUMNS, 1)).ravel()
    rows = cv2.resize(picture.mean(axis=1)[None, :], (_ROWS, 1)).ravel()
    out = []
    for line in (columns, rows):
        fast = line - cv2.blur(line[None, :], (31, 1)).ravel()
        scale = float(np.abs(fast).max())
        out.append(np.clip(fast * (127 / scale if scale > 0.5 else 0.0), -127, 127))
    return np.concatenate(out).astype(np.int8)


def _shift(now: npt.NDArray[np.int8], before: npt.NDArray[np.int8]) -> tuple[float, float]:
    if before.size != now.size:
        return 0.0, 0.0
    across, fit = _slide(now[:_COLUMNS], before[:_COLUMNS])
    down, other = _slide(now[_COLUMNS:], before[_COLUMNS:])
    return float(np.hypot(across, down)), min(fit, other)


def _slide(now: npt.NDArray[np.int8], before: npt.NDArray[np.int8]) -> tuple[float, float]:
    """Return by how much of its length one line fits the other best, and how well."""
    reach = round(len(now) * _REACH)
    if not now.any() or not before.any():
        return 0.0, 0.0
    line = before[reach:-reach].astype(np.float32)[None, :]
    fits = cv2.matchTemplate(now.astype(np.float32)[None, :], line, cv2.TM_CCOEFF_NORMED).ravel()
    best = int(np.argmax(fits))
    fit = float(fits[best])
    return ((best - reach) / len(now), fit) if np.isfinite(fit) else (0.0, 0.0)
