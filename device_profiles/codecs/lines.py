"""InfluxDB line protocol, as Telegraf publishes it: many lines a message, each a series' values.

Grammar: InfluxDB documentation, "Line protocol reference". A backslash escapes comma, equals sign
and space in names and tags, and the quote and itself in text; before anything else it is itself. A
line that cannot be read is refused for itself; the others are kept.
"""

from __future__ import annotations

import re
from typing import Any

from device_profiles.codecs.contract import Context, Decode, Packet
from device_profiles.codecs.grammar import Path, choice, mapping, sequence, text
from device_profiles.codecs.instants import Instants
from gateway_core.errors import PayloadError

PRECISIONS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
"""Unit of timestamps to nanoseconds."""

MAX_LINES = 10_000
LONGEST_LINE = 65_536

_NAME = r"(?:[^\\,= \n]|\\[^\n]|\\(?=\n|\Z))+"
_MEASUREMENT = re.compile(r"(?:[^\\, \n]|\\[^\n]|\\(?=\n|\Z))+")
_TAG = re.compile(f",({_NAME})=({_NAME})")
_FIELD = re.compile(rf'({_NAME})=(?:"((?:[^"\\]|\\[\s\S])*)"|([^," \n]+))')
_END = re.compile(r"(?: +(-?\d{1,19}))? *\r?(?:\n|\Z)")
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_TEXT = re.compile(r'\\(["\\])')
_FLOAT = re.compile(r"-?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?")
_WHOLE = re.compile(r"(-?\d{1,20})i|(\d{1,20})u")
_BOOLS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}

Line = tuple[str, dict[str, str], dict[str, Any], int | None]
"""Measurement, tags, fields and timestamp as sent."""


class _BadLine(Exception):
    """A line is not what the grammar allows."""


def compile_lines(spec: object, path: Path, *, many: bool) -> Decode:
    """Compile ``line-protocol: {}``.

    Args:
        spec: ``precision`` (default ``ns``), ``device`` (the tag that names the device) and
            ``measurements`` (a list; lines of others are not looked at).
        path: Where it stands, for errors.
        many: Whether a message may tell of several devices.
    """
    found = mapping(spec if spec is not None else {}, path, ("precision", "device", "measurements"))
    unit = PRECISIONS[choice(found.get("precision", "ns"), (*path, "precision"), PRECISIONS)]
    who = text(found["device"], (*path, "device")) if "device" in found else None
    wanted: frozenset[str] | None = None
    if "measurements" in found:
        names = sequence(found["measurements"], (*path, "measurements"))
        wanted = frozenset(text(name, (*path, "measurements", at)) for at, name in enumerate(names))

    def decode(payload: object, _context: Context) -> list[Packet]:
        out = Instants(many=many)
        for number, line in enumerate(read_lines(_text(payload)), start=1):
            if isinstance(line, str):
                out.refuse("bad_line", f"line {number}: {line}")
                continue
            name, tags, fields, stamp = line
            if wanted is None or name in wanted:
                time = None if stamp is None else stamp * unit
                out.add(tags.get(who) if who else None, time, {name: fields}, tags)
        return out.packets()

    return decode


def _text(payload: object) -> str:
    if isinstance(payload, dict) and isinstance(payload.get("text"), str):
        return str(payload["text"])
    if not isinstance(payload, bytes):
        raise PayloadError("not_text", "expected line protocol")
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise PayloadError("not_text", "line protocol is UTF-8") from exc


def read_lines(content: str) -> list[Line | str]:
    """Return the lines of a text; of one that cannot be read what was expected.

    Raises:
        PayloadError: ``too_many_points``: more than 10,000 lines.
    """
    lines: list[Line | str] = []
    at = 0
    while at < len(content):
        if content[at] in " \n\r\t":
            at += 1
            continue
        end = content.find("\n", at)
        end = len(content) if end < 0 else end
        if content[at] == "#":
            at = end
            continue
        if len(lines) >= MAX_LINES:
            raise PayloadError("too_many_points", f"more than {MAX_LINES} lines in one message")
        try:
            line, at = _line(content, at)
            lines.append(line)
        except _BadLine as exc:
            lines.append(str(exc))
            at = end
    return lines


def _line(content: str, at: int) -> tuple[Line, int]:
    """Return the line that begins at a place, and where the next one does."""
    start = at
    name = _MEASUREMENT.match(content, at)
    if name is None:
        raise _BadLine("expected a measurement")
    at = name.end()
    tags: dict[str, str] = {}
    while (tag := _TAG.match(content, at)) is not None:
        key = _plain(tag[1])
        if key in tags:
            raise _BadLine("a tag is there twice")
        tags[key] = _plain(tag[2])
        at = tag.end()
    blank = at
    while content.startswith(" ", at):
        at += 1
    if at == blank:
        raise _BadLine("expected tags as key=value, then a space and the fields")
    fields: dict[str, Any] = {}
    while True:
        field = _FIELD.match(content, at)
        if field is None:
            raise _BadLine("expected a field as key=value")
        fields[_plain(field[1])] = _value(field)
        at = field.end()
        if not content.startswith(",", at):
            break
        at += 1
    end = _END.match(content, at)
    if end is None:
        raise _BadLine("expected a timestamp or the end of the line")
    if end.end() - start > LONGEST_LINE:
        raise _BadLine(f"longer than {LONGEST_LINE} characters")
    return (_plain(name[0]), tags, fields, int(end[1]) if end[1] else None), end.end()


def _plain(escaped: str) -> str:
    return _ESCAPED.sub(r"\1", escaped) if "\\" in escaped else escaped


def _value(field: re.Match[str]) -> Any:
    said = field[3]
    if said is None:
        return _ESCAPED_TEXT.sub(r"\1", field[2])
    if _FLOAT.fullmatch(said):
        return float(said)
    whole = _WHOLE.fullmatch(said)
    if whole is not None:
        return int(whole[1] or whole[2])
    if said in _BOOLS:
        return _BOOLS[said]
    raise _BadLine("a value is no number, no bool and not in quotes")
