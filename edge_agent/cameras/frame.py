"""The picture worker: a program of its own that decodes and measures one JPEG after the other.

OpenCV lives here and nowhere else. The parent (`grader`) writes a length (4 bytes, big-endian) and
a JPEG, and reads a length and a MessagePack `Measures`, or nothing where the picture is broken.
A decoder that hangs, crashes or eats memory takes only this process along.
"""

from __future__ import annotations

import hashlib
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import msgspec
import numpy as np
import numpy.typing as npt

from edge_agent.cameras.picture import Measures

WIDTH, HEIGHT = 480, 270
MAX_JPEG = 16 * 1024 * 1024
MEMORY = 768 * 1024 * 1024
"""Bytes that decoding may take on top of the loaded libraries."""

_REDUCED = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    1: cv2.IMREAD_GRAYSCALE,
}


def measure(jpeg: bytes, width: int, height: int) -> Measures | None:
    """Decode a JPEG and measure it.

    Args:
        jpeg: Whole file; its header was checked.
        width: From the header; decides how much the decoder may shrink it on the way.
        height: From the header.

    Returns:
        None when it cannot be decoded.
    """
    shrink = next(factor for factor in _REDUCED if width >= WIDTH * factor or factor == 1)
    try:
        grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), _REDUCED[shrink])
    except cv2.error:
        return None
    if grey is None or not grey.size:
        return None
    return _measures(_scaled(grey), width, height)


def _scaled(grey: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows, columns = grey.shape
    factor = min(WIDTH / columns, HEIGHT / rows, 1.0)
    size = (max(8, round(columns * factor)), max(8, round(rows * factor)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def _measures(grey: npt.NDArray[Any], width: int, height: int) -> Measures:
    mean, std = cv2.meanStdDev(grey)
    edges = cv2.Laplacian(grey, cv2.CV_16S)
    _, edge_std = cv2.meanStdDev(edges)
    residual = cv2.absdiff(grey, cv2.medianBlur(grey, 3))
    edge = grey.shape[0] // 8  # clocks and names are painted over the first and last rows
    middle = np.ascontiguousarray(grey[edge : grey.shape[0] - edge])
    return Measures(
        width=width,
        height=height,
        mean=float(mean.item()),
        std=float(std.item()),
        sharpness=float(edge_std.item()) ** 2,
        residual=float(residual.mean()),
        key=hashlib.blake2b(middle.tobytes(), digest_size=8).hexdigest(),
    )


def confine() -> None:
    """Give up what decoding does not need: memory, files, core dumps, more CPU than its share."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    mapped = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer one picture after the other until the parent closes the pipe."""
    while len(head := source.read(12)) == 12:
        length, width, height = (int.from_bytes(head[at : at + 4], "big") for at in (0, 4, 8))
        if length > MAX_JPEG:
            return
        measures = measure(source.read(length), width, height)
        answer = msgspec.msgpack.encode(measures) if measures is not None else b""
        sink.write(len(answer).to_bytes(4, "big") + answer)
        sink.flush()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
