"""registry.db: the edge's devices and feeds as a plain SQLite file that any tool opens.

It is a copy, not the truth: the truth is devices.csv, the records in the spool and, above them,
what the agent holds in memory. A copy that was lost or is behind is made anew from the records
after ``mark`` (`edge_agent.registry`). That is why losing the last seconds of it loses nothing, and
why a damaged one is set aside: what a row's checksum vouches for is taken over, and the records of
the spool complete it.

This is the one file of the edge agent that imports sqlite-utils.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import sqlite_utils
from sqlite_utils.db import Table
from sqlite_utils.migrations import Migrations

from gateway_core.aside import explain, set_aside
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.sqlite_file import (
    NotAsWritten,
    check_whole,
    crc_of,
    open_or_begin_anew,
    saved_rows,
)

# Every device that spoke is saved every few seconds: sqlite-utils would take ten times as long.
_SAVE_DEVICE = """
insert or replace into devices
    (id, profile, address, name, lat, lon, origin, first_seen, last_seen, online, source,
     heard, peer, said, crc)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DEVICE = ("id", "profile", "address", "name", "lat", "lon", "origin", "first_seen", "last_seen",
           "online", "source", "heard", "peer", "said")  # fmt: skip
_LAT = _DEVICE.index("lat")  # the longitude is behind it
_FEED = ("id", "state", "judged", "faults")
_COLUMNS = {"devices": _DEVICE, "feeds": _FEED}

T = TypeVar("T")

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


@migrations()
def m004_a_checksum_of_each_row(db: sqlite_utils.Database) -> None:
    """SQLite does not notice an altered value; rows of before have none."""
    for table in _COLUMNS:
        _table(db, table).add_column("crc", int)


class Register:
    """The file, opened. Every method blocks: call it in a thread; calls are taken in turn.

    Args:
        path: Of the file; made if it is not there, set aside and made anew if it is damaged.

    Raises:
        ConfigError: It cannot be opened for writing, or a newer program changed it.
        Unavailable: The disk does not answer.
    """

    def __init__(self, path: Path) -> None:
        self._turn = threading.Lock()
        self._path = path
        open_or_begin_anew(path, self._open, self._begin_anew)

    def _open(self) -> None:
        self._connection = sqlite3.connect(self._path, check_same_thread=False, timeout=10)
        try:
            self._db = sqlite_utils.Database(self._connection)
            check_whole(self._connection)
            self._refuse_newer()
            migrations.apply(self._db)
            self._check_rows()
            self.mark()
        except BaseException:
            self._connection.close()
            raise

    def _check_rows(self) -> None:
        for table, columns in _COLUMNS.items():
            for row in _table(self._db, table).rows:
                if not _vouched(row, columns):
                    raise NotAsWritten(f"row {row['id']!r} of {table} was altered")

    def _begin_anew(self, why: str) -> None:
        """Set the file aside; take over its sound rows, without a mark: the spool has the rest."""
        aside = set_aside(self._path, why)
        self._open()
        saved: dict[str, list[dict[str, Any]]] = {}
        for table, columns in _COLUMNS.items():
            named = (*columns, "crc")
            rows = (dict(zip(named, row, strict=True)) for row in saved_rows(aside, table, named))
            saved[table] = [
                row for row in rows if row["crc"] is not None and _vouched(row, columns)
            ]
        devices = [_values(row, _DEVICE) for row in saved["devices"]]
        self.save(devices, saved["feeds"], (), ("", 0))
        told = ", ".join(f"{len(rows)} {table}" for table, rows in saved.items())
        explain(aside, f"{why}; {told} were saved, what is not among them comes as it speaks")

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

    def devices(self, make: Callable[[dict[str, Any]], T]) -> list[T]:
        """Return what is made of every device row, one after the other."""
        with self._turn:
            return list(map(make, _table(self._db, "devices").rows))

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
        devices: Iterable[tuple[Any, ...]],
        feeds: Iterable[dict[str, Any]],
        removed: Iterable[str],
        mark: tuple[str, int],
    ) -> None:
        """Write the changed rows and the mark in one transaction.

        Args:
            devices: The columns of each in the order of `_DEVICE`: tens of thousands of
                dicts, every few seconds, would be most of the memory that the edge needs.
            feeds: By column.
            removed: Ids of devices that are known no more.
            mark: Epoch and sequence number up to which the rows are complete.

        Raises:
            Unavailable: The file cannot be written; nothing of this call was.
        """
        with self._turn:
            try:
                with self._db.atomic():
                    rows = ((*row, _crc(row, _DEVICE)) for row in devices)
                    self._connection.executemany(_SAVE_DEVICE, rows)
                    judged = [{**row, "crc": _crc(_values(row, _FEED), _FEED)} for row in feeds]
                    _table(self._db, "feeds").upsert_all(judged, pk="id")
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


def _vouched(row: Mapping[str, Any], columns: Sequence[str]) -> bool:
    """Return whether a row is as it was written; nobody knows of one without a checksum."""
    return row["crc"] is None or row["crc"] == _crc(_values(row, columns), columns)


def _values(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in columns)


def _crc(values: Sequence[Any], columns: Sequence[str]) -> int:
    """Return the checksum of a row's values, one for each of the columns."""
    if columns is _DEVICE and (values[_LAT] is not None or values[_LAT + 1] is not None):
        where = (None if each is None else float(each) for each in values[_LAT : _LAT + 2])
        values = (*values[:_LAT], *where, *values[_LAT + 2 :])  # as the columns have them
    return crc_of(values)


def _table(db: sqlite_utils.Database, name: str) -> Table:
    table = db[name]
    assert isinstance(table, Table)
    return table
