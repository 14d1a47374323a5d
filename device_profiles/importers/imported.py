"""What an importer gives, and the pieces of text that all of them write."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from dataclasses import dataclass

from gateway_core.errors import Fault

LONGEST_NAME = 64

_OF_POINTS = {"time": "device_time"}
"""Names that a point has for itself: stores and vectors would take its value for the point's."""

_OTHER_TYPES = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Imported:
    """A profile made from another system's description.

    Attributes:
        id: ``vendor/model``.
        text: The profile, as YAML.
        remarks: What of the original has no equal, or was decided for want of better, each with
            its place in the original.
    """

    id: str
    text: str
    remarks: tuple[Fault, ...]


def flow(value: object) -> str:
    """Return a value as one line of YAML; JSON is that, but for some characters."""
    return "".join(map(_plain, json.dumps(value, ensure_ascii=False)))


def _plain(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def slug(text: str) -> str:
    """Return text as one half of a profile's id: small letters, digits and ``-``; may be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LONGEST_NAME]


def field_name(text: str, taken: Container[str] = ()) -> str:
    """Return a measurement's name: ``AirTemp-2`` is ``air_temp_2``, ``Time`` is ``device_time``.

    Args:
        text: The name in the original.
        taken: Names that are used already; then a number follows.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    if not name[:1].isalpha():
        name = f"v_{name}".rstrip("_")
    name = _OF_POINTS.get(name, name[: LONGEST_NAME - 4])
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def key(name: str) -> str:
    """Return a measurement's name as a key of YAML: quoted where some reader sees another type."""
    return f'"{name}"' if name in _OTHER_TYPES else name


def path_to(name: str) -> str:
    """Return the path of one member: quoted where its name is not plain."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
