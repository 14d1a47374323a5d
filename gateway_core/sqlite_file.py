"""Damage in a plain SQLite file: told from what a disk or a person does, and what can be saved.

For the small files beside the spool, which Python's own sqlite3 opens. The spool has its own
(`gateway_core.spool.salvage`), because what stands in it exists nowhere else.
"""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway_core.errors import ConfigError, Fault, GatewayError, Unavailable

_LATER = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
          sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL}  # fmt: skip
_DENIED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
UNFIT = (ValueError, TypeError, KeyError, LookupError, AssertionError)
"""What our own code says of rows that it did not write."""


class NotAsWritten(Exception):  # internal: what was found in a file
    """Rows of a file are not what was written."""


def open_or_begin_anew(
    path: Path, open_: Callable[[], None], begin_anew: Callable[[str], None]
) -> None:
    """Open a file; begin another where it is damaged.

    Args:
        path: Of the file; its folder is made.
        open_: Opens it and looks at what is in it.
        begin_anew: Sets it aside, given why.

    Raises:
        ConfigError: It cannot be opened for writing.
        Unavailable: The disk does not answer.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_place(path)
        open_()
    except (sqlite3.Error, OSError, NotAsWritten, *UNFIT) as exc:
        if not is_damage(exc):
            raise refused(path, exc) from exc
        begin_anew(str(exc))


def is_damage(exc: Exception) -> bool:
    """Return whether an error says that the file's content is not what was written."""
    if isinstance(exc, sqlite3.ProgrammingError):
        return False
    if isinstance(exc, sqlite3.Error):
        code = getattr(exc, "sqlite_errorcode", None)  # none: Python met text that is no text
        return code is None or code & 0xFF not in _LATER | _DENIED
    return not isinstance(exc, OSError | GatewayError)


def refused(path: Path, exc: Exception) -> GatewayError:
    """Return what to raise where a file is whole, but cannot be used now."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in _LATER:
        return Unavailable(f"{path}: {exc}")
    message = (
        f"cannot be opened for writing ({exc}); it and its folder must belong to the user that "
        f"this program runs as: chown -R that user {path.parent}"
    )
    return ConfigError(Fault(path, 0, 0, "", message))


def check_place(path: Path) -> None:
    """See that a file stands where one is expected, or nothing.

    Raises:
        NotAsWritten: It is something else.
    """
    if path.exists() and not path.is_file():
        raise NotAsWritten("something that is no file stands in its place")


def check_whole(db: sqlite3.Connection) -> None:
    """Let SQLite look at the structure of every table.

    Raises:
        NotAsWritten: Something is wrong with it.
        sqlite3.Error: Likewise, or the disk does not answer.
    """
    found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise NotAsWritten(str(found))


def crc_of(values: Iterable[object]) -> int:
    """Return the checksum of a row's values, as SQLite gives them back."""
    plain = (int(each) if isinstance(each, bool) else each for each in values)
    return zlib.crc32(repr(tuple(plain)).encode("utf-8", "surrogatepass"))


def saved_rows(path: Path, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows that can still be read: upwards until a bad page, then down to it.

    Args:
        path: A file that was set aside.
        table: Of it.
        columns: The first one is its key.
    """
    names, key = ", ".join(columns), columns[0]
    seen: set[Any] = set()
    for order in ("ASC", "DESC"):
        with (
            contextlib.suppress(sqlite3.Error, OverflowError, UnicodeDecodeError),
            contextlib.closing(
                sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            ) as db,
        ):
            db.text_factory = _text
            rows = db.execute(f"SELECT {names} FROM {table} ORDER BY {key} {order}")  # noqa: S608
            for row in rows:
                spoilt = row[0] is None or any(isinstance(each, NotAsWritten) for each in row)
                if not spoilt and row[0] not in seen:
                    seen.add(row[0])
                    yield row


def _text(raw: bytes) -> str | NotAsWritten:
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        return NotAsWritten(str(exc))
