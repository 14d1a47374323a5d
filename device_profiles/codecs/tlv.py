"""``tlv`` streams: key, perhaps length, value, until the block ends.

Serves vendors' channel/type streams without lengths (the key decides how many bytes follow),
classic tag-length-value lists, and lists of stored samples inside either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from device_profiles.codecs.contract import SpecError, Values
from device_profiles.codecs.fields import Nest, compile_fields
from device_profiles.codecs.grammar import (
    Order,
    Path,
    choice,
    mapping,
    octets,
    order_of,
    sequence,
    text,
)
from device_profiles.codecs.layout import Layout, Reader, lone_value, record_layout, truncated
from device_profiles.codecs.scalar import parse_scalar
from device_profiles.codecs.trace import tracing
from gateway_core.errors import PayloadError

Case = Callable[[bytes, int, int, Values], int]
"""Reads one value from a position to at most an end into the values; returns where it ended."""


def compile_tlv(spec: object, order: Order, path: Path, nest: Nest) -> Reader:
    """Compile a ``tlv`` specification.

    Keys: ``key`` (list of unsigned types, default ``[u8]``), ``len`` (an unsigned type, or absent
    when the key alone decides), ``order``, ``cases`` (hexadecimal of the key's bytes as sent ->
    list of fields, or ``{fields, list}``), ``unknown`` (``error`` or, with ``len``, ``skip``) and
    ``rest`` (``error`` or ``ignore``: what to do when a value is longer than its fields).

    Raises:
        SpecError: The specification is wrong.
    """
    found = mapping(
        spec, path, ("key", "len", "order", "cases", "unknown", "rest", "when"), "cases"
    )
    order = order_of(found, path, order)
    width = _key_width(found.get("key", ["u8"]), order, (*path, "key"))
    cases = _cases(found["cases"], width, order, (*path, "cases"), nest)
    skip = choice(found.get("unknown", "error"), (*path, "unknown"), ("error", "skip")) == "skip"
    rest = choice(found.get("rest", "error"), (*path, "rest"), ("error", "ignore"))
    length = _length(found["len"], order, path) if "len" in found else None
    trace = tracing()
    if trace is not None:
        size = length[0] if length else 0
        places = [(*path, "cases", str(key)) for key in found["cases"]]
        cases = {
            raw: trace.watch_case(case, place, width, size)
            for place, (raw, case) in zip(places, cases.items(), strict=True)
        }
    if length is None:
        if skip:
            raise SpecError((*path, "unknown"), "skip needs len: without it nobody knows how far")
        return _keyed(width, cases)
    return _measured(width, cases, length, skip=skip, rest=rest)


def _keyed(width: int, cases: dict[bytes, Case]) -> Reader:
    """Return the reader of a stream in which the key decides how many bytes follow."""
    singles = {key: case.value for key, case in cases.items() if isinstance(case, _Lone)}

    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        while pos < end:
            value = pos + width
            single = singles.get(buf[pos:value])
            if single is not None:  # most cases: one plain value, without a call of its own
                size, unpack_from, name = single
                pos = value + size
                if pos > end:
                    raise truncated(size, max(end - value, 0))
                (out[name],) = unpack_from(buf, value)
                continue
            case = cases.get(buf[pos:value])
            if case is None or value > end:
                raise _unknown(buf[pos:end], width)
            pos = case(buf, value, end, out)
        return pos

    return read


def _measured(
    width: int, cases: dict[bytes, Case], length: tuple[int, Order], *, skip: bool, rest: str
) -> Reader:
    """Return the reader of a stream in which every value says how long it is."""
    size, ends = length

    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        while pos < end:
            value = pos + width + size
            if value > end:
                raise truncated(width + size, end - pos)
            stop = value + int.from_bytes(buf[pos + width : value], ends)
            if stop > end:
                raise truncated(stop - value, end - value)
            case = cases.get(buf[pos : pos + width])
            if case is not None:
                if case(buf, value, stop, out) != stop and rest == "error":
                    raise PayloadError("bad_length", "a value is longer than its fields")
            elif not skip:
                raise _unknown(buf[pos:end], width)
            pos = stop
        return pos

    return read


def _unknown(left: bytes, width: int) -> PayloadError:
    """Return the rejection of a key that no case names, or that is cut short."""
    if len(left) < width:
        return truncated(width, len(left))
    return PayloadError("unknown_tag", f"no case for key {left[:width].hex(' ')}")


def _key_width(spec: object, order: Order, path: Path) -> int:
    width = 0
    for index, name in enumerate(sequence(spec, path)):
        scalar = parse_scalar(name, order, (*path, index))
        if not scalar.unsigned:
            raise SpecError((*path, index), "a key is made of unsigned integers")
        width += scalar.size
    return width


def _length(spec: object, order: Order, path: Path) -> tuple[int, Order]:
    name = text(spec, (*path, "len"))
    scalar = parse_scalar(name, order, (*path, "len"))
    if not scalar.unsigned or scalar.size > 4 or name.endswith(("cdab", "badc")):
        raise SpecError((*path, "len"), "a length is u8, u16, u24 or u32")
    ends: Order = "little" if name.endswith("le") else "big" if name.endswith("be") else order
    return scalar.size, ends


def _cases(spec: object, width: int, order: Order, path: Path, nest: Nest) -> dict[bytes, Case]:
    if not isinstance(spec, dict) or not spec:
        raise SpecError(path, "expected a mapping of keys to fields")
    cases: dict[bytes, Case] = {}
    for key, value in spec.items():
        here = (*path, str(key))
        raw = octets(key, here)
        if len(raw) != width:
            raise SpecError(here, f"the key has {width} bytes, this names {len(raw)}")
        if raw in cases:
            raise SpecError(here, "this key stands here twice")
        cases[raw] = _case(value, order, here, nest)
    return cases


def _case(spec: object, order: Order, path: Path, nest: Nest) -> Case:
    if isinstance(spec, list):
        return _plain(compile_fields(spec, order, path, nest))
    found = mapping(spec, path, ("fields", "list", "order"), "fields")
    order = order_of(found, path, order)
    layout = compile_fields(found["fields"], order, (*path, "fields"), nest)
    if "list" not in found:
        return _plain(layout)
    name = text(found["list"], (*path, "list"))
    return _listed(name, record_layout(name, layout))


class _Lone:
    """A case that is one plain value, which a stream without lengths reads without a call."""

    __slots__ = ("_read", "value")

    def __init__(self, value: tuple[int, Callable[..., Any], str], read: Case) -> None:
        self.value = value
        self._read = read

    def __call__(self, buf: bytes, pos: int, end: int, out: Values) -> int:
        return self._read(buf, pos, end, out)


def _plain(layout: Layout) -> Case:
    """Return a case whose values join those of the block."""
    if len(layout.readers) != 1:
        return layout.read
    (reader,) = layout.readers
    value = lone_value(layout)

    def read(buf: bytes, pos: int, end: int, out: Values) -> int:
        return reader(buf, pos, pos, end, out)

    return read if value is None else _Lone(value, read)


def _listed(name: str, layout: Layout) -> Case:
    """Return a case that adds a record to the list `name`."""

    def read(buf: bytes, pos: int, end: int, out: Values) -> int:
        record: Values = {}
        after = layout.read(buf, pos, end, record)
        records: Any = out.setdefault(name, [])
        if not isinstance(records, list):
            raise PayloadError("bad_frame", f"{name} is both a value and a list")
        records.append(record)
        return after

    return read
