"""Published examples of codecs: read in every way that they are written, and tried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from device_profiles.codec_vectors import differences
from device_profiles.codecs import Values
from device_profiles.js.step import JsCodec, values_of
from gateway_core.config import read_yaml
from gateway_core.errors import ConfigError, PayloadError

Function = Literal["decodeUplink", "encodeDownlink", "decodeDownlink", "normalizeUplink"]

SECTIONS: dict[str, Function] = {
    "uplinkDecoder": "decodeUplink",
    "downlinkEncoder": "encodeDownlink",
    "downlinkDecoder": "decodeDownlink",
}
"""Of a ``-codec.yaml``."""

MOST_EXAMPLES = 2_000
"""Examples of one codec that are tried."""

LARGEST_JSON = 4 << 20
_PARTS = re.compile(r"0x|[\s,:;-]")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")


class Unreadable(Exception):
    """A file or an example is not as it must be; the text is for people."""


@dataclass(frozen=True, slots=True)
class Example:
    """One published example.

    Attributes:
        file: Where it stands.
        place: Which one it is: ``uplinkDecoder example 2``.
        description: As published; may be empty.
        function: What it is an example of.
        input: What the function gets.
        output: What it should return.
    """

    file: Path
    place: str
    description: str
    function: Function
    input: dict[str, Any]
    output: Any


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an example.

    Attributes:
        example: It.
        found: What the codec returned; None where it refused.
        against: Where that differs from what was published; empty where they agree.
        values: What a profile sees of it, or why the message is refused; None for functions that
            do not decode uplinks.
    """

    example: Example
    found: Any
    against: tuple[str, ...]
    values: Values | PayloadError | None = None


def read_mapping(file: Path) -> dict[str, Any]:
    """Return a YAML file of others; raises `Unreadable`."""
    try:
        data = read_yaml(file, strict=False).data
    except ConfigError as exc:
        raise Unreadable(str(exc).split("\n", 1)[0]) from exc
    if not isinstance(data, dict):
        raise Unreadable(f"{file}: expected keys and values")
    return data


def section_examples(
    file: Path, name: str, section: dict[str, Any], troubles: list[str]
) -> Iterator[Example]:
    """Yield the examples of one section of a ``-codec.yaml``.

    Args:
        file: It.
        name: ``uplinkDecoder``, ``downlinkEncoder`` or ``downlinkDecoder``.
        section: What stands there.
        troubles: Takes what cannot be read.
    """
    listed = section.get("examples") or []
    if not isinstance(listed, list):
        troubles.append(f"{file}: {name}.examples: expected a list")
        return
    for number, one in enumerate(listed[:MOST_EXAMPLES], start=1):
        place = f"{name} example {number}"
        try:
            example = _example(file, place, SECTIONS[name], one, ("output", "expected"))
        except Unreadable as exc:
            troubles.append(f"{file}: {place}: {exc}")
            continue
        yield example
        normalized = one.get("normalizedOutput")
        if normalized is not None and isinstance(example.output, dict):
            given = {"data": example.output.get("data")}
            title = f"{place}, normalized"
            yield Example(
                file, title, example.description, "normalizeUplink", given, _plain(normalized)
            )


def json_examples(file: Path, function: Function, troubles: list[str]) -> Iterator[Example]:
    """Yield the examples of a ChirpStack test file: a list of ``{name, input, expected}``."""
    try:
        listed = _listed(file)
    except (OSError, ValueError, RecursionError, Unreadable) as exc:
        troubles.append(f"{file}: {exc}")
        return
    for number, one in enumerate(listed[:MOST_EXAMPLES], start=1):
        try:
            yield _example(file, f"test {number}", function, one, ("expected", "output"))
        except Unreadable as exc:
            troubles.append(f"{file}: test {number}: {exc}")


def _listed(file: Path) -> list[Any]:
    with file.open("rb") as handle:
        raw = handle.read(LARGEST_JSON + 1)
    if len(raw) > LARGEST_JSON:
        raise Unreadable(f"larger than {LARGEST_JSON} bytes")
    try:
        listed = json.loads(raw)
    except ValueError as exc:
        # nobody runs some of these files: they have 0x01 and bare names, which YAML has too
        try:
            listed = read_yaml(raw.decode(), file, strict=False).data
        except (ConfigError, UnicodeError):
            raise exc from None
    if isinstance(listed, dict):
        listed = listed.get("tests", listed.get("examples"))
    if not isinstance(listed, list):
        raise Unreadable("expected a list of tests")
    return listed


def try_example(codec: JsCodec, example: Example) -> Tried:
    """Run an example and compare."""
    try:
        found = codec.call(example.function, example.input)
    except PayloadError as exc:
        return Tried(example, None, (str(exc),))
    example = replace(example, output=_as_dated(example.output, found))
    expected, compared = example.output, found
    if example.function == "normalizeUplink":
        expected, compared = _as_lists(expected), _as_lists(found)
    against = tuple(differences(expected, compared))
    if example.function != "decodeUplink":
        return Tried(example, found, against)
    try:
        (result,) = codec.ask([json.dumps(example.input)])
        return Tried(example, found, against, values_of(result))
    except PayloadError as exc:
        return Tried(example, found, against, exc)


def _as_dated(expected: Any, found: Any) -> Any:
    """Return what is expected with instants as the codec writes them.

    YAML and the network servers write a Date as ``…:01Z``, JavaScript as ``…:01.000Z``.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        return {key: _as_dated(item, found.get(key)) for key, item in expected.items()}
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [_as_dated(*pair) for pair in zip(expected, found, strict=True)]
    if isinstance(expected, str) and isinstance(found, str) and expected != found:
        mine, its = _DATE.fullmatch(expected), _DATE.fullmatch(found)
        if mine and its and _instant(expected) == _instant(found) is not None:
            return found
    return expected


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _as_lists(result: Any) -> Any:
    """Return a normalized result with a list of measurements, as network servers make of one."""
    if isinstance(result, dict) and isinstance(result.get("data"), dict):
        return {**result, "data": [result["data"]]}
    return result


def _example(
    file: Path, place: str, function: Function, one: Any, keys: tuple[str, ...]
) -> Example:
    if not isinstance(one, dict):
        raise Unreadable("expected input and output")
    given = one.get("input")
    output = next((one[key] for key in keys if key in one), None)
    if not isinstance(given, dict) or output is None:
        raise Unreadable("has no input, or no output")
    given = _plain(given)
    if "bytes" in given:
        given["bytes"] = _bytes(given["bytes"])
    elif function in ("decodeUplink", "decodeDownlink"):
        raise Unreadable("its input has no bytes")
    name = one.get("description") or one.get("name") or ""
    return Example(file, place, str(name).strip()[:200], function, given, _plain(output))


def _bytes(given: Any) -> list[int]:
    """Return bytes that were written as numbers, as texts of numbers, or as digits."""
    if isinstance(given, str):
        try:
            return list(bytes.fromhex(_PARTS.sub("", given)))
        except ValueError as exc:
            raise Unreadable(f"bytes {given[:40]!r} are no hexadecimal digits") from exc
    if not isinstance(given, list):
        raise Unreadable("bytes: expected a list of numbers")
    try:
        found = [int(one, 0) if isinstance(one, str) else one for one in given]
    except ValueError as exc:
        raise Unreadable("bytes: expected a list of numbers") from exc
    if not all(type(one) is int for one in found):
        raise Unreadable("bytes: expected a list of whole numbers")
    return found


def _plain(value: Any) -> Any:
    """Return a value of a YAML file as JSON has it: keys are texts."""
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=str)
