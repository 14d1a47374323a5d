"""registry.db: the edge's devices and feeds as a plain SQLite file that any tool opens.

It is a copy, not the truth: the truth is devices.csv, the records in the spool and, above them,
what the agent holds in memory. A copy that was lost or is behind is made anew from the records
after ``mark`` (`edge_agent.registry`). That is why losing the last seconds of it loses nothing.

This is the one file of the edge agent that imports sqlite-utils.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlite_utils
from sqlite_utils.db import Table
from sqlite_utils.migrations import Migrations

from gateway_core.errors import ConfigError, Fault, Unavailable

# Every device that spoke is saved every few seconds: sqlite-utils would take ten times as long.
_SAVE_DEVICE = """
insert or replace into devices
    (id, profile, address, name, lat, lon, origin, first_seen, last_seen, online, source,
     heard, peer, said)
values
    (:id, :profile, :address, :name, :lat, :lon, :origin, :first_seen, :last_seen, :online, :source,
     :heard, :peer, :said)
"""

migrations = Migrations("edge_registry")


@migrations()
def m001_devices_and_feeds(db: sqlite_utils.Database) -> None:
    """Devices, feeds, and the place in the spool up to which both are complete."""
    _table(db, "devices").create(
        {
            "id": str,
            "profile": str,
            "address": str,
            "name": str,
            "lat": float,
            "lon": float,
            "origin": str,
            "first_seen": int,
            "last_seen": int,
            "online": int,
            "source": str,
        },
        pk="id",
        not_null={"id", "profile", "origin"},
    )
    _table(db, "feeds").create(
        {"id": str, "state": str, "judged": int, "faults": str},
        pk="id",
        not_null={"id", "state"},
    )
    _table(db, "marks").create({"name": str, "epoch": str, "seq": int}, pk="name")


@migrations()
def m002_where_a_device_was_heard(db: sqlite_utils.Database) -> None:
    """Where it last spoke: what a command to it is addressed by."""
    for column in ("heard", "peer"):
        _table(db, "devices").add_column(column, str)


@migrations()
def m003_what_a_device_said_of_being_there(db: sqlite_utils.Database) -> None:
    """The words of its last availability message."""
    _table(db, "devices").add_column("said", str)


class Register:
    """The file, opened. Every method blocks: call it in a thread; calls are taken in turn."""

    def __init__(self, path: Path) -> None:
        self._turn = threading.Lock()
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._db = sqlite_utils.Database(self._connection)
            self._refuse_newer()
            migrations.apply(self._db)
        except (sqlite3.Error, OSError) as exc:
            message = f"cannot be opened ({exc}); move it away and it is made anew"
            raise ConfigError(Fault(path, 0, 0, "", message)) from exc

    def _refuse_newer(self) -> None:
        """Leave a file alone to which a newer program has done something unknown here.

        Raises:
            ConfigError: It is one.
        """
        blank = sqlite_utils.Database(memory=True)
        ours = {each.name for each in migrations.pending(blank)}
        blank.close()
        newer = sorted({each.name for each in migrations.applied(self._db)} - ours)
        if newer:
            message = (
                f"a newer program changed it ({newer[0]}): install that version or a newer one, "
                "or move the file away and it is made anew"
            )
            raise ConfigError(Fault(self._path, 0, 0, "", message))

    def devices(self) -> list[dict[str, Any]]:
        """Return every device row."""
        with self._turn:
            return list(_table(self._db, "devices").rows)

    def feeds(self) -> list[dict[str, Any]]:
        """Return every feed row."""
        with self._turn:
            return list(_table(self._db, "feeds").rows)

    def mark(self) -> tuple[str, int]:
        """Return epoch and sequence number up to which the rows are complete; ("", 0) when new."""
        with self._turn:
            for row in _table(self._db, "marks").rows_where("name = 'spool'"):
                return row["epoch"], row["seq"]
        return "", 0

    def save(
        self,
        devices: Iterable[dict[str, Any]],
        feeds: Iterable[dict[str, Any]],
        removed: Iterable[str],
        mark: tuple[str, int],
    ) -> None:
        """Write the changed rows and the mark in one transaction.

        Raises:
            Unavailable: The file cannot be written; nothing of this call was.
        """
        with self._turn:
            try:
                with self._db.atomic():
                    self._connection.executemany(_SAVE_DEVICE, devices)
                    _table(self._db, "feeds").upsert_all(feeds, pk="id")
                    for device in removed:
                        self._connection.execute("delete from devices where id = ?", [device])
                    row = {"name": "spool", "epoch": mark[0], "seq": mark[1]}
                    _table(self._db, "marks").upsert(row, pk="name")
            except sqlite3.Error as exc:
                raise Unavailable(f"{self._path}: {exc}") from exc

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._connection.close()


def _table(db: sqlite_utils.Database, name: str) -> Table:
    table = db[name]
    assert isinstance(table, Table)
    return table
