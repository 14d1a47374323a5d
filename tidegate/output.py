"""What commands print: JSON for programs, tables for people; no data is a dash."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

DASH = "—"

_UNFOLDED = 100_000
"""A pipe has no edge to fold at: one row, one line."""

console = Console(highlight=False)
_pipe = Console(highlight=False, width=_UNFOLDED)


def paper() -> Console:
    """Return where to print: the terminal with its width, or a pipe without one."""
    return console if console.is_terminal else _pipe


def print_json(value: Any) -> None:
    """Print ``value`` as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(text.decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under headings; text from outside is never read as markup."""
    table = Table(box=None, header_style="bold", pad_edge=False, show_header=any(columns))
    for place, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text(show(cell)) for cell in row))
    paper().print(table)


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print names and values, one pair a line."""
    print_table(("", ""), pairs.items())


def show(cell: Any) -> str:
    """Return a cell as people read it."""
    if cell is None or cell == "":
        return DASH
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.15g}"
    if isinstance(cell, Mapping):
        return " ".join(f"{key}={show(value)}" for key, value in cell.items()) or DASH
    if isinstance(cell, list | tuple):
        return ", ".join(map(show, cell)) or DASH
    return str(cell)
