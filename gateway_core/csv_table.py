"""A CSV file (RFC 4180) as rows of cells that know where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway_core.errors import ConfigError, Fault

MAX_BYTES = 64 * 1024 * 1024
"""A feeds file of 300,000 rows is about 45 MiB."""
MAX_CELLS = 1000
"""Of one row: each costs more memory than the comma that ends it."""
_PLAIN = re.compile(r"[^,\r\n]*")


class Cell(NamedTuple):
    """One value and its place; line and column count from 1, in characters."""

    text: str
    line: int
    col: int


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 (with or without byte order mark) or GB 18030.

    Raises:
        ConfigError: The file cannot be opened, is too large or is in another encoding.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        message = f"cannot be read: {exc.strerror or exc}"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc
    if len(data) > MAX_BYTES:
        raise ConfigError(Fault(path, 0, 0, "", f"is larger than {MAX_BYTES // 2**20} MiB"))
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ConfigError(Fault(path, 0, 0, "", "is neither UTF-8 nor GB 18030; save it as CSV UTF-8"))


def read_rows(text: str, path: Path) -> Iterator[list[Cell]]:
    """Yield every row that is not blank.

    Raises:
        ConfigError: A quoted cell never ends, text follows a closing quote, or a row is too wide.
    """
    at, line, start = 0, 1, 0  # `start` is where the line begins, so that col = at - start + 1
    row: list[Cell] = []
    while at < len(text) or row:
        place = (line, at - start + 1)
        if text[at : at + 1] == '"':
            value, at, line, start = _quoted(text, at, line, start, path)
        else:
            plain = _PLAIN.match(text, at)
            assert plain is not None
            value, at = plain[0], plain.end()
        if len(row) == MAX_CELLS:
            message = f"more than {MAX_CELLS} cells in one row; remove what is beyond the table"
            raise ConfigError(Fault(path, *place, "", message))
        row.append(Cell(value.strip(), *place))
        if text[at : at + 1] == ",":
            at += 1
            continue
        at += 2 if text[at : at + 2] == "\r\n" else 1
        line, start = line + 1, at
        if any(cell.text for cell in row):
            yield row
        row = []


def _quoted(text: str, at: int, line: int, start: int, path: Path) -> tuple[str, int, int, int]:
    opened = Fault(path, line, at - start + 1, "", "the quoted cell that opens here never ends")
    pieces: list[str] = []
    at += 1
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ConfigError(opened)
        piece = text[at:end]
        pieces.append(piece)
        if "\n" in piece:
            line += piece.count("\n")
            start = at + piece.rindex("\n") + 1
        at = end + 1
        if text[at : at + 1] != '"':
            break
        pieces.append('"')
        at += 1
    if at < len(text) and text[at] not in ",\r\n":
        raise ConfigError(
            Fault(path, line, at - start + 1, "", 'text after a closing quote; write "" for "')
        )
    return "".join(pieces), at, line, start
