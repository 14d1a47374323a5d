"""Plain field types: from a name such as ``u24le`` to bytes, a struct code and a converter."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device_profiles.codecs.contract import SpecError
from device_profiles.codecs.grammar import PLAIN, Order, Path, nearest, text

_NAME = re.compile(
    r"(?P<kind>[ui]|f|bcd|dec|sdec|hex|ascii|skip)(?P<n>\d*)(?P<tail>le|be|cdab|badc)?$"
)
_INTEGER = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOAT = {16: "e", 32: "f", 64: "d"}
_LONGEST = 4096
_BITS = (8, 16, 24, 32, 40, 48, 56, 64)
_KINDS = ("u8", "u16", "u32", "i16", "i32", "f32", "bcd4", "dec4", "hex4", "ascii8", "skip1")


@dataclass(frozen=True, slots=True)
class Scalar:
    """One plain field type.

    Attributes:
        size: Bytes; 0 means all that is left of the block.
        code: Format characters of the `struct` module, without byte order.
        order: ``<`` or ``>``, or empty where byte order means nothing to `code`.
        convert: From what `struct` gives to the value, or None when that is the value.
        unsigned: True for ``u8`` to ``u64``, which may carry ``bits``.
        skip: True for bytes that have no value.
    """

    size: int
    code: str
    order: str
    convert: Callable[[Any], Any] | None = None
    unsigned: bool = False
    skip: bool = False


def parse_scalar(name: object, order: Order, path: Path) -> Scalar:
    """Return the type that `name` stands for; `order` applies where it has no suffix of its own."""
    word = text(name, path)
    match = _NAME.fullmatch(word)
    if match is None:
        raise SpecError(path, f"unknown type {word!r}, expected {PLAIN}{nearest(word, _KINDS)}")
    kind, n, tail = match["kind"], int(match["n"] or 0), match["tail"]
    little = tail == "le" or (tail is None and order == "little")
    if kind in ("u", "i"):
        return _integer(n, little=little, signed=kind == "i", tail=tail, path=path)
    if kind == "f":
        return _float(n, little=little, tail=tail, path=path)
    if tail in ("cdab", "badc"):
        raise SpecError(path, f"{tail!r} is for integers and floats of 32 or 64 bits")
    if n > _LONGEST or (n == 0 and not (kind in ("hex", "ascii") and not match["n"])):
        raise SpecError(path, f"{word!r} needs a number of bytes from 1 to {_LONGEST}")
    if kind == "skip":
        return Scalar(n, f"{n}x", "", skip=True)
    # text keeps the order it was sent in unless the type itself says otherwise
    turn = tail == "le" if kind in ("hex", "ascii") else little
    return Scalar(n, f"{n}s", "", _CONVERTERS[kind](turn))


def _integer(n: int, *, little: bool, signed: bool, tail: str | None, path: Path) -> Scalar:
    if n not in _BITS:
        raise SpecError(path, f"integers have 8, 16, 24 to 64 bits in whole bytes, not {n}")
    size = n // 8
    if tail in ("cdab", "badc"):
        swap = _swap(size, tail, path)
        code = _INTEGER[size].lower() if signed else _INTEGER[size]
        return Scalar(size, f"{size}s", "", _unpacked(code, swap), unsigned=not signed)
    order = "" if size == 1 else "<" if little else ">"
    if size in _INTEGER:
        code = _INTEGER[size].lower() if signed else _INTEGER[size]
        return Scalar(size, code, order, unsigned=not signed)
    ends: Order = "little" if little else "big"

    def convert(raw: bytes) -> int:
        return int.from_bytes(raw, ends, signed=signed)

    return Scalar(size, f"{size}s", "", convert, unsigned=not signed)


def _float(n: int, *, little: bool, tail: str | None, path: Path) -> Scalar:
    if n not in _FLOAT:
        raise SpecError(path, f"floats have 16, 32 or 64 bits, not {n}")
    if tail in ("cdab", "badc"):
        return Scalar(n // 8, f"{n // 8}s", "", _unpacked(_FLOAT[n], _swap(n // 8, tail, path)))
    return Scalar(n // 8, _FLOAT[n], "<" if little else ">")


def _swap(size: int, tail: str, path: Path) -> list[int]:
    """Return the positions that put the bytes of swapped registers into big-endian order."""
    if size not in (4, 8):
        raise SpecError(path, f"{tail!r} is for integers and floats of 32 or 64 bits")
    if tail == "cdab":  # low register first, each register high byte first
        return [i for at in range(size - 2, -1, -2) for i in (at, at + 1)]
    return [i for at in range(0, size, 2) for i in (at + 1, at)]


def _unpacked(code: str, positions: list[int]) -> Callable[[bytes], Any]:
    unpack = struct.Struct(">" + code).unpack

    def convert(raw: bytes) -> Any:
        return unpack(bytes([raw[i] for i in positions]))[0]

    return convert


def _hex(little: bool) -> Callable[[bytes], str]:  # noqa: FBT001 - table of makers
    return (lambda raw: raw[::-1].hex()) if little else bytes.hex


def _decimal(little: bool) -> Callable[[bytes], int | str]:  # noqa: FBT001
    """Digits as a number; what is not all digits stays text, so that quality flags it."""
    digits_of = _hex(little)

    def convert(raw: bytes) -> int | str:
        digits = digits_of(raw)
        return int(digits) if len(digits) <= 18 and digits.isdecimal() else digits

    return convert


def _signed_decimal(little: bool) -> Callable[[bytes], int | str]:  # noqa: FBT001
    """As `_decimal`, the highest bit of the most significant byte being the sign."""
    ends: Order = "little" if little else "big"
    plain = _decimal(little=False)

    def convert(raw: bytes) -> int | str:
        whole = int.from_bytes(raw, ends)
        sign = 1 << (len(raw) * 8 - 1)
        number = plain((whole & (sign - 1)).to_bytes(len(raw), "big"))
        if isinstance(number, str):
            return whole.to_bytes(len(raw), "big").hex()
        return -number if whole & sign else number

    return convert


def _ascii(little: bool) -> Callable[[bytes], str]:  # noqa: FBT001
    def convert(raw: bytes) -> str:
        raw = raw[::-1] if little else raw
        return raw.split(b"\0", 1)[0].decode("ascii", "replace").rstrip(" ")

    return convert


_CONVERTERS: dict[str, Callable[[bool], Callable[[bytes], Any]]] = {
    "bcd": _hex,
    "dec": _decimal,
    "sdec": _signed_decimal,
    "hex": _hex,
    "ascii": _ascii,
}
