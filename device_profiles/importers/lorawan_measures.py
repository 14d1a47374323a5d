"""Measurements inferred from what a codec returned for its examples."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_profiles.importers.imported import field_name
from device_profiles.importers.lorawan_words import meaning
from device_profiles.paths import DEEPEST
from device_profiles.quality import LONGEST_TEXT, type_flag
from device_profiles.swift import INT_MAX, INT_MIN
from gateway_core.model import Value

MOST = 300
"""Measurements of one profile."""

LONGEST_LIST = 16
"""Elements of a list that become measurements."""

_LONGEST_PATH = 256
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_ /-]{0,31}")
_MOST_WORDS = 16
_LEAST_WORDS = 2
_TIMES = ("timestamp", "time", "ts", "date")
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """One measurement as it was inferred.

    Attributes:
        name: Its name.
        path: Where the value stands, as profiles write it.
        spec: What follows in the profile: ``type``, ``unit``, …
        doubt: What a person should look at, or empty.
    """

    name: str
    path: str
    spec: dict[str, Any]
    doubt: str = ""
    _at: _Path = field(default=(), repr=False)

    def value(self, data: Any) -> Value | None:
        """Return the value that this measurement has in decoded data, or None.

        Raises:
            TypeError: An object or a list stands there, which is flagged.
        """
        found = _walk(data, self._at)
        if isinstance(found, dict | list):
            raise TypeError(type_flag(self.spec["type"]))
        if found is None or (isinstance(found, str) and found in self.spec.get("invalid", ())):
            return None
        return float(found) if self.spec["type"] == "float" else found


@dataclass(slots=True)
class Inferred:
    """All measurements of a codec.

    Attributes:
        guesses: In the order in which they were seen.
        left_out: What has none, and why.
    """

    guesses: list[Guess] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def fields(self, data: Any) -> tuple[dict[str, Value], list[str]]:
        """Return the fields that these measurements have in decoded data, and the flags."""
        found: dict[str, Value] = {}
        flags: list[str] = []
        for guess in self.guesses:
            try:
                value = guess.value(data)
            except TypeError as exc:
                flags.append(f"{guess.name}:{exc}")
                continue
            if isinstance(value, float) and not math.isfinite(value):
                flags.append(f"{guess.name}:not_number")
            elif value is not None:
                found[guess.name] = value
        return found, flags


def infer(results: Sequence[Any]) -> Inferred:
    """Return the measurements that fit every result.

    Args:
        results: The ``data`` of one codec's results, as `read_output` gives it: no nulls.
    """
    seen: dict[_Path, list[Any]] = {}
    out = Inferred()
    lists: set[str] = set()
    for data in results:
        for path, value in _leaves(data, (), lists):
            seen.setdefault(path, []).append(value)
    out.left_out += sorted(lists)
    taken: set[str] = set()
    for path, values in seen.items():
        written = ".".join(map(_segment, path))
        if len(path) > DEEPEST or len(written) > _LONGEST_PATH:
            out.left_out.append(f"{written[:60]}: the path is too long")
        elif len(out.guesses) >= MOST:
            out.left_out.append(f"{written}: more than {MOST} measurements")
        else:
            _guess(path, written, values, taken, out)
    return out


def _guess(path: _Path, written: str, values: list[Any], taken: set[str], out: Inferred) -> None:
    name = field_name("_".join(path), taken)
    found = _spec(name, values)
    if isinstance(found, str):
        out.left_out.append(f"{written}: {found}")
        return
    taken.add(name)
    spec, doubt = found
    if written != name:
        spec = {"from": written, **spec}
    out.guesses.append(Guess(name, written, spec, doubt, path))


def _spec(name: str, values: list[Any]) -> tuple[dict[str, Any], str] | str:
    """Return what fits all values and the doubt about it, or why nothing does."""
    bools = [value for value in values if isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, bool | str)]
    if bools:
        if len(bools) < len(values):
            return "sometimes true or false, sometimes not"
        return {"type": "bool"}, ""
    if not numbers:
        return _of_texts(texts)
    numbers = [value for value in numbers if not isinstance(value, float) or math.isfinite(value)]
    if not all(map(_storable, numbers)) or not numbers:
        return "no number that a store can hold"
    words = sorted(set(texts))
    known = meaning(name, numbers)
    whole = known is not None and known.whole and all(type(value) is int for value in numbers)
    unit = known.unit if known else "1"
    spec: dict[str, Any] = {"type": "int" if whole else "float", "unit": unit}
    if known is not None and known.kind:
        spec["kind"] = known.kind
    doubt = "" if known else "unit?"
    if words:
        spec["invalid"] = words
        doubt = f"{doubt} these words stand where a number is not known".strip()
    return spec, doubt


def _of_texts(texts: list[str]) -> tuple[dict[str, Any], str] | str:
    if any(len(text) > LONGEST_TEXT for text in texts):
        return "text that is too long"
    words = sorted(set(texts))
    if _LEAST_WORDS <= len(words) <= _MOST_WORDS and all(map(_WORD.fullmatch, words)):
        return {"type": "enum", "values": words}, "all values? these are what the examples have"
    if all(map(_is_number, texts)):
        return {"type": "string"}, "numbers written as text"
    return {"type": "string"}, ""


def _leaves(value: Any, path: _Path, lists: set[str]) -> Iterator[tuple[_Path, Any]]:
    """Yield every number, text and bool with its path."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key:
                yield from _leaves(item, (*path, key), lists)
    elif isinstance(value, list):
        written = ".".join(map(_segment, path))
        stored = [item for item in value if isinstance(item, dict)]
        time = next((key for key in _TIMES if stored and key in stored[0]), None)
        if time is not None:
            each = f"each: {{from: {written}, time: {time}}}"
            lists.add(f"{written}: records with a time of their own: add '{each}'")
            return
        if len(value) > LONGEST_LIST:
            lists.add(f"{written}: only the first {LONGEST_LIST} elements")
        for at, item in enumerate(value[:LONGEST_LIST]):
            yield from _leaves(item, (*path, str(at)), lists)
    elif value is not None and path:
        yield path, value


def _walk(data: Any, path: _Path) -> Any:
    for key in path:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        else:
            return None
    return data


def _segment(key: str) -> str:
    """Return a key as a path writes it, in quotes where it must be."""
    if re.fullmatch(r"[^\s.\"\[\]$\\][^.\"\[\]\\]*(?<!\s)", key):
        return key
    return json.dumps(key, ensure_ascii=False)


def _storable(value: Any) -> bool:
    if isinstance(value, int):
        return INT_MIN <= value <= INT_MAX
    return isinstance(value, float) and math.isfinite(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
