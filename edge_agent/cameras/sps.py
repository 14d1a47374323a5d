"""Picture size from a sequence parameter set (ITU-T H.264 7.3.2.1.1, H.265 7.3.2.2)."""

from __future__ import annotations

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_MAX_SIDE = 16_384


class _Bits:
    """Reads bits from the most significant on; past the end raises IndexError."""

    def __init__(self, data: bytes) -> None:
        # 00 00 03 is 00 00 with an emulation prevention byte behind it (H.264 7.4.1.1).
        self._data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._at = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte = self._data[self._at >> 3]
            value = value << 1 | (byte >> (7 - (self._at & 7)) & 1)
            self._at += 1
        return value

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise IndexError("Exp-Golomb code too long")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def h264_size(unit: bytes) -> tuple[int, int] | None:
    """Return (width, height) in pixels after cropping, or None if the unit cannot be read.

    Args:
        unit: One NAL unit, its header byte included.
    """
    if len(unit) > 1024 or not unit or unit[0] & 0x1F != 7:
        return None
    try:
        return _plausible(*_h264(_Bits(unit[1:])))
    except IndexError:
        return None


def h265_size(unit: bytes) -> tuple[int, int] | None:
    """As `h264_size` for H.265, whose unit header has two bytes."""
    if len(unit) > 1024 or len(unit) < 2 or unit[0] >> 1 & 0x3F != 33:
        return None
    try:
        return _plausible(*_h265(_Bits(unit[2:])))
    except IndexError:
        return None


def _plausible(width: int, height: int) -> tuple[int, int] | None:
    return (width, height) if 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE else None


def _h264(bits: _Bits) -> tuple[int, int]:
    profile = bits.take(8)
    bits.take(16)  # constraints, level
    bits.ue()
    chroma = 1
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.take(1)
        bits.ue()
        bits.ue()
        bits.take(1)
        if bits.take(1):
            _skip_scaling(bits, 12 if chroma == 3 else 8)
    bits.ue()  # log2_max_frame_num
    _skip_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.take(1)
    width = (bits.ue() + 1) * 16
    rows = bits.ue() + 1
    frame_only = bits.take(1)
    if not frame_only:
        bits.take(1)
    bits.take(1)
    height = rows * 16 * (2 - frame_only)
    if not bits.take(1):
        return width, height
    left, right, top, bottom = (bits.ue() for _ in range(4))
    x_unit = 2 if chroma in {1, 2} else 1
    y_unit = (2 if chroma == 1 else 1) * (2 - frame_only)
    return width - (left + right) * x_unit, height - (top + bottom) * y_unit


def _skip_scaling(bits: _Bits, lists: int) -> None:
    for index in range(lists):
        if not bits.take(1):
            continue
        last = following = 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_order(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def _h265(bits: _Bits) -> tuple[int, int]:
    bits.take(4)
    sub_layers = bits.take(3)  # sps_max_sub_layers_minus1
    bits.take(1)
    bits.take(96)  # general profile, tier and level
    present = [(bits.take(1), bits.take(1)) for _ in range(sub_layers)]
    if sub_layers:
        bits.take(2 * (8 - sub_layers))
    for profile, level in present:
        bits.take(88 * profile + 8 * level)
    bits.ue()
    chroma = bits.ue()
    if chroma == 3:
        bits.take(1)
    width, height = bits.ue(), bits.ue()
    if not bits.take(1):
        return width, height
    left, right, top, bottom = (bits.ue() for _ in range(4))
    x_unit = 2 if chroma in {1, 2} else 1
    y_unit = 2 if chroma == 1 else 1
    return width - (left + right) * x_unit, height - (top + bottom) * y_unit
