"""Profile files: YAML 1.2, checked against the schema, every mistake with its place."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from device_profiles.faults import Faults, Place
from gateway_core.config import YamlDocument, read_yaml

SCHEMA = Path(__file__).with_name("schema.json")
"""The grammar of profile format 1, as JSON Schema 2020-12."""

_MOST_FAULTS = 50


@cache
def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return loaded


@cache
def _validator() -> Any:
    return jsonschema_rs.validator_for(_schema())


def read_profile(
    source: Path | str, name: str | Path = "<text>", *, strict: bool = True
) -> YamlDocument:
    """Read a profile file and check its grammar.

    Args:
        source: The file, or the text itself, then called ``name``.
        name: What errors call a text.
        strict: False only for profiles that were linted before they were shipped.

    Raises:
        ConfigError: Not YAML 1.2, larger than 1 MiB, or against the schema.
    """
    document = read_yaml(source, name, strict=strict)
    faults = Faults(document)
    data = _text_keys(document.data, (), faults)
    faults.raise_any()
    _check_schema(data, faults)
    faults.raise_any()
    return YamlDocument(document.file, document.text, data)


def _text_keys(value: Any, path: Place, faults: Faults) -> Any:
    """Return the document with text keys only; a number is a good key only of a ``map``."""
    if isinstance(value, list):
        return [_text_keys(item, (*path, index), faults) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        if not isinstance(value, str | int | float | None):
            faults.add(path, "tags are not accepted: write plain YAML")
        elif isinstance(value, float) and not math.isfinite(value):
            faults.add(path, "infinity and NaN are not accepted: leave the limit out")
        elif type(value) is int and value.bit_length() > 64:
            faults.add(path, "a whole number has at most 64 bits")
        return value
    plain: dict[str, Any] = {}
    for key, item in value.items():
        text = key if isinstance(key, str) else _key_text(key)
        if not isinstance(key, str) and path[-1:] != ("map",):
            faults.add((*path, text), f'this key is read as {text}: put it in quotes, as "{text}"')
        plain[text] = _text_keys(item, (*path, text), faults)
    return plain


def _key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def _check_schema(data: Any, faults: Faults) -> None:
    for count, error in enumerate(_validator().iter_errors(data)):
        if count == _MOST_FAULTS:
            return
        _enter(error, faults)


def _enter(error: Any, faults: Faults) -> None:
    """Enter one error of the validator, in words of the person who wrote the file."""
    path = tuple(error.instance_path)
    kind = error.kind.name
    if kind == "additionalProperties":
        known = _at(error.schema_path[:-1]).get("properties", {})
        for name in error.kind.unexpected:
            faults.add((*path, name), f"unknown key{_nearest(name, known)}")
    elif kind == "enum":
        options = [str(option) for option in error.kind.options]
        faults.add(
            path,
            f"expected one of {', '.join(options)}, found {_short(error.instance)}"
            f"{_nearest(error.instance, options)}",
        )
    elif kind == "required":
        faults.add(path, f"the key {error.kind.property!r} is missing")
    elif kind == "pattern":
        faults.add(
            path, f"expected text that matches {error.kind.pattern}, found {_short(error.instance)}"
        )
    elif kind == "anyOf":
        _enter_branch(error, faults)
    elif kind == "propertyNames":
        name = error.kind.error.instance
        faults.add((*path, name), "a name has small letters, digits and _, a letter first")
    else:
        faults.add(path, _short(error.message, 300))


def _enter_branch(error: Any, faults: Faults) -> None:
    """Enter the mistakes of the one branch that was meant, or all in one line."""
    base = tuple(error.instance_path)
    meant = [branch for branch in error.kind.context if not _other_type(branch, base)]
    if len(meant) != 1:
        faults.add(base, f"none of the allowed forms: {_short(error.instance)}")
        return
    for one in meant[0]:
        _enter(one, faults)


def _other_type(branch: list[Any], base: Place) -> bool:
    """Return whether a branch is for another kind of value than the one found."""
    return any(
        tuple(one.instance_path) == base
        and (
            one.kind.name == "type" or (one.kind.name == "enum" and isinstance(one.instance, dict))
        )
        for one in branch
    )


def _at(schema_path: Iterable[str | int]) -> dict[str, Any]:
    place: Any = _schema()
    for step in schema_path:
        place = place[int(step)] if isinstance(place, list) else place.get(str(step), {})
        if isinstance(place, dict) and "$ref" in place:
            place = _at(place["$ref"].removeprefix("#/").split("/"))
    return place if isinstance(place, dict) else {}


def _short(value: object, limit: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _nearest(word: object, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
