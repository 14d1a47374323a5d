"""``struct`` layouts: a list of fields, compiled into as few `struct.Struct` calls as it allows."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from device_profiles.codecs.condition import Condition
from device_profiles.codecs.contract import Values
from device_profiles.codecs.scalar import Scalar
from device_profiles.codecs.trace import tracing
from gateway_core.errors import PayloadError


class Reader(Protocol):
    """One part of a layout.

    ``reader(buf, pos, start, end, out)`` reads from `pos`, within the block ``[start, end)``, adds
    values to `out` and returns the position after what it read. Raises `PayloadError`.
    """

    def __call__(self, buf: bytes, pos: int, start: int, end: int, out: Values, /) -> int:
        """Read this part; see the class."""


Post = Callable[[Any], Any]
"""What is still to be done to a value."""

Group = tuple[int, Callable[..., tuple[Any, ...]], tuple[str, ...]]
"""Fields of one `struct.Struct`: offset in the run, its ``unpack_from``, names."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One plain field at a place.

    Attributes:
        name: Its name; None for bytes without a value.
        offset: Bytes from the start of the run.
        scalar: Its type.
        post: What turns the scalar's value into the field's (bits, a constant), or None.
    """

    name: str | None
    offset: int
    scalar: Scalar
    post: Post | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Plain fields whose places relative to one another are known.

    Attributes:
        placed: The fields, in the order in which they were written.
        advance: Bytes from the base to the end of the last field written.
        absolute: True when offsets count from the start of the block, else from the position.
    """

    placed: tuple[Placed, ...]
    advance: int
    absolute: bool

    @property
    def need(self) -> int:
        """Bytes that must be there, from the base."""
        return max([p.offset + p.scalar.size for p in self.placed], default=0)


@dataclass(frozen=True, slots=True)
class Layout:
    """A compiled list of fields.

    Attributes:
        readers: Its parts in order.
        run: The only part, when it is a single `Run` from the start of the block; else None.
    """

    readers: tuple[Reader, ...]
    run: Run | None

    def read(self, buf: bytes, pos: int, end: int, out: Values) -> int:
        """Read one block that starts at `pos`; return the position after it."""
        start = pos
        for reader in self.readers:
            pos = reader(buf, pos, start, end, out)
        return pos


def truncated(need: int, have: int) -> PayloadError:
    """Return the rejection of a block that ends too early."""
    return PayloadError("truncated", f"{need} bytes needed, {have} there")


def run_reader(run: Run) -> Reader:
    """Return the reader of a run of plain fields."""
    trace = tracing()
    if trace is None:
        return _run_reader(run)
    parts = [(one.name, one.offset, one.scalar.size) for one in run.placed]
    return trace.watch_run(_run_reader(run), parts, absolute=run.absolute)


def record_layout(name: str, layout: Layout) -> Layout:
    """Return the layout of one record of the list ``name``."""
    trace = tracing()
    return layout if trace is None else Layout((trace.watch_record(layout.read, name),), None)


