"""The short way for flat JSON messages: only the declared paths are decoded, and typed in C.

It answers for messages in which every value is good and leaves all others to the long way
(`reader`), which knows the flags. Where both answer, they give the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from device_profiles.measure import Measure
from device_profiles.paths import parse_path
from device_profiles.quality import INT_MAX, INT_MIN, Finish, Flagged
from gateway_core.model import Value

_FLOAT_LIMIT = float(2**63)
_PLAIN_KEYS = frozenset({"scale", "offset", "wire_unit", "bit", "map", "invalid", "values"})
_TEXT_TYPES = ("string", "enum")

Fields = tuple[dict[str, Value], tuple[Any, ...]]
"""Fields by name, and the values at the extra paths (None where there is none)."""

FastJson = Callable[[bytes], "Fields | None"]
"""Returns None where the long way must answer."""

_Check = tuple[str, float, float, Finish | None]


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
    tree = _Tree()
    checks: list[_Check] = []
    attributes: list[str] = []
    try:
        for measure in measures:
            spec = specs[measure.name]
            attributes.append(tree.enter(parse_path(measure.source), _type_of(spec)))
            checks.append(_check_of(measure, spec))
        attributes.extend(tree.enter(parse_path(path), Any) for path in extra)
    except _NotPlain:
        return None
    decode = msgspec.json.Decoder(tree.struct()).decode
    return _reader(decode, _getter(attributes), checks)


class _NotPlain(Exception):
    """A path goes through a list, begins another path, or is wanted as two types."""


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
        if any(segment.isdecimal() for segment in path):
            raise _NotPlain
        if len(path) == 1:
            if name in self._children:
                raise _NotPlain
            if self._leaves.setdefault(name, kind) is not kind:
                raise _NotPlain
            return attribute
        if name in self._leaves:
            raise _NotPlain
        child = self._children.setdefault(name, _Tree())
        return f"{attribute}.{child.enter(path[1:], kind)}"

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


def _type_of(spec: Mapping[str, Any]) -> Any:
    kind = spec["type"]
    if kind in _TEXT_TYPES:
        return Any if "map" in spec or "invalid" in spec else str
    if _PLAIN_KEYS & spec.keys():
        return Any
    return {"float": float, "int": int, "bool": bool}[kind]


def _check_of(measure: Measure, spec: Mapping[str, Any]) -> _Check:
    kind = spec["type"]
    if kind in _TEXT_TYPES or _PLAIN_KEYS & spec.keys():
        return (measure.name, 0, 0, measure.finish)
    if kind == "bool":
        return (measure.name, 0, 1, None)
    low, high = spec.get("range", (INT_MIN, INT_MAX))
    if kind == "int":
        return (measure.name, max(low, INT_MIN), min(high, INT_MAX), None)
    # beyond this a float may have been an integer of more than 64 bits: the long way looks
    return (measure.name, max(low, -_FLOAT_LIMIT), min(high, _FLOAT_LIMIT), None)


def _getter(attributes: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(attributes) == 1:
        one = operator.attrgetter(attributes[0])
        return lambda message: (one(message),)
    return operator.attrgetter(*attributes)


def _reader(
    decode: Callable[[bytes], Any],
    getter: Callable[[Any], tuple[Any, ...]],
    checks: list[_Check],
) -> FastJson:
    count = len(checks)

    def read(payload: bytes) -> Fields | None:
        try:
            if not payload.isascii():
                payload.decode()  # parts that are skipped are not looked at otherwise
            values = getter(decode(payload))
            fields: dict[str, Value] = {}
            for value, (name, low, high, finish) in zip(values, checks, strict=False):
                if value is None:
                    continue
                if finish is not None:
                    found = finish(value)
                    if found is not None:
                        fields[name] = found
                elif low <= value <= high:
                    fields[name] = value
                else:
                    return None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Flagged):
            return None
        return fields, values[count:]

    return read
