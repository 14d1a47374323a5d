"""The short way for flat JSON messages: only the declared paths are decoded, and typed in C.

It answers for messages in which every value is good and leaves all others to the long way
(`reader`), which knows the flags. Where both answer, they give the same.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypedDict

import msgspec

from device_profiles.measure import Measure
from device_profiles.paths import parse_path
from device_profiles.position import Position
from device_profiles.quality import LONGEST_TEXT, Finish, Flagged
from device_profiles.swift import INT_MAX, INT_MIN
from gateway_core.model import Value

_FLOAT_LIMIT = math.nextafter(2.0**63, 0.0)
_FINISHED = frozenset({"scale", "offset", "wire_unit", "bit", "map", "invalid", "values", "lookup"})
"""Keys that need more than a look at the value."""

Fields = tuple[dict[str, Value], tuple[Any, ...]]
"""Fields by name, and the values at the extra paths (None where there is none)."""

FastJson = Callable[[bytes], "Fields | None"]
"""Returns None where the long way must answer."""


def compile_fast(
    measures: Sequence[Measure], specs: Mapping[str, Mapping[str, Any]], extra: Sequence[str]
) -> FastJson | None:
    """Compile the short way for a profile whose values are all at plain paths.

    Args:
        measures: The profile's measurements.
        specs: The same as written.
        extra: Further paths to return, for time and device id.

    Returns:
        None when the profile needs the long way for every message.
    """
    if any(measure.expr is not None or measure.when is not None for measure in measures):
        return None
    plain = [one for one in measures if not _FINISHED & specs[one.name].keys()]
    rest = [one for one in measures if _FINISHED & specs[one.name].keys()]
    tree = _Tree()
    try:
        attributes = [tree.enter(parse_path(m.source), _type_of(specs[m.name])) for m in plain]
        attributes += [tree.enter(parse_path(one.source), Any) for one in rest]
        attributes += [tree.enter(parse_path(path), Any) for path in extra]
    except _NotPlain:
        return None
    taken = {parse_path(one.source) for one in measures}
    if tree.flat and taken.isdisjoint(map(parse_path, extra)):
        finished = tuple((one.name, parse_path(one.source)[0], one.finish) for one in rest)
        named = tuple((one.name, parse_path(one.source)[0]) for one in plain)
        return _flat_reader(tree.typed_dict(), named, finished, tuple(extra))
    return _reader(
        msgspec.json.Decoder(tree.struct()).decode,
        _getter(attributes),
        tuple(one.name for one in plain),
        tuple((one.name, one.finish) for one in rest),
    )


def whole_only(fast: FastJson, required: Sequence[str], position: Position | None) -> FastJson:
    """Return a short way that leaves messages without a required field, or half a place, alone."""

    def read(payload: bytes) -> Fields | None:
        found = fast(payload)
        if found is None or any(name not in found[0] for name in required):
            return None
        if position is not None and position.settle(found[0]):
            return None
        return found

    return read


class _NotPlain(Exception):
    """A path goes through a list, begins another, has two types, or JSON must escape it."""


class _Tree:
    """The declared paths as nested structs."""

    def __init__(self) -> None:
        self._children: dict[str, _Tree] = {}
        self._leaves: dict[str, Any] = {}
        self._attributes: dict[str, str] = {}

    def enter(self, path: tuple[str, ...], kind: Any) -> str:
        """Enter a path; return the attribute path under which its value will be."""
        name = path[0]
        attribute = self._attributes.setdefault(name, f"f{len(self._attributes)}")
        if any(segment.isdecimal() or not _nameable(segment) for segment in path):
            raise _NotPlain
        if len(path) == 1:
            if name in self._children:
                raise _NotPlain
            if self._leaves.setdefault(name, kind) != kind:
                raise _NotPlain
            return attribute
        if name in self._leaves:
            raise _NotPlain
        child = self._children.setdefault(name, _Tree())
        return f"{attribute}.{child.enter(path[1:], kind)}"

    @property
    def flat(self) -> bool:
        """Whether every path is one name."""
        return not self._children

    def typed_dict(self) -> Any:
        """Return a dict type of the names; only good for a flat tree."""
        make: Any = TypedDict
        return make("Message", dict(self._leaves), total=False)

    def struct(self) -> type[msgspec.Struct]:
        """Return the struct type; what is absent is None, an absent object has all None."""
        fields: list[Any] = []
        for name, attribute in self._attributes.items():
            if name in self._children:
                inner = self._children[name].struct()
                fields.append((attribute, inner, inner()))
            else:
                kind = self._leaves[name]
                fields.append((attribute, kind if kind is Any else kind | None, None))
        rename = {attribute: name for name, attribute in self._attributes.items()}
        return msgspec.defstruct("Message", fields, rename=rename, frozen=True, gc=False)


def _nameable(segment: str) -> bool:
    """Return whether msgspec takes a member's name: it refuses those that JSON must escape."""
    return segment.isprintable() and not {'"', "\\"} & set(segment)


