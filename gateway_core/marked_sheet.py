"""A copy of a table in which every mistake is marked where it is, for the person who wrote it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import xlsxwriter
from xlsxwriter.exceptions import XlsxWriterException

from gateway_core.csv_table import Cell
from gateway_core.errors import Fault, Unavailable

ERROR_COLUMN = "error"
_RED = {"bg_color": "#FFC7CE", "font_color": "#9C0006"}


def write_marked(path: Path, rows: Sequence[Sequence[Cell]], faults: Sequence[Fault]) -> None:
    """Write ``rows`` with one column more, ``error``; in an .xlsx wrong cells are red as well.

    Everything is written as text: no cell becomes a formula.

    Args:
        path: Ends in ``.xlsx`` or ``.csv``; overwritten.
        rows: The header first.
        faults: By line and col of the cells that they are about.

    Raises:
        Unavailable: The file cannot be written.
    """
    told: dict[int, list[Fault]] = {}
    for fault in faults:
        told.setdefault(fault.line, []).append(fault)
    try:
        if path.suffix.lower() == ".xlsx":
            _write_workbook(path, rows, told)
        else:
            _write_csv(path, rows, told)
    except (OSError, XlsxWriterException) as exc:
        raise Unavailable(f"cannot write {path}: {exc}") from exc


def _write_csv(
    path: Path, rows: Sequence[Sequence[Cell]], told: Mapping[int, Sequence[Fault]]
) -> None:
    # With a byte order mark, as spreadsheets want it to read UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        for place, row in enumerate(rows):
            mark = ERROR_COLUMN if place == 0 else _message(told.get(row[0].line, ()))
            writer.writerow([*(cell.text for cell in row), mark])


def _write_workbook(
    path: Path, rows: Sequence[Sequence[Cell]], told: Mapping[int, Sequence[Fault]]
) -> None:
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet, red = book.add_worksheet(), book.add_format(_RED)
        width = max(map(len, rows), default=0)
        for place, row in enumerate(rows):
            faults = told.get(row[0].line, ())
            wrong = {fault.col for fault in faults}
            for col, cell in enumerate(row):
                sheet.write_string(place, col, cell.text, red if cell.col in wrong else None)
            mark = ERROR_COLUMN if place == 0 else _message(faults)
            sheet.write_string(place, width, mark, red if faults else None)


def _message(faults: Sequence[Fault]) -> str:
    return "; ".join(f"{fault.path}: {fault.message}" for fault in faults)
