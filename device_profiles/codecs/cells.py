"""Cells of text (CSV columns, groups of a pattern, pairs): text unless the profile gives a type.

A cell that is not of its type stays text, so that quality flags the one value; an empty cell is no
value at all. Nothing is guessed from what a cell looks like.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from device_profiles.codecs.contract import SpecError
from device_profiles.codecs.grammar import Path, choice
from gateway_core.errors import PayloadError

TYPES = ("int", "float", "text", "bool")
"""What a cell may be declared as."""

Cell = Callable[[str], Any]
"""From the text of a cell, never empty, to its value."""

_INT = re.compile(r"[+-]?[0-9]{1,40}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")
_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def compile_cell(kind: object, path: Path, *, decimal: str = ".") -> Cell:
    """Return the reader of one type of cell; raises `SpecError` for an unknown type.

    Args:
        kind: One of `TYPES`.
        path: Where it stands.
        decimal: What stands between whole and fraction of a ``float``.
    """
    name = choice(kind, path, TYPES)
    if name == "float" and decimal != ".":
        return lambda text: _float(text.replace(decimal, ".")) if "." not in text else text
    cells: dict[str, Cell] = {"int": _int, "float": _float, "bool": _bool, "text": str}
    return cells[name]


def typed(spec: object, path: Path, names: object = None) -> Mapping[str, Cell]:
    """Return the readers of ``types: {name: type}``.

    Args:
        spec: As written; None for none.
        path: Where it stands.
        names: The names that there are, or None where only a message tells.
    """
    if spec is None:
        return {}
    if not isinstance(spec, dict):
        raise SpecError(path, "expected a mapping of names to int, float, text or bool")
    cells = {}
    for name, kind in spec.items():
        if isinstance(names, tuple):
            choice(name, (*path, name), names)
        cells[str(name)] = compile_cell(kind, (*path, str(name)))
    return cells


def text_of(payload: bytes) -> str:
    """Return the text of a message, without a byte order mark; raises ``not_text``."""
    try:
        return payload.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as exc:
        raise PayloadError("not_text", "expected UTF-8 text") from exc


def _int(text: str) -> int | str:
    return int(text) if _INT.fullmatch(text) else text


def _float(text: str) -> float | str:
    return float(text) if _FLOAT.fullmatch(text) else text


def _bool(text: str) -> bool | str:
    return _BOOLS.get(text.lower(), text)
