"""Frames: what stands around a payload on a serial line, by name or described in the profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from device_profiles.codecs.checksum import CHECKSUMS, Checksum
from device_profiles.codecs.contract import SpecError, Values
from device_profiles.codecs.fields import compile_fields
from device_profiles.codecs.fragments import Find
from device_profiles.codecs.grammar import (
    Order,
    Path,
    choice,
    mapping,
    nearest,
    octets,
    order_of,
    text,
    whole,
)
from device_profiles.codecs.jt808 import NAMES as JT808_NAMES
from device_profiles.codecs.jt808 import jt808_part, jt808_places, open_jt808
from device_profiles.codecs.layout import Layout, truncated
from device_profiles.codecs.modbus import NAMES as MODBUS_NAMES
from device_profiles.codecs.modbus import modbus_places, open_modbus
from device_profiles.codecs.nested import nest
from device_profiles.codecs.trace import Kind, Places, Span
from gateway_core.errors import PayloadError

Open = Callable[[bytes], tuple[bytes, Values]]
"""From a frame to ``(data, values of its header)``; raises `PayloadError`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A compiled frame.

    Attributes:
        open: From the frame to ``(data, values of its header)``; raises `PayloadError`.
        names: The values' names, for conditions of later steps.
        find: Where the parts of a frame stand in it; None where the data is not in it as it is.
        part: Which part of a longer message it is; None where all messages are whole.
    """

    open: Open
    names: tuple[str, ...]
    find: Callable[[bytes], Places] | None = None
    part: Find | None = None


_NAMED = {
    "modbus-rtu": Frame(open_modbus, MODBUS_NAMES, modbus_places),
    "jt808": Frame(open_jt808, JT808_NAMES, jt808_places, jt808_part),
}
_UNCHECKED: dict[str, Open] = {
    "modbus-rtu": partial(open_modbus, check=False),
    "jt808": partial(open_jt808, check=False),
}
_KEYS = ("preamble", "start", "header", "length", "checksum", "end", "subtract", "order", "strict")
DAMAGE = "_frame"
"""What stands in the values of a frame that was read although its check bytes are wrong."""
_DEFAULT_ORDER: Order = "big"


def compile_frame(spec: object, path: Path) -> Frame:
    """Compile ``frame: modbus-rtu``, ``{name: jt808, strict: false}`` or a described frame.

    A described frame is ``preamble* start header data checksum end``. Keys, all but one of start,
    header, end or checksum optional: ``preamble`` (bytes that may come first, any number of times),
    ``start``, ``end`` (hexadecimal), ``header`` (fields of fixed size), ``length`` (``{from: field,
    plus: n}``: the data's length; or the field's name), ``checksum`` (a name, or ``{type, order,
    skip: leading bytes left out}``), ``subtract`` (taken from every byte of data), ``order``, and
    ``strict: false`` (a frame whose check bytes are wrong is read and says so).

    Raises:
        SpecError: The specification is wrong.
    """
    if isinstance(spec, dict) and "name" in spec:
        found = mapping(spec, path, ("name", "strict"))
        name = choice(found["name"], (*path, "name"), _NAMED)
        if _strict(found, path):
            return _NAMED[name]
        return replace(_NAMED[name], open=_tolerant(_NAMED[name].open, _UNCHECKED[name]))
    if isinstance(spec, str):
        if spec not in _NAMED:
            known = ", ".join(_NAMED)
            hint = nearest(spec, _NAMED)
            raise SpecError(path, f"unknown frame {spec!r}, expected {known} or a mapping{hint}")
        return _NAMED[spec]
    found = mapping(spec, path, _KEYS)
    order = order_of(found, path, _DEFAULT_ORDER)
    edges = {key: octets(found.get(key, ""), (*path, key)) for key in ("preamble", "start", "end")}
    header = (
        compile_fields(found["header"], order, (*path, "header"), nest)
        if "header" in found
        else None
    )
    names = _header_names(found.get("header", []), header, path)
    check = _Check.of(found["checksum"], (*path, "checksum")) if "checksum" in found else None
    if not (edges["start"] or edges["end"] or header or check):
        raise SpecError(path, "a frame needs a start, a header, a checksum or an end")
    shape = _Shape(
        edges["preamble"],
        edges["start"],
        edges["end"],
        header,
        header.run.need if header and header.run else 0,
        _length_of(found.get("length"), names, (*path, "length")),
        check,
        _shift_table(whole(found.get("subtract", 0), (*path, "subtract"), 0, 255)),
    )
    opens: Open = shape.open
    if not _strict(found, path):
        opens = _tolerant(shape.open, replace(shape, tested=False).open)
    return Frame(opens, names, shape.find)


def _strict(found: dict[str, Any], path: Path) -> bool:
    strict = found.get("strict", True)
    if not isinstance(strict, bool):
        raise SpecError((*path, "strict"), "expected true or false")
    return strict


def _tolerant(opens: Open, unchecked: Open) -> Open:
    """Return what reads a frame also with wrong check bytes, and then says so in its values."""

    def read(frame: bytes) -> tuple[bytes, Values]:
        try:
            return opens(frame)
        except PayloadError as exc:
            if exc.code not in ("bad_crc", "bad_checksum"):
                raise
        data, values = unchecked(frame)
        return data, {**values, DAMAGE: "checksum"}

    return read


@dataclass(frozen=True, slots=True)
class _Check:
    """Where a frame's checksum is and what it covers."""

    checksum: Checksum
    order: Order
    skip: int

    @classmethod
    def of(cls, spec: object, path: Path) -> _Check:
        found = {"type": spec} if isinstance(spec, str) else spec
        found = mapping(found, path, ("type", "order", "skip"), "type")
        checksum = CHECKSUMS[choice(found["type"], (*path, "type"), CHECKSUMS)]
        order = order_of(found, path, "little" if checksum.little else "big")
        return cls(checksum, order, whole(found.get("skip", 0), (*path, "skip"), 0, 255))

    def test(self, covered: bytes, sent: bytes) -> None:
        if self.checksum.compute(covered[self.skip :]) != int.from_bytes(sent, self.order):
            size = self.checksum.size
            raise PayloadError("bad_checksum" if size == 1 else "bad_crc", "it does not fit")


