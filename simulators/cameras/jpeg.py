"""Grey baseline JPEGs written without a library (ITU-T T.81), as varied as sensor noise is."""

from __future__ import annotations

import functools
from random import Random

from simulators.cameras.options import Condition

COLUMNS, ROWS = 80, 45
"""Blocks of 8 x 8 pixels: 640 x 360."""
VARIANTS = 4
_STEP = 16  # every entry of the quantisation table


@functools.cache
def picture(condition: Condition, variant: int) -> bytes:
    """Return a snapshot.

    Args:
        condition: ``black``, ``blurred`` and ``frozen`` look like it; all others look good.
        variant: Different ones differ in every block, as two pictures of a live sensor do.
    """
    if condition == "frozen":
        variant = 0
    dice = Random(variant)  # noqa: S311 - a picture
    blocks: list[tuple[int, ...]] = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            light = 12 * ((column // 8 + row // 6) % 2) + row // 3 - 14 + dice.randint(-1, 1)
            if condition == "black":
                blocks.append((-60,))
            elif condition == "blurred":
                blocks.append((row - 22,))
            else:
                texture = (dice.choice((-3, -2, 2, 3)), dice.choice((-2, -1, 1, 2)))
                blocks.append((light, *texture))
    return encode(blocks, COLUMNS, ROWS)


def encode(blocks: list[tuple[int, ...]], columns: int, rows: int) -> bytes:
    """Encode blocks of quantised coefficients.

    Args:
        blocks: Row by row; each holds the DC coefficient and then the first AC coefficients in
            zigzag order, none of which is 0.
        columns: Blocks in a row.
        rows: Rows of blocks.
    """
    height, width = (8 * rows).to_bytes(2, "big"), (8 * columns).to_bytes(2, "big")
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            _segment(0xDB, b"\x00" + bytes([_STEP] * 64)),
            _segment(0xC0, b"\x08" + height + width + b"\x01\x01\x11\x00"),
            # Each code has four bits and is its symbol's place in the list: the size of a
            # coefficient, with no zeros before it; 0 ends a block.
            _segment(0xC4, b"\x00" + bytes([0, 0, 0, 12]) + bytes(12) + bytes(range(12))),
            _segment(0xC4, b"\x10" + bytes([0, 0, 0, 11]) + bytes(12) + bytes(range(11))),
            _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
            _scan(blocks),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _scan(blocks: list[tuple[int, ...]]) -> bytes:
    bits: list[str] = []
    before = 0
    for dc, *acs in blocks:
        bits.append(_coefficient(dc - before))
        before = dc
        bits.extend(map(_coefficient, acs))
        bits.append("0000")
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    return int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")


@functools.cache
def _coefficient(value: int) -> str:
    size = abs(value).bit_length()
    low = value if value >= 0 else value + (1 << size) - 1
    return f"{size:04b}" + (f"{low:0{size}b}" if size else "")
