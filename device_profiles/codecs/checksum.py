"""Checksums that meters and loggers put into their frames, by name."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True, slots=True)
class Checksum:
    """How a checksum is computed and sent.

    Attributes:
        size: Bytes on the wire.
        little: True when it is usually sent low byte first.
        compute: From the covered bytes to the number.
    """

    size: int
    little: bool
    compute: Callable[[bytes], int]


def _reflected(polynomial: int) -> tuple[int, ...]:
    """Return the table of a CRC whose bits go in least significant first."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _straight(polynomial: int) -> tuple[int, ...]:
    """Return the table of an 8-bit CRC whose bits go in most significant first."""
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & 0x80 else 0)) & 0xFF
        table.append(value)
    return tuple(table)


_MODBUS = _reflected(0xA001)
_MAXIM = _reflected(0x8C)
_CRC8 = _straight(0x07)


def crc16_modbus(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU (polynomial 0x8005 reflected, initial 0xFFFF)."""
    crc, table = 0xFFFF, _MODBUS
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc


def xor8(data: bytes) -> int:
    """Return the exclusive or of all bytes; folds one large integer, half by half."""
    left, size = int.from_bytes(data, "big"), len(data)
    while size > 1:
        size = (size + 1) // 2
        left = left >> size * 8 ^ left & (1 << size * 8) - 1
    return left


def _crc8(table: tuple[int, ...]) -> Callable[[bytes], int]:
    return lambda data: reduce(lambda crc, byte: table[crc ^ byte], data, 0)


CHECKSUMS: dict[str, Checksum] = {
    "sum8": Checksum(1, little=False, compute=lambda data: sum(data) & 0xFF),
    "sum16": Checksum(2, little=False, compute=lambda data: sum(data) & 0xFFFF),
    "xor8": Checksum(1, little=False, compute=xor8),
    "crc8": Checksum(1, little=False, compute=_crc8(_CRC8)),
    "crc8-maxim": Checksum(1, little=False, compute=_crc8(_MAXIM)),
    "crc16-modbus": Checksum(2, little=True, compute=crc16_modbus),
    "crc16-ccitt": Checksum(2, little=False, compute=lambda data: binascii.crc_hqx(data, 0xFFFF)),
    "crc16-xmodem": Checksum(2, little=False, compute=lambda data: binascii.crc_hqx(data, 0)),
    "crc32": Checksum(4, little=True, compute=binascii.crc32),
}
"""Name to checksum. ``crc16-ccitt`` starts at 0xFFFF (CCITT-FALSE), ``crc16-xmodem`` at 0."""
