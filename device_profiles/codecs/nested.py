"""Fields that are blocks of their own: ``tlv`` streams and ``repeat``ed records."""

from __future__ import annotations

from device_profiles.codecs.contract import Values
from device_profiles.codecs.fields import compile_fields
from device_profiles.codecs.grammar import Order, Path, mapping, order_of, whole
from device_profiles.codecs.layout import Layout, Reader, record_layout
from device_profiles.codecs.tlv import compile_tlv
from gateway_core.errors import PayloadError

_MOST = 65535


def nest(name: str, block: str, spec: object, order: Order, path: Path) -> Reader:
    """Compile the ``tlv`` or ``repeat`` of a field; see `device_profiles.codecs.fields.Nest`."""
    if block == "tlv":
        return compile_tlv(spec, order, path, nest)
    return _compile_repeat(name, spec, order, path)


def _compile_repeat(name: str, spec: object, order: Order, path: Path) -> Reader:
    """Compile ``{fields: […], count: 3 | <field> | absent}``: a list of records under `name`."""
    found = mapping(spec, path, ("fields", "count", "order"), "fields")
    order = order_of(found, path, order)
    layout = record_layout(name, compile_fields(found["fields"], order, (*path, "fields"), nest))
    count = found.get("count")
    if isinstance(count, str):
        return _counted_by(name, count, layout)
    if count is not None:
        return _counted(name, whole(count, (*path, "count"), 1, _MOST), layout)

    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        records: list[Values] = []
        while pos < end:
            pos = _record(layout, buf, pos, end, records)
        out[name] = records
        return pos

    return read


def _counted(name: str, count: int, layout: Layout) -> Reader:
    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        records: list[Values] = []
        for _ in range(count):
            pos = _record(layout, buf, pos, end, records)
        out[name] = records
        return pos

    return read


def _counted_by(name: str, counter: str, layout: Layout) -> Reader:
    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        count = out.get(counter)
        if not isinstance(count, int) or count < 0:
            raise PayloadError("bad_length", f"{counter} is not a count")
        records: list[Values] = []
        for _ in range(count):
            pos = _record(layout, buf, pos, end, records)
        out[name] = records
        return pos

    return read


def _record(layout: Layout, buf: bytes, pos: int, end: int, records: list[Values]) -> int:
    """Read one record; one that takes no bytes would repeat for ever."""
    record: Values = {}
    after = layout.read(buf, pos, end, record)
    if after <= pos:
        raise PayloadError("bad_length", "a repeated record is empty")
    records.append(record)
    return after
