"""The registry's file is looked at before it is opened: it is never begun anew by itself.

What stands in it (events, keys, roll-outs, invitations) exists nowhere else, and an empty registry
in its place would say that there never was any.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from gateway_core.errors import ConfigError, Fault
from gateway_core.sqlite_file import NotAsWritten, check_place, check_whole, is_damage, refused

_SCHEME = "sqlite:///"
_ADVICE = (
    "stop here, move the file away (keep it) and put back the newest backup: tidegate collector "
    "restore; without one it begins empty: devices and feeds come as edges speak, events, "
    "profiles and roll-outs do not"
)


def check_file(url: str) -> None:
    """See that an SQLite registry is whole; blocks. Any other database looks after itself.

    Raises:
        ConfigError: It is damaged, or cannot be opened.
        Unavailable: The disk does not answer.
    """
    path = Path(url.removeprefix(_SCHEME))
    if not url.startswith(_SCHEME) or not path.exists():
        return
    try:
        check_place(path)
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as db:
            check_whole(db)
            for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
                db.execute(f'SELECT * FROM "{table}" LIMIT 1').fetchone()  # noqa: S608
    except (sqlite3.Error, OSError, NotAsWritten, UnicodeDecodeError) as exc:
        if is_damage(exc):
            raise ConfigError(Fault(path, 0, 0, "", f"is damaged ({exc}): {_ADVICE}")) from exc
        raise refused(path, exc) from exc
