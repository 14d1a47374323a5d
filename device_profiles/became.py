"""What a decoded value is used for: a measurement, the time, the device id, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from device_profiles.measure import read_fields
from device_profiles.passage import Passage
from device_profiles.paths import PathFault, parse_path
from device_profiles.profile import Profile
from gateway_core.model import Value

Path = tuple[str, ...]

_MEMBERS = re.compile(r"""\bd((?:\s*\.\s*[A-Za-z_]\w*|\s*\[\s*(?:"[^"]*"|'[^']*'|\d+)\s*\])+)""")
_PART = re.compile(r"""\.\s*(\w+)|\[\s*(?:"([^"]*)"|'([^']*)'|(\d+))\s*\]""")


@dataclass(frozen=True, slots=True)
class Became:
    """One use of a decoded value.

    Attributes:
        use: ``field``, ``time``, ``device`` or ``condition`` (looked at by ``when``, ``expr``).
        name: The field's name; of the others what stands in the profile.
        value: What was stored; None for the other uses, and where nothing was.
        unit: UCUM, or empty.
        flag: Why nothing was stored: ``range``; empty where something was, or nothing was meant.
    """

    use: str
    name: str
    value: Value | None = None
    unit: str = ""
    flag: str = ""


class Uses:
    """What the values of one message became.

    Args:
        profile: The profile.
        passage: The message's way through it.
    """

    def __init__(self, profile: Profile, passage: Passage) -> None:
        data = profile.document.data
        self._profile = profile
        self._passage = passage
        self._measures = tuple(profile.entries[0].reader.measures) if profile.entries else ()
        self._uses = list(_fields(data["measurements"]))
        self._uses += _others(profile, passage)
        holders = [data.get(key) for key in ("devices", "each")]
        self._holders = [
            (parse_path(one["from"]), one.get("time"))
            for one in holders
            if isinstance(one, dict) and "from" in one
        ]
        self._read: dict[int, tuple[dict[str, Value], dict[str, str]]] = {}

    def of(self, path: str) -> tuple[Became, ...]:
        """Return what the value at a path of the decoded values became, each use once."""
        pack, _, other = path.partition("] ")
        if other in ("time", "device"):
            return (Became(other, f"{pack}]"),)
        try:
            segments = parse_path(path)
        except PathFault:
            return ()
        record, inner = self._record(path, segments)
        fields, flags = self._fields_of(record)
        found: dict[Became, None] = {}
        for where, use in self._uses:
            if not _meet(where, inner) and not _meet(where, segments):
                continue
            if use.use == "field":
                unit = self._profile.fields[use.name].unit
                flag = flags.get(use.name, "")
                use = Became("field", use.name, fields.get(use.name), unit, flag)  # noqa: PLW2901
            found[use] = None
        for holder, time in self._holders:
            if time and inner == parse_path(time) and segments[: len(holder)] == holder:
                found[Became("time", "each.time")] = None
        return tuple(found)

    def _record(self, path: str, segments: Path) -> tuple[Any, Path]:
        """Return the record that holds a value, and the value's path in it."""
        values: Any = self._passage.values
        if isinstance(values, list):  # packs: the first segment is the pack's number
            number = int(segments[0]) if segments and segments[0].isdecimal() else 0
            pack = values[number].values if number < len(values) else {}
            name = path.partition("].")[2]
            return pack, (name,) if name in pack else segments[1:]
        inner = segments
        for holder, _ in self._holders:
            if inner[: len(holder)] == holder and len(inner) > len(holder) + 1:
                for step in inner[: len(holder) + 1]:
                    values = _step(values, step)
                inner = inner[len(holder) + 1 :]
        return values, inner

    def _fields_of(self, record: Any) -> tuple[dict[str, Value], dict[str, str]]:
        key = id(record)
        if key not in self._read:
            units: Mapping[str, str] | None = None
            if isinstance(self._passage.values, list):
                units = next((p.units for p in self._passage.values if p.values is record), {})
            if isinstance(record, dict):
                fields, flags = read_fields(self._measures, record, units)
            else:
                fields, flags = {}, []
            self._read[key] = fields, dict(flag.split(":", 1) for flag in flags)
        return self._read[key]


def _step(values: Any, step: str) -> Any:
    if isinstance(values, dict):
        return values.get(step)
    if isinstance(values, list) and step.isdecimal() and int(step) < len(values):
        return values[int(step)]
    return None


def _fields(measurements: Mapping[str, Any]) -> Iterator[tuple[Path, Became]]:
    for name, spec in measurements.items():
        if "expr" not in spec:
            source = spec.get("from", name)
            yield parse_path(source), Became("field", name)
            yield (source,), Became("field", name)  # a name of a SenML pack is no path
        for path in _members(spec.get("expr", "")):
            yield path, Became("field", name)
        for path in _members(spec.get("when", "")):
            yield path, Became("condition", f"{name}.when")


def _others(profile: Profile, passage: Passage) -> Iterator[tuple[Path, Became]]:
    data = profile.document.data
    if "from" in data.get("time", {}):
        yield parse_path(data["time"]["from"]), Became("time", "time.from")
    captures = passage.opened.captures if passage.opened else {}
    for name in profile.identity.names:
        if name not in captures:
            yield parse_path(name), Became("device", profile.identity.template)
    for index, spec in enumerate(data["match"]):
        for path in _members(spec.get("where", "")):
            yield path, Became("condition", f"match.{index}.where")


def _members(expression: str) -> Iterator[Path]:
    """Yield the paths below ``d`` that a CEL expression names."""
    for found in _MEMBERS.finditer(expression):
        yield tuple(next(filter(None, part), "") for part in _PART.findall(found[1]))


def _meet(use: Path, leaf: Path) -> bool:
    """Return whether one leads to the other."""
    shorter = min(len(use), len(leaf))
    return shorter > 0 and use[:shorter] == leaf[:shorter]
