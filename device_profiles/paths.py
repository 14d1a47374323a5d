"""Dotted paths into decoded values: ``params."switch:0".apower``, ``rows.0.v``, ``rows[0].v``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DEEPEST = 16
"""Segments a path may have."""

_SEGMENT = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)+)"|\[(?P<index>\d{1,6})\]|(?P<bare>[^."\[\]]+))'
)

Getter = Callable[[Any], Any]
"""From decoded values to what stands at the path; None where nothing does."""


class PathFault(Exception):
    """The text is not a path."""


def parse_path(text: str) -> tuple[str, ...]:
    """Return the segments of a path; an index stays text and selects from a list.

    Raises:
        PathFault: Empty segment, open quotes, more than 16 segments.
    """
    segments: list[str] = []
    at = 0
    while True:
        found = _SEGMENT.match(text, at)
        if found is None:
            raise PathFault(f'expected a name, a "quoted name" or an index at column {at + 1}')
        quoted, index, bare = found["quoted"], found["index"], found["bare"]
        segments.append(re.sub(r"\\(.)", r"\1", quoted) if quoted else index or bare.strip())
        if not segments[-1]:
            raise PathFault(f"empty name at column {at + 1}")
        at = found.end()
        if at == len(text):
            break
        if text[at] == ".":
            at += 1
        elif text[at] != "[":
            raise PathFault(f"expected '.' at column {at + 1}")
    if len(segments) > DEEPEST:
        raise PathFault(f"a path has at most {DEEPEST} names, this has {len(segments)}")
    return tuple(segments)


def compile_path(segments: tuple[str, ...]) -> Getter:
    """Return a function that walks ``segments``; a path that is not there, or null, gives None."""
    if len(segments) == 1:
        return _one(segments[0])

    def walk(values: Any) -> Any:
        for segment in segments:
            if type(values) is dict:
                values = values.get(segment)
            elif type(values) is list and segment.isdecimal():
                index = int(segment)
                values = values[index] if index < len(values) else None
            else:
                return None
        return values

    return walk


def _one(key: str) -> Getter:
    def get(values: Any) -> Any:
        return values.get(key) if type(values) is dict else None

    return get
