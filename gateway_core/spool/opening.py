"""Open a spool's file for writing: one process at a time; a broken file goes aside."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import structlog

from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.spool import rows, schema
from gateway_core.spool.shapes import SpoolOptions

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Wreck:
    """A file that had to be set aside.

    Attributes:
        moved_to: Where it is now.
        epoch: Its epoch; empty when it could not be read.
        last: Its last sequence number; 0 when it could not be read.
        why: What was found.
    """

    moved_to: Path
    epoch: str
    last: int
    why: str


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the spool against other writing processes.

    Raises:
        ConfigError: Another process has it.
        Unavailable: The folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as exc:
        raise Unavailable(f"cannot open {path}: {exc}") from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            message = "another process has this spool open; give each its own data_dir"
            raise ConfigError(Fault(path, 0, 0, "", message)) from exc
        yield
    finally:
        os.close(handle)


def connect(path: Path, options: SpoolOptions) -> tuple[apsw.Connection, Wreck | None]:
    """Open the file; when it is broken, set it aside and begin a new one.

    Raises:
        ConfigError: SQLite is too old.
        Unavailable: The disk does not allow it.
    """
    schema.check_sqlite()
    note = path.with_name(path.name + ".suspect")
    try:
        db = schema.open_writer(path, options)
        try:
            _check(db, whole=note.exists())
        except BaseException:
            db.close()
            raise
    except schema.FileDamaged as exc:
        wreck = _set_aside(path, str(exc))
        note.unlink(missing_ok=True)
        return schema.open_writer(path, options), wreck
    note.unlink(missing_ok=True)
    return db, None


def _check(db: apsw.Connection, *, whole: bool) -> None:
    """Read every small table, so that damage shows now; the whole file after a suspicion."""
    with schema.translated("the spool"):
        schema.about(db, "epoch")
        for name in rows.consumers(db):
            rows.load_position(db, name)
        rows.head_of(db)
        if whole:
            found = db.execute("PRAGMA quick_check(1)").fetchone()
            if found is None or found[0] != "ok":
                raise schema.FileDamaged(str(found and found[0]))


def _set_aside(path: Path, why: str) -> Wreck:
    epoch, last = "", 0
    with contextlib.suppress(schema.FileDamaged, Unavailable):
        db = schema.open_reader(path)
        try:
            with schema.translated("the damaged spool"):
                epoch = schema.about(db, "epoch")
                last = rows.head_of(db)
        finally:
            db.close()
    n = 1
    while (aside := path.with_name(f"{path.name}.damaged-{n}")).exists():
        n += 1
    for ending in ("", "-wal", "-shm"):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    log.error("spool_file_set_aside", path=str(path), moved_to=str(aside), why=why)
    return Wreck(aside, epoch, last, why)
