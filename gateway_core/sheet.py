"""A table that people keep, CSV or an .xlsx workbook's first sheet, as rows of cells."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import python_calamine

from gateway_core.csv_table import MAX_BYTES, Cell, read_rows, read_text
from gateway_core.errors import ConfigError, Fault

MAX_UNPACKED = 512 * 1024 * 1024
MAX_CELLS = 16_000_000
"""From the first cell to the last, the empty ones between them too: all are held at once. A million
rows of as many columns as a plan has, and one that strayed to the last row, are half of it."""
MAX_COLUMNS = 64
MAX_CHARS = 1000
"""Of one cell. A longer one is cut, and is refused by whoever knows what belongs there."""
_TOO_MANY_DIGITS = 10**15
_READ_BYTES = 1 << 20
_PLACE = re.compile(
    rb"""<(?:\w+:)?(?:c|row)(?=[\s/>])(?:[^<>]*?\sr\s*=\s*["']([A-Za-z]{0,8})(\d{1,12}))?"""
)
"""A cell or a row, and where it says that it is."""


def read_sheet(path: Path) -> Iterator[list[Cell]]:
    """Yield every row that is not blank; line is the row, col the column (of a CSV, the character).

    Raises:
        ConfigError: The file cannot be opened or read, or is larger than is taken in.
    """
    if path.suffix.lower() == ".xlsx":
        return _workbook_rows(path)
    return read_rows(read_text(path), path)


def _workbook_rows(path: Path) -> Iterator[list[Cell]]:
    _refuse_bombs(path)
    try:
        with python_calamine.load_workbook(path) as book:
            rows = book.get_sheet_by_index(0).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, IndexError) as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"is no workbook that can be read: {exc}")) from exc
    for line, values in enumerate(rows, 1):
        cells = [
            # most cells are text: a call for each of a million is a tenth of the whole
            Cell(each.strip()[: MAX_CHARS + 1] if isinstance(each, str) else _text(each), line, col)
            for col, each in enumerate(values[:MAX_COLUMNS], 1)
        ]
        if any(cell.text for cell in cells):
            yield cells


def _refuse_bombs(path: Path) -> None:
    """Refuse a file that would not fit into memory once read; every byte is really unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(each.file_size for each in members)
            if path.stat().st_size > MAX_BYTES or unpacked > MAX_UNPACKED:
                message = f"is larger than {MAX_BYTES >> 20} MiB, or {MAX_UNPACKED >> 20} unpacked"
                raise ConfigError(Fault(path, 0, 0, "", message))
            for each in members:
                # A size that the directory understates shows in the checksum, at the end.
                with archive.open(each) as part:
                    rows, columns = _extent(part)
                if rows * columns > MAX_CELLS:
                    message = (
                        f"a cell stands as far off as row {rows}, column {columns}; delete the rows"
                        " and columns beyond the table, or save it as CSV UTF-8"
                    )
                    raise ConfigError(Fault(path, 0, 0, "", message))
    except OSError as exc:
        message = f"cannot be read: {exc.strerror or exc}"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as exc:
        message = f"is no .xlsx workbook: {exc}; save it anew, or as CSV UTF-8"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc


def _extent(part: IO[bytes]) -> tuple[int, int]:
    """Return how many rows and columns a sheet may have, at most; (0, 0) for what is no sheet.

    Five kilobytes can name a cell at the far corner, and the reader makes room for all before it.
    """
    far_row = far_column = unplaced = 0
    rest = b""
    while block := part.read(_READ_BYTES):
        data = rest + block
        end = data.rfind(b"<")  # what begins there may go on in the next block
        end = len(data) if end < 0 or len(data) - end > _READ_BYTES else end
        rest = data[end:]
        found = _PLACE.findall(data, 0, end)
        rows = [row for _, row in found]
        far_row = max(far_row, *map(int, set(rows) - {b""}), 0)
        far_column = max(far_column, *map(_column, {name for name, _ in found}), 0)
        unplaced += rows.count(b"")  # those follow the one before
    return far_row + unplaced, far_column + unplaced


def _column(name: bytes) -> int:
    """Return which column, from 1, letters name; 0 for none."""
    number = 0
    for letter in name.upper():
        number = 26 * number + letter - ord("A") + 1
    return number


def _text(value: object) -> str:
    """Return a cell that is no text as its reader sees it; whole numbers have no decimal point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if abs(value) >= _TOO_MANY_DIGITS:
            return f"{value:.14e}"  # digits were lost: whoever reads it as a code must say so
        return str(int(value)) if float(value).is_integer() else repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)
