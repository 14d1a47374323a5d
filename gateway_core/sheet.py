"""A table that people keep, CSV or an .xlsx workbook's first sheet, as rows of cells."""

from __future__ import annotations

import datetime as dt
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import python_calamine

from gateway_core.csv_table import MAX_BYTES, Cell, read_rows, read_text
from gateway_core.errors import ConfigError, Fault

MAX_UNPACKED = 512 * 1024 * 1024
MAX_COLUMNS = 64
MAX_CHARS = 1000
"""Of one cell. A longer one is cut, and is refused by whoever knows what belongs there."""
_TOO_MANY_DIGITS = 10**15


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
        cells = [Cell(_text(each), line, col) for col, each in enumerate(values[:MAX_COLUMNS], 1)]
        if any(cell.text for cell in cells):
            yield cells


def _refuse_bombs(path: Path) -> None:
    """Refuse a file that would not fit into memory once unpacked; every byte is really unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacked = sum(each.file_size for each in members)
            if path.stat().st_size > MAX_BYTES or unpacked > MAX_UNPACKED:
                message = f"is larger than {MAX_BYTES >> 20} MiB, or {MAX_UNPACKED >> 20} unpacked"
                raise ConfigError(Fault(path, 0, 0, "", message))
            # A size that the directory understates shows in the checksum.
            if (broken := archive.testzip()) is not None:
                raise ConfigError(Fault(path, 0, 0, "", f"its part {broken!r} is damaged"))
    except OSError as exc:
        message = f"cannot be read: {exc.strerror or exc}"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as exc:
        message = f"is no .xlsx workbook: {exc}; save it anew, or as CSV UTF-8"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc


def _text(value: object) -> str:
    """Return a cell as its reader sees it; whole numbers have no decimal point."""
    if isinstance(value, str):
        return value.strip()[: MAX_CHARS + 1]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if abs(value) >= _TOO_MANY_DIGITS:
            return f"{value:.14e}"  # digits were lost: whoever reads it as a code must say so
        return str(int(value)) if float(value).is_integer() else repr(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)
