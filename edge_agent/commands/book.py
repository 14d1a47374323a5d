"""commands.db: every order and each of its transitions, a plain SQLite file that any tool opens.

Invariants:

* `enter` and `change` return after the disk has it (rollback journal, ``synchronous=FULL``), and
  write the order and its transition together or not at all;
* at most ``keep`` orders that ended are held, the oldest go; an open order never goes;
* an order that was altered on the disk is never sent: a damaged file is set aside, and of its
  orders those go on whose checksums vouch for them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from edge_agent.commands.order import Order, State, Transition
from gateway_core.aside import explain, set_aside
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.sqlite_file import (
    NotAsWritten,
    check_whole,
    crc_of,
    open_or_begin_anew,
    saved_rows,
)

log = structlog.get_logger()

KEEP = 100_000
FORMAT = 1
"""Of the file, its ``user_version``; 0 is the same, of before there was a number."""

_SCHEMA = """
create table if not exists commands (
    id text primary key, device text not null, profile text not null, name text not null,
    args text not null, role text not null, by text not null, via text not null,
    address text not null, payload blob not null, method text not null,
    content_format integer, answer text not null,
    accepted integer not null, expires integer not null, state text not null,
    reason text not null, detail text not null,
    changed integer not null, sent integer, ended integer not null
) without rowid;
create index if not exists open_commands on commands (id) where ended = 0;
create index if not exists commands_by_device on commands (device, id);
create table if not exists transitions (
    command text not null, time integer not null, state text not null,
    reason text not null, detail text not null
);
create index if not exists transitions_by_command on transitions (command);
create table if not exists checks (
    command text primary key, changed integer not null, crc integer not null
) without rowid;
"""
_FIELDS = Order.__struct_fields__
_CHANGED = _FIELDS.index("changed")
_PUT = (
    f"insert or replace into commands ({', '.join(_FIELDS)}) "  # noqa: S608  # our own names
    f"values ({', '.join('?' * len(_FIELDS))})"
)
_TRANSITION = ("command", "time", "state", "reason", "detail")
_NOTE = "insert into transitions values (?, ?, ?, ?, ?)"
_CHECK = "insert or replace into checks values (?, ?, ?)"
_OLDEST = "select id from commands where ended order by id limit ?"


class CommandBook:
    """The file, opened. Every method blocks: call it in a thread; calls are taken in turn.

    Args:
        path: Of the file; made if it is not there.
        keep: Most orders to keep that have ended.

    Raises:
        ConfigError: It cannot be opened for writing, or a newer program wrote it.
        Unavailable: The disk does not answer.
    """

    def __init__(self, path: Path, keep: int = KEEP) -> None:
        self._turn = threading.Lock()
        self._path = path
        self._keep = keep
        open_or_begin_anew(path, self._open, self._begin_anew)

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, check_same_thread=False, timeout=10)
        try:
            self._db.row_factory = sqlite3.Row
            self._db.execute("pragma journal_mode = delete")
            self._db.execute("pragma synchronous = full")
            check_whole(self._db)
            self._refuse_newer()
            self._make_tables()
            self._check_rows()
            self._held = self._db.execute("select count(*) from commands").fetchone()[0]
        except BaseException:
            self._db.close()
            raise

    def _make_tables(self) -> None:
        known = "select count(*) from sqlite_schema where name = 'checks'"
        older = not self._db.execute(known).fetchone()[0]
        self._db.executescript(f"begin; {_SCHEMA} pragma user_version = {FORMAT}; commit;")
        if older:
            with self._db:
                rows = self._db.execute(f"select {', '.join(_FIELDS)} from commands")  # noqa: S608
                self._db.executemany(_CHECK, [_check(tuple(row)) for row in rows])

    def _check_rows(self) -> None:
        """See that every order is as it was written."""
        checks = {row[0]: row for row in self._db.execute("select * from checks")}
        for row in self._db.execute("select * from commands"):
            check = checks.get(row["id"])
            if not _vouched(tuple(row), check) and not _newer(tuple(row), check):
                raise NotAsWritten(f"order {row['id']} was altered")

    def _begin_anew(self, why: str) -> None:
        """Set the file aside; of its orders take over those that can be vouched for."""
        aside = set_aside(self._path, why)
        self._open()
        checks = {row[0]: row for row in saved_rows(aside, "checks", ("command", "changed", "crc"))}
        audit: dict[str, list[tuple[Any, ...]]] = {}
        for row in saved_rows(aside, "transitions", ("rowid", *_TRANSITION)):
            audit.setdefault(row[1], []).append(row[1:])
        orders = list(saved_rows(aside, "commands", _FIELDS))
        sound = [row for row in orders if _vouched(row, checks.get(row[0]))]
        with self._transaction() as db:
            for row in sound:
                db.execute(_PUT, row)
                db.execute(_CHECK, checks[row[0]])
                db.executemany(_NOTE, audit.get(row[0], ()))
        self._held = len(sound)
        lost = sorted(map(str, {*checks, *(row[0] for row in orders)} - {row[0] for row in sound}))
        unsent = lost or ("none" if orders else "all of it, nothing can be read")
        told = f"{len(sound)} orders were saved, not sent any more: {unsent}"
        explain(aside, f"{why}; {told}")
        log.error("orders_salvaged", saved=len(sound), lost=lost)

    def _refuse_newer(self) -> None:
        found = self._db.execute("pragma user_version").fetchone()[0]
        if found > FORMAT:
            message = (
                f"it has format {found}, this program reads {FORMAT}: install the version that "
                "wrote it, or a newer one; the file was left as it is"
            )
            raise ConfigError(Fault(self._path, 0, 0, "", message))

    def enter(self, order: Order) -> int:
        """Store a new order; return how many old ones went to make room.

        Raises:
            Unavailable: Nothing was stored.
        """
        with self._transaction() as db:
            self._put(db, order)
            going = [row[0] for row in db.execute(_OLDEST, [max(0, self._held + 1 - self._keep)])]
            for command in going:
                db.execute("delete from commands where id = ?", [command])
                db.execute("delete from transitions where command = ?", [command])
                db.execute("delete from checks where command = ?", [command])
        self._held += 1 - len(going)
        return len(going)

    def change(self, order: Order) -> None:
        """Store that an order came to a state.

        Raises:
            Unavailable: It is as it was.
        """
        with self._transaction() as db:
            self._put(db, order)

    def open_orders(self) -> list[Order]:
        """Return the orders that have not ended, oldest first."""
        return self._select("where ended = 0 order by id", [])

    def find(self, command: str) -> Order | None:
        """Return one order, or None."""
        return next(iter(self._select("where id = ?", [command])), None)

    def latest(self, limit: int, device: str = "", state: State | None = None) -> list[Order]:
        """Return the newest orders, newest first, of one device or in one state where asked."""
        where, values = ["1"], []
        for column, value in (("device", device), ("state", state)):
            if value:
                where.append(f"{column} = ?")
                values.append(value)
        return self._select(
            f"where {' and '.join(where)} order by id desc limit ?", [*values, limit]
        )

    def transitions(self, command: str) -> list[Transition]:
        """Return the audit of one order, in order."""
        with self._reading() as db:
            sql = "select time, state, reason, detail from transitions where command = ?"
            return [Transition(*row) for row in db.execute(sql + " order by rowid", [command])]

    def counts(self) -> dict[str, int]:
        """Return how many orders are in each state."""
        with self._reading() as db:
            rows = db.execute("select state, count(*) from commands group by state")
            return {row[0]: row[1] for row in rows}

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._db.close()

    def _put(self, db: sqlite3.Connection, order: Order) -> None:
        row = msgspec.structs.asdict(order)
        row["args"] = msgspec.json.encode(order.args).decode()
        values = [row[name] for name in _FIELDS]
        db.execute(_PUT, values)
        db.execute(_CHECK, _check(values))
        db.execute(_NOTE, [order.id, order.changed, order.state, order.reason, order.detail])

    def _select(self, clause: str, values: list[Any]) -> list[Order]:
        with self._reading() as db:
            return [_order(row) for row in db.execute(f"select * from commands {clause}", values)]  # noqa: S608

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                with self._db:
                    yield self._db
            except sqlite3.Error as exc:
                raise Unavailable(f"{self._path}: {exc}") from exc

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                yield self._db
            except sqlite3.Error as exc:
                raise Unavailable(f"{self._path}: {exc}") from exc


def _vouched(row: Sequence[Any], check: Sequence[Any] | None) -> bool:
    """Return whether an order is as it was written."""
    return check is not None and check[2] == crc_of(row)


def _newer(row: Sequence[Any], check: Sequence[Any] | None) -> bool:
    """Return whether an older program, which leaves the check as it was, changed an order since."""
    return check is not None and row[_CHANGED] > check[1]


def _check(row: Sequence[Any]) -> tuple[str, int, int]:
    return row[0], row[_CHANGED], crc_of(row)


def _order(row: sqlite3.Row) -> Order:
    found = dict(row)
    found["args"] = msgspec.json.decode(found["args"])
    found["ended"] = bool(found["ended"])
    return Order(**found)
