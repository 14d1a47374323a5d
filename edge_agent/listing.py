"""devices.csv: the devices that a person listed, read with every mistake named by line and column.

Columns may come in any order; the first line names them. Encodings are those of
`gateway_core.csv_table`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from gateway_core.csv_table import Cell, read_rows, read_text
from gateway_core.errors import ConfigError, Fault

log = structlog.get_logger()

COLUMNS = ("id", "profile", "address", "name", "lat", "lon")
REQUIRED = ("id", "profile", "address")
MAX_TEXT = 512
MAX_FAULTS = 100
MAX_ID = 128
_FORBIDDEN = frozenset('+#*?$/\\"<>`')


@dataclass(frozen=True, slots=True)
class Listing:
    """One line of devices.csv.

    Attributes:
        id: The device's id, as the profile derives it from the topic, path or payload.
        profile: Id of a loaded profile.
        address: MQTT topic or CoAP path where the device speaks; may be empty.
        name: For people.
        lat: Degrees north, WGS-84.
        lon: Degrees east, WGS-84.
    """

    id: str
    profile: str
    address: str = ""
    name: str = ""
    lat: float | None = None
    lon: float | None = None


def sound_id(device: str) -> bool:
    """Tell whether an id can be a device id: 1-128 printable characters, no wildcard, $ or /."""
    return (
        0 < len(device) <= MAX_ID
        and device.isprintable()
        and device.strip() == device
        and _FORBIDDEN.isdisjoint(device)
        and device not in {".", ".."}
    )


def read_listings(
    path: Path, profiles: Collection[str], *, some_left_out: bool = False
) -> list[Listing]:
    """Read a device list.

    Args:
        path: A CSV file with at least the columns id, profile and address.
        profiles: Ids of the profiles that are loaded.
        some_left_out: Whether profiles with mistakes were left out. Then a line that names a
            profile which is not loaded is left out as well, and hurts no other line.

    Raises:
        ConfigError: The file cannot be read, or lines of it cannot: all of them are named (the
            first 100), as ``file:line:col``.
    """
    found = _Reader(path, profiles, some_left_out=some_left_out).read()
    return [listing for listing in found if listing.profile in profiles]


class _Reader:
    def __init__(self, path: Path, profiles: Collection[str], *, some_left_out: bool) -> None:
        self._path = path
        self._profiles = profiles
        self._some_left_out = some_left_out
        self._faults: list[Fault] = []

    def read(self) -> list[Listing]:
        rows = read_rows(read_text(self._path), self._path)
        header = self._header(next(rows, []))
        listings: dict[str, Listing] = {}
        for cells in rows:
            listing = self._listing(header, cells)
            if listing.id in listings:
                self._fault(cells[0], "id", f"{listing.id!r} is listed twice")
            listings[listing.id] = listing
            if len(self._faults) >= MAX_FAULTS:
                break
        if self._faults:
            raise ConfigError(*self._faults[:MAX_FAULTS])
        return list(listings.values())

    def _fault(self, cell: Cell, column: str, message: str) -> None:
        self._faults.append(Fault(self._path, cell.line, cell.col, column, message))

    def _header(self, cells: Sequence[Cell]) -> list[str]:
        names = [cell.text.lower() for cell in cells]
        for cell, name in zip(cells, names, strict=True):
            if name not in COLUMNS:
                self._fault(cell, name, f"no such column{_near(name, COLUMNS)}")
            elif names.count(name) > 1:
                self._fault(cell, name, "this column is there twice")
        for name in REQUIRED:
            if name not in names:
                message = "this column is missing; the first line names the columns"
                self._fault(Cell("", 1, 1), name, message)
        if self._faults:
            raise ConfigError(*self._faults)
        return names

    def _listing(self, header: Sequence[str], cells: Sequence[Cell]) -> Listing:
        if len(cells) != len(header):
            self._fault(cells[0], "", f"{len(cells)} cells under {len(header)} columns")
        row = dict(zip(header, cells, strict=False))
        for column, cell in row.items():
            if len(cell.text) > MAX_TEXT or "\0" in cell.text:
                self._fault(cell, column, f"at most {MAX_TEXT} characters, none of them NUL")
        device, profile = _cell(row, "id"), _cell(row, "profile")
        if not sound_id(device.text):
            message = f"1-{MAX_ID} printable characters without wildcards, $ or /"
            self._fault(device, "id", message)
        if profile.text not in self._profiles:
            hint = _near(profile.text, self._profiles)
            message = f"no profile {profile.text!r} is loaded{hint}"
            if self._some_left_out:
                log.error("device_left_out", device=device.text, line=device.line, why=message)
            else:
                self._fault(profile, "profile", message)
        return Listing(
            device.text,
            profile.text,
            _cell(row, "address").text,
            _cell(row, "name").text,
            self._degrees(row, "lat", 90.0),
            self._degrees(row, "lon", 180.0),
        )

    def _degrees(self, row: Mapping[str, Cell], column: str, bound: float) -> float | None:
        cell = _cell(row, column)
        if not cell.text:
            return None
        try:
            value = float(cell.text)
        except ValueError:
            value = float("nan")
        if not -bound <= value <= bound:
            self._fault(cell, column, f"degrees from -{bound:g} to {bound:g}, found {cell.text!r}")
            return None
        return value


def _cell(row: Mapping[str, Cell], column: str) -> Cell:
    return row.get(column) or Cell("", next(iter(row.values())).line, 1)


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
