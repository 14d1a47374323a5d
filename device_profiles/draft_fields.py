"""What messages hold: each member's name, type, unit and range, as far as they tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_profiles.draft_names import IDS, TIMES, Known, meaning, plain_name
from device_profiles.moments import compile_read
from device_profiles.profile import FieldSpec

_DEEPEST = 8
_MOST_FIELDS = 200
_FEW_WORDS = 12
_LONGEST_WORD = 24
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:?\d\d)?")
_BARE = re.compile(r"[A-Za-z0-9_:-]+")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_YEARS = (946_771_200, 4_102_444_800)  # 2000-01-02 to 2100, in seconds


@dataclass(frozen=True, slots=True)
class Guess:
    """One measurement as it will stand in the draft.

    Attributes:
        name: The field.
        spec: Its keys, in the order in which they are written.
        known: What its name means, or None.
        note: What the author should look at; empty for nothing.
    """

    name: str
    spec: dict[str, Any]
    known: Known | None = None
    note: str = ""


@dataclass(slots=True)
class Found:
    """What messages hold.

    Attributes:
        fields: The measurements.
        time: Path and format of the message's time, or None.
        device: Path of the device's id, or None.
        left: Members that become nothing, and why.
    """

    fields: list[Guess] = field(default_factory=list)
    time: tuple[str, str] | None = None
    device: str | None = None
    left: list[tuple[str, str]] = field(default_factory=list)


def look(
    messages: Sequence[Mapping[str, Any]],
    *,
    needs_device: bool,
    stored: Mapping[str, FieldSpec],
) -> Found:
    """Return what messages of one kind of device hold.

    Args:
        messages: JSON objects.
        needs_device: Whether the id must come from the message, because no topic names it.
        stored: Fields as other profiles store them under the same measurement: theirs is the type
            and unit to keep.
    """
    members: dict[tuple[str, ...], list[Any]] = {}
    for message in messages:
        for segments, value in _leaves(message, ()):
            members.setdefault(segments, []).append(value)
    found = Found()
    if needs_device:
        found.device = _device(members)
    names: set[str] = set()
    for segments, values in list(members.items())[:_MOST_FIELDS]:
        _take(segments, values, found, names, stored)
    return found


def _leaves(
    value: Mapping[str, Any], before: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, item in value.items():
        segments = (*before, key)
        if isinstance(item, dict) and item and len(segments) < _DEEPEST:
            yield from _leaves(item, segments)
        else:
            yield segments, item


def path_of(segments: tuple[str, ...]) -> str:
    """Return a path as a profile has it, odd names in quotes."""
    return ".".join(one if _BARE.fullmatch(one) else _escaped(one) for one in segments)


def _escaped(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _take(
    segments: tuple[str, ...],
    values: list[Any],
    found: Found,
    names: set[str],
    stored: Mapping[str, FieldSpec],
) -> None:
    path = path_of(segments)
    present = [value for value in values if value is not None]
    word = plain_name(segments[-1])
    if path == found.device:
        return
    if not present:
        found.left.append((path, "always null"))
    elif found.time is None and word in TIMES and (form := _time_format(present)):
        found.time = (path, form)
    elif any(isinstance(value, list | dict) for value in present):
        found.left.append((path, "a list; stored records are read with 'each'"))
    elif word in IDS:
        found.left.append((path, "names the device, it measures nothing"))
    elif len({_kind(value) for value in present}) > 1:
        found.left.append((path, "has several types: add it by hand"))
    else:
        guess = _guess(segments, path, present, names, stored)
        names.add(guess.name)
        found.fields.append(guess)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _guess(
    segments: tuple[str, ...],
    path: str,
    values: list[Any],
    names: set[str],
    stored: Mapping[str, FieldSpec],
) -> Guess:
    kind = _kind(values[0])
    word = plain_name(segments[-1])
    known, unit = meaning(word)
    name = known.field if known is not None and kind != "bool" else word
    if name in names and len(segments) > 1:
        name = plain_name("_".join(segments[-2:]))
    while name in names:
        name = f"{name}_2"
    spec: dict[str, Any] = {} if path == name else {"from": path}
    if kind == "bool":
        return Guess(name, {**spec, "type": "bool", "kind": "state"})
    numeric_text = kind == "text" and all(_NUMBER.fullmatch(v) for v in values)
    if kind == "text" and not (numeric_text and (known or unit)):
        return Guess(name, {**spec, **_words(values)})
    note = ""
    if numeric_text:
        spec = {"expr": f"double({_cel(segments)})"}
        values = [float(value) for value in values]
        note = "comes as text"
    return _number(name, spec, values, known, unit, stored.get(name), note)


def _cel(segments: tuple[str, ...]) -> str:
    return "d" + "".join(f"[{json.dumps(one)}]" for one in segments)


def _words(values: list[str]) -> dict[str, Any]:
    words = sorted(set(values))
    if 2 <= len(words) <= _FEW_WORDS and all(0 < len(word) <= _LONGEST_WORD for word in words):
        return {"type": "enum", "values": words, "kind": "state"}
    return {"type": "string", "kind": "diagnostic"}


def _number(
    name: str,
    spec: dict[str, Any],
    values: list[Any],
    known: Known | None,
    unit: str,
    other: FieldSpec | None,
    note: str,
) -> Guess:
    whole = all(isinstance(value, int) for value in values)
    final = known.unit if known is not None else unit or "1"
    type_ = known.type if known is not None else "int" if whole and unit == "" else "float"
    if other is not None and other.type in ("float", "int"):
        type_, final = other.type, other.unit
    if type_ == "int" and not whole and other is None:
        type_ = "float"
    spec = {**spec}
    if unit and unit != final:
        spec["wire_unit"] = unit
    spec |= {"type": type_, "unit": final}
    limits = known.range if known is not None and final == known.unit else None
    if limits is not None and not unit and all(limits[0] <= value <= limits[1] for value in values):
        spec["range"] = list(limits)
    if known is not None and known.kind:
        spec["kind"] = known.kind
    if known is None and not unit:
        note = f"{note}, " if note else ""
        note += "which unit?"
    return Guess(name, spec, known, note)


def _time_format(values: list[Any]) -> str:
    """Return the format of values that are all times, or nothing."""
    if all(isinstance(value, str) and _STAMP.fullmatch(value) for value in values):
        zoned = all(compile_read("rfc3339", None)(value) is not None for value in values)
        return "rfc3339" if zoned else ""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return ""
    low, high = _YEARS
    if all(low <= value <= high for value in values):
        return "unix"
    return "unix_ms" if all(low <= value / 1000 <= high for value in values) else ""


def _device(members: Mapping[tuple[str, ...], list[Any]]) -> str | None:
    """Return the path of the surest name of a device's id."""
    for word in IDS:
        for segments, values in members.items():
            if plain_name(segments[-1]) == word and all(
                isinstance(value, str | int) and not isinstance(value, bool) for value in values
            ):
                return ".".join(segments)
    return None
