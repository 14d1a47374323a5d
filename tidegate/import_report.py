"""What an import of a table tells the person: what it would change, and what is wrong where."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gateway_core.csv_table import Cell
from gateway_core.errors import Fault
from gateway_core.marked_sheet import write_marked

SHOWN = 20
"""How many mistakes are printed; the marked-up copy has all."""


def tell_some(what: str, names: Sequence[str], most: int = 5) -> None:
    """Print the first of ``names``, and how many more there are."""
    for name in names[:most]:
        print(f"  {what}: {name}")
    if len(names) > most:
        print(f"  {what}: and {len(names) - most} more")


def tell_faults(file: Path, rows: Sequence[Sequence[Cell]], faults: Sequence[Fault]) -> None:
    """Print mistakes, and mark them all in a copy of the table.

    Args:
        file: The table; its copy is ``FILE.marked`` with the same ending.
        rows: Of the copy, the header first.
        faults: All of them.
    """
    write_marked(marked_copy(file), rows, faults)
    for fault in faults[:SHOWN]:
        print(fault, file=sys.stderr)
    if len(faults) > SHOWN:
        print(f"and {len(faults) - SHOWN} more", file=sys.stderr)
    lines = len({fault.line for fault in faults})
    print(f"{lines} of {len(rows) - 1} rows have mistakes; each is marked in {marked_copy(file)}")


def marked_copy(file: Path) -> Path:
    """Return where the marked-up copy of a table goes."""
    ending = ".xlsx" if file.suffix.lower() == ".xlsx" else ".csv"
    return file.with_name(f"{file.stem}.marked{ending}")