def _run_reader(run: Run) -> Reader:
    groups = _grouped(run)
    posts = _posts(run)
    need, advance, absolute = run.need, run.advance, run.absolute
    if len(groups) == 1 and len(groups[0][2]) == 1 and not posts:
        return _single(groups[0], need, advance, absolute=absolute)

    def read(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
        base = start if absolute else pos
        if base + need > end:
            raise truncated(need, end - base)
        for offset, unpack_from, names in groups:
            out.update(zip(names, unpack_from(buf, base + offset)))  # noqa: B905 - as in `decode`
        for name, post in posts:
            out[name] = post(out[name])
        return base + advance

    return read


def lone_value(layout: Layout) -> tuple[int, Callable[..., tuple[Any, ...]], str] | None:
    """Return size, ``unpack_from`` and name of a layout that is one plain value, else None."""
    run = layout.run
    if run is None or len(run.placed) != 1 or _posts(run) or run.need != run.advance:
        return None
    groups = _grouped(run)
    if not groups or groups[0][0] != 0:
        return None
    return run.need, groups[0][1], groups[0][2][0]


def _single(group: Group, need: int, advance: int, *, absolute: bool) -> Reader:
    """Return the reader of one value, which is what most cases of a keyed stream hold."""
    offset, unpack_from, (name,) = group

    def read(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
        base = start if absolute else pos
        if base + need > end:
            raise truncated(need, end - base)
        (out[name],) = unpack_from(buf, base + offset)
        return base + advance

    return read


def whole_decoder(run: Run, *, exact: bool) -> Callable[[bytes], Values]:
    """Return the fast decoder of a message that is one run from its first byte.

    Args:
        run: The layout's only part.
        exact: True when no byte may follow.
    """
    groups = _grouped(run)
    posts = _posts(run)
    need = run.need
    if len(groups) != 1 or groups[0][0] != 0 or tracing() is not None:
        read = run_reader(run)

        def decode_groups(buf: bytes) -> Values:
            out: Values = {}
            read(buf, 0, 0, len(buf), out)
            check_rest(need, len(buf), exact=exact)
            return out

        return decode_groups

    _, unpack_from, names = groups[0]

    def decode(buf: bytes) -> Values:
        have = len(buf)
        if have < need:
            raise truncated(need, have)
        if exact and have > need:
            check_rest(need, have, exact=True)
        # the format was made from the names; to check that again costs a third of the call
        out = dict(zip(names, unpack_from(buf)))  # noqa: B905
        for name, post in posts:
            out[name] = post(out[name])
        return out

    return decode


def tail_reader(name: str, scalar: Scalar, post: Post | None) -> Reader:
    """Return the reader of a field that takes all that is left of the block."""
    convert = scalar.convert or bytes.hex

    def read(buf: bytes, pos: int, _start: int, end: int, out: Values) -> int:
        value = convert(buf[pos:end])
        out[name] = post(value) if post else value
        return end

    trace = tracing()
    return read if trace is None else trace.watch_tail(read, name)


def guarded_reader(condition: Condition, reader: Reader) -> Reader:
    """Return a reader that does nothing where the condition does not hold."""

    def read(buf: bytes, pos: int, start: int, end: int, out: Values) -> int:
        return reader(buf, pos, start, end, out) if condition(out) else pos

    return read


def placed_reader(at: int, reader: Reader) -> Reader:
    """Return a reader that starts `at` bytes after the start of the block."""

    def read(buf: bytes, _pos: int, start: int, end: int, out: Values) -> int:
        if start + at > end:
            raise truncated(at, end - start)
        return reader(buf, start + at, start, end, out)

    return read


def check_rest(pos: int, end: int, *, exact: bool) -> None:
    """Raise ``trailing_bytes`` when bytes are left that the layout does not name."""
    if exact and pos != end:
        raise PayloadError("trailing_bytes", f"{end - pos} bytes after the last field")


def _grouped(run: Run) -> list[Group]:
    """Return ``(offset, unpack_from, names)`` of each stretch of ascending fields of one order."""
    groups: list[Group] = []
    code, order, names, first, at = "", "", list[str](), 0, 0

    def close() -> None:
        if names:
            groups.append((first, struct.Struct((order or ">") + code).unpack_from, tuple(names)))

    for placed in run.placed:
        scalar = placed.scalar
        clash = bool(order and scalar.order and order != scalar.order)
        if clash or placed.offset < at or not names:
            close()
            code, order, names, first, at = "", "", [], placed.offset, placed.offset
        if placed.name is None:
            continue
        gap = placed.offset - at
        code += (f"{gap}x" if gap else "") + scalar.code
        order = order or scalar.order
        names.append(placed.name)
        at = placed.offset + scalar.size
    close()
    return groups


def _posts(run: Run) -> list[tuple[str, Post]]:
    """Return what must still be done to values, by name, in order."""
    found: list[tuple[str, Post]] = []
    for placed in run.placed:
        if placed.name is None:
            continue
        found += [(placed.name, p) for p in (placed.scalar.convert, placed.post) if p]
    return found