def _type_of(spec: Mapping[str, Any]) -> Any:
    """Return a type that lets through just the values that are good as they are."""
    kind = spec["type"]
    if kind == "bool":
        return bool
    if kind == "string":
        return Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]
    low, high = spec.get("range", (INT_MIN, INT_MAX))
    if kind == "int":
        low, high = max(math.ceil(low), INT_MIN), min(math.floor(high), INT_MAX)
        return Annotated[int, msgspec.Meta(ge=low, le=high)]
    # a float beyond this may have been an integer of more than 64 bits: the long way looks
    low, high = max(low, -_FLOAT_LIMIT), min(high, _FLOAT_LIMIT)
    return Annotated[float, msgspec.Meta(ge=float(low), le=float(high))]


def _getter(attributes: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(attributes) == 1:
        one = operator.attrgetter(attributes[0])
        return lambda message: (one(message),)
    return operator.attrgetter(*attributes)


def _reader(
    decode: Callable[[bytes], Any],
    getter: Callable[[Any], tuple[Any, ...]],
    names: tuple[str, ...],
    rest: tuple[tuple[str, Finish], ...],
) -> FastJson:
    count, end = len(names), len(names) + len(rest)

    def read(payload: bytes) -> Fields | None:
        try:
            if not payload.isascii():
                payload.decode()  # parts that are skipped are not looked at otherwise
            values = getter(decode(payload))
            plain = values[:count]
            fields: dict[str, Any] = dict(zip(names, plain))  # noqa: B905 - equal by slicing
            if None in plain:
                fields = {name: value for name, value in fields.items() if value is not None}
            if rest:
                _finish(rest, values[count:end], fields)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Flagged):
            return None
        return fields, values[end:]

    return read


def _flat_reader(
    message: Any,
    named: tuple[tuple[str, str], ...],
    finished: tuple[tuple[str, str, Finish], ...],
    extra: tuple[str, ...],
) -> FastJson:
    """Return the reader of messages without nesting: what is decoded is nearly the fields."""
    decode = msgspec.json.Decoder(message).decode
    keys = tuple(parse_path(name)[0] for name in extra)
    as_they_are = not finished and all(name == source for name, source in named)
    one = keys[0] if len(keys) == 1 else None

    def read(payload: bytes) -> Fields | None:
        try:
            if not payload.isascii():
                payload.decode()  # parts that are skipped are not looked at otherwise
            fields: dict[str, Any] = decode(payload)
            if one is not None:
                others: tuple[Any, ...] = (fields.pop(one, None),)
            else:
                others = tuple([fields.pop(key, None) for key in keys])
            if not as_they_are:
                fields = _taken(named, finished, fields)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Flagged):
            return None
        return fields, others

    return read


def _taken(
    named: tuple[tuple[str, str], ...],
    finished: tuple[tuple[str, str, Finish], ...],
    found: dict[str, Any],
) -> dict[str, Any]:
    fields = {name: found[source] for name, source in named if source in found}
    for name, source, finish in finished:
        value = found.get(source)
        if value is not None:
            value = finish(value)
            if value is not None:
                fields[name] = value
    return fields


def _finish(
    rest: tuple[tuple[str, Finish], ...], values: tuple[Any, ...], fields: dict[str, Value]
) -> None:
    for (name, finish), value in zip(rest, values, strict=True):
        found = None if value is None else finish(value)
        if found is not None:
            fields[name] = found
