"""The feeds file (docs/reference/feeds-csv.md): read whole, and replaced whole."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_agent.cameras.feed_row import COLUMNS, REQUIRED, RowReader, row_of
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.seal import SiteKey
from edge_agent.secret_file import same_owner
from gateway_core.csv_table import Cell, read_rows, read_text
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.folder import sync_folder
from gateway_core.headings import read_headings

MAX_FAULTS = 50
"""How many mistakes are told at once; the rest show when these are mended."""
BEFORE = ".before"
_CLEAR = (
    "no password stands in the clear in this file; seal it (tidegate edge camera password FEED), or"
    " name a password_file"
)

Values = dict[str, str]
"""One line of the file: text by column."""


def load_feeds(path: Path, key_file: Path | None = None) -> dict[str, Feed]:
    """Read a feeds file; relative password files are looked for beside it.

    A sealed password that cannot be opened is no mistake of the file: it is that feed's trouble.

    Args:
        path: The file.
        key_file: Opens sealed passwords; None: nothing does.

    Returns:
        Feeds by id, in the order of the file.

    Raises:
        ConfigError: Every mistake found, each as ``file:line:col: column: ...`` (at most 50).
    """
    rows = read_rows(read_text(path), path)
    columns = _columns(path, next(rows, None))
    reader = RowReader(path, path.parent, SiteKey(key_file))
    feeds: dict[str, Feed] = {}
    for cells in rows:
        if len(reader.faults) >= MAX_FAULTS:
            break
        if reader.strays(columns, cells):
            continue
        feed = reader.read(row_of(columns, cells), cells[0])
        if feed is not None:
            feeds[feed.id] = feed
    if reader.faults:
        raise ConfigError(*reader.faults[:MAX_FAULTS])
    return feeds


def read_lines(path: Path) -> dict[str, Values]:
    """Return the lines of a feeds file by feed id, as they stand there; none when there is no file.

    Raises:
        ConfigError: It is no feeds file.
    """
    if not path.exists():
        return {}
    text = read_text(path)
    columns = _columns(path, next(read_rows(text, path), None))
    found: dict[str, Values] = {}
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)  # places are not needed here
    try:
        rows = (cells for cells in reader if any(map(str.strip, cells)))
        next(rows)
        for cells in rows:
            texts = dict(zip(columns, map(str.strip, cells), strict=False))
            if texts.get("id"):
                found[texts["id"]] = {name: texts.get(name, "") for name in COLUMNS}
    except csv.Error as exc:
        raise ConfigError(Fault(path, reader.line_num, 1, "", str(exc))) from exc
    return found


def write_lines(path: Path, lines: Iterable[Mapping[str, str]]) -> None:
    """Replace a feeds file in one step; the one before is kept beside it as ``.before``.

    Raises:
        Unavailable: The disk did not take it; the file is as it was.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    new, before = path.with_name(f".{path.name}.new"), path.with_name(path.name + BEFORE)
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o640
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as opened:
            opened.write(text.getvalue().encode())
            opened.flush()
            os.fsync(opened.fileno())
        new.chmod(mode)
        same_owner(new, path if path.exists() else path.parent)
        before.unlink(missing_ok=True)
        if path.exists():
            os.link(path, before)
        new.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise Unavailable(f"{path} cannot be written: {exc.strerror}") from exc


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let nobody else change a feeds file meanwhile, as far as they ask as well.

    Raises:
        Unavailable: Somebody else is at it, or its folder is not there.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise Unavailable(f"{path.parent}: {exc.strerror}") from exc
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        message = "is being changed by another command; try again when it is done"
        raise Unavailable(f"{path} {message}") from None
    finally:
        os.close(folder)


def _columns(path: Path, header: Sequence[Cell] | None) -> list[str]:
    if header is None:
        message = f"is empty; the first line must name the columns: {','.join(COLUMNS)}"
        raise ConfigError(Fault(path, 1, 1, "", message))
    return read_headings(path, header, COLUMNS, required=REQUIRED, forbidden={"password": _CLEAR})
