"""From the ``fields`` of a specification to a compiled `Layout`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from device_profiles.codecs.condition import compile_condition
from device_profiles.codecs.contract import SpecError
from device_profiles.codecs.grammar import Order, Path, kind, mapping, sequence, text, whole
from device_profiles.codecs.layout import (
    Layout,
    Placed,
    Post,
    Reader,
    Run,
    guarded_reader,
    placed_reader,
    run_reader,
    tail_reader,
)
from device_profiles.codecs.scalar import Scalar, parse_scalar
from device_profiles.codecs.trace import tracing
from gateway_core.errors import PayloadError

Nest = Callable[[str, str, object, Order, Path], Reader]
"""Compiles a field that is a block of its own: ``(name, "tlv" | "repeat", spec, order, path)``."""

_FARTHEST = 65535


def compile_fields(
    fields: object, order: Order, path: Path, nest: Nest, known: Collection[str] = ()
) -> Layout:
    """Compile a list of fields.

    Args:
        fields: As the profile has it: ``[name: u16, name: {type: u8, bits: {…}}, skip2, …]``.
        order: Byte order of fields without a suffix.
        path: Where the list stands, for errors.
        nest: Compiles ``tlv`` and ``repeat`` fields.
        known: Names that conditions may use beside the fields before them.

    Raises:
        SpecError: The list is wrong; its path names the entry.
    """
    maker = _Maker(order, nest, known)
    for index, item in enumerate(sequence(fields, path)):
        maker.add(item, (*path, index))
    return maker.finish()


class _Maker:
    """Collects plain fields into runs as long as their places are known."""

    def __init__(self, order: Order, nest: Nest, known: Collection[str]) -> None:
        self._order = order
        self._nest = nest
        self._names = set(known)
        self._readers: list[Reader] = []
        self._runs: list[Run] = []
        self._placed: list[Placed] = []
        self._absolute = True  # offsets count from the block's start while nothing varies
        self._cursor = 0
        self._ended = False

    def add(self, item: object, path: Path) -> None:
        """Add one entry of the list."""
        if self._ended:
            raise SpecError(path, "the field before this one takes all that is left")
        if isinstance(item, str):
            scalar = parse_scalar(item, self._order, path)
            if not scalar.skip:
                raise SpecError(path, f"{item!r} needs a name, as '- name: {item}'")
            self._place(None, scalar, None)
            return
        if not isinstance(item, dict) or len(item) != 1:
            raise SpecError(path, f"expected one 'name: type', found {kind(item)}")
        name, spec = next(iter(item.items()))
        path = (*path, name if isinstance(name, str) else str(name))
        self._field(text(name, path), spec, path)
        self._names.add(name)

    def finish(self) -> Layout:
        """Return the layout of everything added."""
        self._flush()
        single = len(self._readers) == 1 and len(self._runs) == 1 and self._runs[0].absolute
        return Layout(tuple(self._readers), self._runs[0] if single else None)

    def _field(self, name: str, spec: object, path: Path) -> None:
        if isinstance(spec, str):
            self._plain(name, {"type": spec}, path)
            return
        allowed = ("type", "at", "when", "bits", "equals", "tlv", "repeat")
        found = mapping(spec, path, allowed)
        blocks = [key for key in ("type", "tlv", "repeat") if key in found]
        if len(blocks) != 1:
            raise SpecError(path, "needs exactly one of type, tlv, repeat")
        if blocks[0] == "type":
            self._plain(name, found, path)
        else:
            self._block(name, blocks[0], found, path)

    def _plain(self, name: str, spec: dict[str, Any], path: Path) -> None:
        here = (*path, "type") if len(spec) > 1 else path
        scalar = parse_scalar(spec["type"], self._order, here)
        post = _post(spec, scalar, path)
        label = None if scalar.skip else name
        if scalar.size and "when" not in spec:
            if label is not None and any(label == placed.name for placed in self._placed):
                raise SpecError(path, "this name stands here twice")
            self._place(label, scalar, post, self._at(spec, path))
            return
        at = self._at(spec, path)
        if scalar.size:
            reader = run_reader(Run((Placed(label, 0, scalar, post),), scalar.size, absolute=False))
        else:
            self._ended = True
            reader = tail_reader(name, scalar, post)
        self._vary(reader, at, spec, path)

    def _block(self, name: str, block: str, spec: dict[str, Any], path: Path) -> None:
        mapping(spec, path, (block, "at", "when"))
        reader = self._nest(name, block, spec[block], self._order, (*path, block))
        self._vary(reader, self._at(spec, path), spec, path)

    def _vary(self, reader: Reader, at: int | None, spec: dict[str, Any], path: Path) -> None:
        """Add a reader after which the position is no longer known beforehand."""
        self._flush()
        if at is not None:
            reader = placed_reader(at, reader)
        if "when" in spec:
            condition = compile_condition(spec["when"], self._names, (*path, "when"))
            trace = tracing()
            if trace is not None:
                reader = trace.watch_branch(reader, path)
            reader = guarded_reader(condition, reader)
        self._readers.append(reader)
        self._absolute, self._cursor = False, 0

    def _place(
        self, name: str | None, scalar: Scalar, post: Post | None, at: int | None = None
    ) -> None:
        if at is not None and not self._absolute:
            self._flush()
            self._absolute = True
        if at is not None:
            self._cursor = at
        self._placed.append(Placed(name, self._cursor, scalar, post))
        self._cursor += scalar.size

    def _flush(self) -> None:
        if self._placed:
            run = Run(tuple(self._placed), self._cursor, self._absolute)
            self._runs.append(run)
            self._readers.append(run_reader(run))
        self._placed = []
        if not self._absolute:
            self._cursor = 0

    @staticmethod
    def _at(spec: dict[str, Any], path: Path) -> int | None:
        return whole(spec["at"], (*path, "at"), 0, _FARTHEST) if "at" in spec else None


def _post(spec: dict[str, Any], scalar: Scalar, path: Path) -> Post | None:
    """Return what ``bits`` or ``equals`` do to the value, or None."""
    if "bits" in spec and "equals" in spec:
        raise SpecError(path, "bits and equals cannot stand together")
    if "bits" in spec:
        return _bits(spec["bits"], scalar, (*path, "bits"))
    if "equals" not in spec:
        return None
    wanted = spec["equals"]
    if scalar.skip or not isinstance(wanted, int | str) or isinstance(wanted, bool):
        raise SpecError((*path, "equals"), "expected a whole number or text")

    def check(value: object) -> object:
        if value != wanted:
            raise PayloadError("bad_frame", f"{path[-1]} is not the constant it must be")
        return value

    return check


def _bits(spec: object, scalar: Scalar, path: Path) -> Post:
    """Return the splitter of an unsigned integer into named flags and groups.

    ``name: 3`` is bit 3 as a bool; ``name: [4, 2]`` is bits 4 and 5 as an integer;
    ``name: [4, 12, signed]`` is twelve bits in two's complement. Bit 0 is the least significant.
    """
    if not scalar.unsigned:
        raise SpecError(path, "bits need an unsigned integer type, u8 to u64")
    if not isinstance(spec, dict) or not spec:
        raise SpecError(path, f"expected a mapping of names to bits, found {kind(spec)}")
    parts = [_bit(name, place, scalar.size * 8, (*path, name)) for name, place in spec.items()]

    def split(value: int) -> dict[str, bool | int]:
        found: dict[str, bool | int] = {}
        for name, shift, mask, half in parts:
            part = value >> shift & mask
            found[name] = bool(part) if half < 0 else part - ((part & half) << 1)
        return found

    return split


def _bit(name: object, place: object, width: int, path: Path) -> tuple[str, int, int, int]:
    """Return ``(name, shift, mask, sign bit)``; the sign bit is -1 for a flag, 0 for unsigned."""
    if isinstance(place, int) and not isinstance(place, bool):
        return text(name, path), whole(place, path, 0, width - 1), 1, -1
    if not isinstance(place, list) or len(place) not in (2, 3) or place[2:] not in ([], ["signed"]):
        raise SpecError(
            path, "expected a bit such as 3, or [offset, width] or [offset, width, signed]"
        )
    shift = whole(place[0], (*path, 0), 0, width - 1)
    size = whole(place[1], (*path, 1), 1, width - shift)
    return text(name, path), shift, (1 << size) - 1, 1 << (size - 1) if place[2:] else 0
