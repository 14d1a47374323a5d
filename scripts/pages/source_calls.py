"""What the source says by itself: calls with constant first arguments, and where they stand."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class SourceCall(NamedTuple):
    """One call: the package it stands in, the function around it, and the call itself."""

    package: str
    inside: ast.AST
    call: ast.Call


def calls(*packages: str) -> Iterator[SourceCall]:
    """Yield every call in the packages, in the order of files and lines."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for around in ast.walk(tree):
                if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from (
                        SourceCall(package, around, node)
                        for node in ast.walk(around)
                        if isinstance(node, ast.Call)
                    )


def name_of(call: ast.Call) -> str:
    """Return the last part of what is called."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
