"""One row of a feeds table, checked cell by cell: of the feeds file, or of a table to import."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edge_agent.cameras.address import normal_host, parse_rtsp_url
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.seal import MAX_PASSWORD, SealError, SiteKey
from gateway_core.csv_table import Cell
from gateway_core.errors import Fault
from gateway_core.gb28181 import parse_feed_code

COLUMNS = (
    "id",
    "name",
    "host",
    "onvif_port",
    "rtsp_url",
    "username",
    "password_file",
    "password_sealed",
    "area",
    "lat",
    "lon",
    "group",
    "gb_code",
)
REQUIRED = ("id", "host", "rtsp_url")
_ID = re.compile(r"[^\s\x00-\x20\x7f,\"]{1,128}")

Row = Mapping[str, Cell]
"""Cells by column; an empty cell is missing, unless the column is `REQUIRED`."""


class RowReader:
    """Reads the rows of one table: each id and code once, each password file once.

    Args:
        path: Of the table, for messages.
        folder: Where relative password files start.
        key: Opens sealed passwords.
    """

    def __init__(self, path: Path, folder: Path, key: SiteKey) -> None:
        self.faults: list[Fault] = []
        self._path = path
        self._folder = folder
        self._key = key
        self._passwords: dict[Path, str] = {}
        self._lines: dict[str, int] = {}
        self._codes: dict[str, int] = {}

    def fault(self, cell: Cell, column: str, message: str) -> None:
        """Note a mistake."""
        self.faults.append(Fault(self._path, cell.line, cell.col, column, message))

    def strays(self, columns: Sequence[str], cells: Sequence[Cell]) -> bool:
        """Note it when a row has cells that the header does not name; return whether it has."""
        nameless = [cell for name, cell in zip(columns, cells, strict=False) if not name]
        extra = [cell for cell in nameless if cell.text] or cells[len(columns) :]
        if extra:
            message = f"{len(cells)} cells, but the header names {len(columns)}; remove this one"
            if extra[0] in nameless:
                message = "the header names no column here; remove the cell"
            self.fault(extra[0], "", message)
        return bool(extra)

    def read(self, row: Row, here: Cell) -> Feed | None:
        """Return the feed of a row; None when it has a mistake.

        Args:
            row: Its cells.
            here: Where to tell of what is missing from it.
        """
        before = len(self.faults)
        for name in REQUIRED:
            if name not in row or not row[name].text:
                self.fault(row.get(name, here), name, f"{name} must not be empty")
        if len(self.faults) > before:
            return None
        found = self._checked(row)
        credential, trouble = self._credential(row)
        rtsp, host = found.get("rtsp_url"), found.get("host")
        if rtsp is not None and host is not None and rtsp.host != host:
            self.fault(
                row["rtsp_url"],
                "rtsp_url",
                f"points to {rtsp.host!r}, but the registered host is {host!r}; credentials are"
                " only ever sent to the registered host, so make them equal",
            )
        if ("lat" in row) != ("lon" in row):
            self.fault(row["lat" if "lat" in row else "lon"], "lat", "give lat and lon, or neither")
        for name, lines in (("gb_code", self._codes), ("id", self._lines)):
            if name in found:
                self._once(row[name], lines, name)
        if len(self.faults) > before:
            return None
        return Feed(
            id=found["id"],
            host=found["host"],
            rtsp=found["rtsp_url"],
            name=text_of(row, "name"),
            onvif_port=found.get("onvif_port"),
            credential=credential,
            area=text_of(row, "area"),
            lat=found.get("lat"),
            lon=found.get("lon"),
            group=text_of(row, "group"),
            gb_code=text_of(row, "gb_code"),
            login_trouble=trouble,
        )

    def _checked(self, row: Row) -> dict[str, Any]:
        """Return what the cells stand for; those with a mistake are left out."""
        found: dict[str, Any] = {}
        for column, check in _CHECKS.items():
            cell = row.get(column)
            if cell is None:
                continue
            try:
                found[column] = check(cell.text)
            except ValueError as exc:
                # A URL with a password in it must not reach a log by way of an error message.
                hidden = column == "rtsp_url" and "@" in cell.text
                shown = "the value" if hidden else repr(cell.text[:80])
                self.fault(cell, column, f"{shown}: {exc}")
        return found

    def _once(self, cell: Cell, lines: dict[str, int], column: str) -> None:
        first = lines.setdefault(cell.text, cell.line)
        if first != cell.line:
            message = f"{cell.text!r} is already on line {first}; each must be unique"
            self.fault(cell, column, message)

    def _credential(self, row: Row) -> tuple[Credential | None, str]:
        """Return the login, or why its password cannot be used: that is no mistake of the row."""
        username = text_of(row, "username")
        given = [name for name in ("password_file", "password_sealed") if name in row]
        if given and not username:
            self.fault(row[given[0]], given[0], "there is no username for it")
        if len(given) == 2:
            self.fault(row[given[1]], given[1], "there is a password_file as well; remove one")
        if not username or len(given) == 2:
            return None, ""
        if given == ["password_sealed"]:
            try:
                password = self._key.open(text_of(row, "id"), text_of(row, "password_sealed"))
            except SealError as exc:
                return None, str(exc)
            return Credential(username, password), ""
        return Credential(username, self._from_file(row["password_file"]) if given else ""), ""

    def _from_file(self, cell: Cell) -> str:
        path = self._folder / cell.text
        if path not in self._passwords:
            try:
                with path.open(encoding="utf-8") as stream:
                    text = stream.read(1025)
            except (OSError, UnicodeDecodeError) as exc:
                reason = exc.strerror if isinstance(exc, OSError) else "is not UTF-8"
                self.fault(cell, "password_file", f"{cell.text!r} cannot be read: {reason}")
                return ""
            self._passwords[path] = text.removesuffix("\n").removesuffix("\r")
        password = self._passwords[path]
        if len(password) > MAX_PASSWORD or any(ord(char) < 32 for char in password):
            message = f"{cell.text!r} must hold one line, the password"
            self.fault(cell, "password_file", message)
        return password


def row_of(columns: Sequence[str], cells: Sequence[Cell]) -> dict[str, Cell]:
    """Return a row of cells as a `Row`."""
    named = zip(columns, cells, strict=False)
    return {name: cell for name, cell in named if cell.text or name in REQUIRED}


def text_of(row: Row, column: str) -> str:
    """Return the text of a cell; empty where there is none."""
    cell = row.get(column)
    return cell.text if cell is not None else ""


def _feed_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("expected 1 to 128 characters without spaces, commas or quotes")
    return text


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("expected a port from 1 to 65535")
    return int(text)


def _degrees(text: str, limit: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not -limit <= value <= limit:
        raise ValueError(f"expected degrees from -{limit} to {limit}")
    return value


_CHECKS: Mapping[str, Callable[[str], Any]] = {
    "id": _feed_id,
    "host": normal_host,
    "rtsp_url": parse_rtsp_url,
    "onvif_port": _port,
    "lat": partial(_degrees, limit=90),
    "lon": partial(_degrees, limit=180),
    "gb_code": parse_feed_code,
}
