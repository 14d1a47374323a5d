"""A Markdown table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars inside cells are escaped, line breaks become blanks."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += [
        "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in row) + " |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"