@dataclass(frozen=True, slots=True)
class _Shape:
    """A described frame, ready to be opened."""

    preamble: bytes
    start: bytes
    end: bytes
    header: Layout | None
    header_size: int
    length: tuple[str, int] | None
    check: _Check | None
    shift: bytes | None
    tested: bool = True

    def open(self, frame: bytes) -> tuple[bytes, Values]:
        """Return data and header values of one whole frame."""
        frame = self._trimmed(frame)
        sum_size = self.check.checksum.size if self.check else 0
        first = len(self.start) + self.header_size
        last = len(frame) - len(self.end) - sum_size
        if last < first:
            raise truncated(first + sum_size + len(self.end), len(frame))
        if self.check and self.tested:
            self.check.test(frame[:last], frame[last : last + sum_size])
        values: Values = {}
        if self.header:
            self.header.read(frame, len(self.start), first, values)
        data = frame[first:last]
        if self.length:
            announced = values[self.length[0]] + self.length[1]
            if announced != len(data):
                raise PayloadError("bad_length", f"{announced} announced, {len(data)} there")
        return (data.translate(self.shift) if self.shift else data), values

    def find(self, frame: bytes) -> Places:
        """Return where the parts of a frame that `open` took stand in it."""
        lead = len(frame) - len(self._trimmed(frame))
        sum_size = self.check.checksum.size if self.check else 0
        header = lead + len(self.start)
        first, end = header + self.header_size, len(frame) - len(self.end)
        last = end - sum_size
        spans = [
            Span(0, lead, "preamble", "mark"),
            Span(lead, header, "start", "mark"),
            Span(last, end, "checksum", "check"),
            Span(end, len(frame), "end", "mark"),
        ]
        for one in self.header.run.placed if self.header and self.header.run else ():
            at = header + one.offset
            kind: Kind = "field" if one.name else "skip"
            spans.append(Span(at, at + one.scalar.size, one.name or "", kind))
        return Places([(at, at + 1) for at in range(first, last)], spans)

    def _trimmed(self, frame: bytes) -> bytes:
        """Return the frame without its preamble; raise ``bad_frame`` when an end is wrong."""
        at = 0
        while self.preamble and frame.startswith(self.preamble, at):
            at += len(self.preamble)
        frame = frame[at:]
        if not frame.startswith(self.start):
            raise PayloadError("bad_frame", f"does not start with {self.start.hex()}")
        if not frame.endswith(self.end):
            raise PayloadError("bad_frame", f"does not end with {self.end.hex()}")
        return frame


def _header_names(spec: object, header: Layout | None, path: Path) -> tuple[str, ...]:
    """Return the names of a header's fields, which must have fixed places."""
    if header is None:
        return ()
    if header.run is None:
        raise SpecError((*path, "header"), "a header has fields of fixed size only")
    assert isinstance(spec, list)
    return tuple(str(name) for item in spec if isinstance(item, dict) for name in item)


def _length_of(spec: object, names: tuple[str, ...], path: Path) -> tuple[str, int] | None:
    if spec is None:
        return None
    found = mapping(
        {"from": spec} if isinstance(spec, str) else spec, path, ("from", "plus"), "from"
    )
    field = text(found["from"], (*path, "from"))
    if field not in names:
        raise SpecError((*path, "from"), f"{field!r} is not a field of the header")
    return field, whole(found.get("plus", 0), (*path, "plus"), -65535, 65535)


def _shift_table(subtract: int) -> bytes | None:
    """Return the translation that takes `subtract` from every byte, modulo 256."""
    return bytes((byte - subtract) % 256 for byte in range(256)) if subtract else None
