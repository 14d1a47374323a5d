"""A table of feeds that people keep, brought into the feeds file: every row checked, then compared.

The table may be the city's: rows of other edges are left aside, columns of the centre are not read.
A column that the table lacks stays as it was for each feed. A row that gives no password keeps the
one that its feed has, as long as the user name is the same: passwords cannot be shown, so nobody
could give them back. Passwords leave this module sealed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.cameras.feed_row import COLUMNS, RowReader, row_of, text_of
from edge_agent.cameras.feeds_file import Values
from edge_agent.cameras.seal import SealError, SiteKey, check_password
from gateway_core.csv_table import Cell
from gateway_core.errors import ConfigError, Fault
from gateway_core.headings import read_headings
from gateway_core.sheet import read_sheet

MAX_ROWS = 1_000_000
_LOGIN = ("password_file", "password_sealed")
_TABLE = (*COLUMNS, "edge", "password")
_LOST_DIGITS = re.compile(r"[0-9]\.[0-9]{14}e\+[0-9]{2}")
_USERINFO = re.compile(r"(?<=://)[^/?#]*@")


@dataclass(frozen=True, slots=True)
class FeedTable:
    """What a table says.

    Attributes:
        lines: By feed id, of the rows without a mistake, as the feeds file will have them.
        faults: Every mistake, in the order of the table.
        rows: How many it has.
        elsewhere: How many of them are other edges'.
        sealed: How many passwords were sealed anew.
    """

    lines: Mapping[str, Values]
    faults: Sequence[Fault]
    rows: int
    elsewhere: int
    sealed: int


@dataclass(frozen=True, slots=True)
class LineChanges:
    """What the feeds file would have other than now; feeds by id.

    Attributes:
        lines: The new file's.
        new: Not there now.
        changed: There with something else; and which columns.
        same: How many are there just so.
        gone: There now, and not in the new file.
    """

    lines: Mapping[str, Values]
    new: Sequence[str]
    changed: Mapping[str, Sequence[str]]
    same: int
    gone: Sequence[str]


def read_feed_table(
    path: Path,
    current: Mapping[str, Values],
    *,
    edge: str,
    folder: Path,
    key: SiteKey,
    progress: Callable[[int], None] | None = None,
) -> FeedTable:
    """Read a table and check every row.

    Args:
        path: ``.xlsx``, or CSV in UTF-8 or GB 18030.
        current: Lines of the feeds file.
        edge: Of this site; rows of other edges are left aside.
        folder: Where relative password files start.
        key: Seals passwords.
        progress: Told how many rows were checked, every thousand.

    Raises:
        ConfigError: The table cannot be read, its header names no feeds, or no row is this edge's.
        SealError: There are passwords to seal and no key to seal them with.
    """
    rows = read_sheet(path)
    header = next(rows, None)
    if header is None:
        raise ConfigError(Fault(path, 1, 1, "", f"is empty; the columns are {', '.join(_TABLE)}"))
    columns = read_headings(path, header, _TABLE, aside=("owner",))
    if not {"id", "gb_code"} & set(columns):
        raise ConfigError(Fault(path, 1, 1, "id", "the column is missing"))
    reader = _TableReader(path, columns, current, edge, folder, key)
    number = 0
    for number, cells in enumerate(rows, 1):
        if number > MAX_ROWS:
            raise ConfigError(Fault(path, cells[0].line, 1, "", f"more than {MAX_ROWS} rows"))
        reader.take(cells)
        if progress is not None and number % 1000 == 0:
            progress(number)
    if number == reader.elsewhere:
        message = f"has no row of this edge, {edge!r}; nothing would be left of the feeds file"
        raise ConfigError(Fault(path, 0, 0, "", message))
    return FeedTable(reader.lines, reader.faults, number, reader.elsewhere, reader.sealed)


def compare_lines(
    current: Mapping[str, Values], table: FeedTable, *, keep: bool = False
) -> LineChanges:
    """Return what the feeds file would have other than now.

    Args:
        current: Its lines.
        table: What is to take their place.
        keep: What the table does not name stays.
    """
    lines = dict(table.lines)
    gone = [] if keep else [feed for feed in current if feed not in lines]
    changed = {
        feed: tuple(name for name in COLUMNS if values[name] != current[feed][name])
        for feed, values in lines.items()
        if feed in current and values != current[feed]
    }
    new = [feed for feed in lines if feed not in current]
    same = len(lines) - len(new) - len(changed)
    return LineChanges({**current, **lines} if keep else lines, new, changed, same, gone)


def without_passwords(path: Path) -> list[list[Cell]]:
    """Return the rows of a table, the header first, for a copy: its passwords are left out."""
    rows = list(read_sheet(path))
    columns = read_headings(path, rows[0], _TABLE, aside=("owner",)) if rows else []
    secret = {place for place, name in enumerate(columns) if name == "password"}
    for cells in rows[1:]:
        for place, cell in enumerate(cells):
            bare = "" if place in secret else _USERINFO.sub("***@", cell.text)
            if bare != cell.text:
                cells[place] = Cell(bare, cell.line, cell.col)
    return rows


class _TableReader:
    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        current: Mapping[str, Values],
        edge: str,
        folder: Path,
        key: SiteKey,
    ) -> None:
        self.lines: dict[str, Values] = {}
        self.elsewhere = self.sealed = 0
        self._columns = columns
        self._unsaid = [name for name in COLUMNS if name not in {*columns, *_LOGIN}]
        self._current = current
        self._edge = edge
        self._key = key
        self._rows = RowReader(path, folder, key)

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong so far."""
        return self._rows.faults

    def take(self, cells: list[Cell]) -> None:
        """Check one row and keep what it says."""
        row = row_of(self._columns, cells)
        edge = row.pop("edge", None)
        if edge is not None and edge.text != self._edge:
            self.elsewhere += 1
            return
        before, here = len(self.faults), cells[0]
        self._rows.strays(self._columns, cells)
        if not text_of(row, "id") and "gb_code" in row:
            row["id"] = row["gb_code"]
        old = self._current.get(text_of(row, "id"), {})
        for name in self._unsaid:
            if old.get(name):
                row[name] = Cell(old[name], here.line, here.col)
        given = next((row[name] for name in _LOGIN if name in row), None)
        self._login(row, old, here)
        feed = self._rows.read(row, here)
        if feed is not None and given is not None and feed.login_trouble:
            self._rows.fault(given, "password_sealed", feed.login_trouble)
        if feed is not None and len(self.faults) == before:
            self.lines[feed.id] = {name: row[name].text if name in row else "" for name in COLUMNS}

    def _login(self, row: dict[str, Cell], old: Mapping[str, str], here: Cell) -> None:
        """Put into a row how the password is kept: sealed, in a file, or as before."""
        user, password = row.get("username", here), row.pop("password", None)
        given = next((row[name] for name in _LOGIN if name in row), None)
        if password is not None:
            if given is not None:
                self._rows.fault(given, "password", "there is a password as well; remove one")
            for name in _LOGIN:
                row.pop(name, None)
            if "username" not in row:
                self._rows.fault(password, "password", "there is no username for it")
                return
            seal = self._sealed(text_of(row, "id"), password, old)
            row["password_sealed"] = Cell(seal, password.line, password.col)
        elif given is None and "username" in row:
            kept = {name: old[name] for name in _LOGIN if old.get(name)}
            if kept and old["username"] != user.text:
                message = f"was {old['username']!r} before; give the password of this one, too"
                self._rows.fault(user, "username", message)
            row |= {name: Cell(text, user.line, user.col) for name, text in kept.items()}

    def _sealed(self, feed: str, password: Cell, old: Mapping[str, str]) -> str:
        """Return a seal: the present one where it holds the same, so that nothing changes."""
        try:
            check_password(password.text)
            if _LOST_DIGITS.fullmatch(password.text):
                raise ValueError("lost digits as a number; format the cell as text")  # noqa: TRY301
        except ValueError as exc:
            self._rows.fault(password, "password", str(exc))
            return ""
        present = old.get("password_sealed", "")
        try:
            if present and self._key.open(feed, present) == password.text:
                return present
        except SealError:
            pass  # it is replaced
        self.sealed += 1
        return self._key.seal(feed, password.text)
