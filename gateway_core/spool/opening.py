"""Open a spool's file for writing: one process at a time; a broken file goes aside."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import msgspec
import structlog

from gateway_core.aside import explain, set_aside
from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import ConfigError, Fault, SpoolFull, Unavailable
from gateway_core.intervals import Intervals
from gateway_core.model import Loss
from gateway_core.spool import rows, schema
from gateway_core.spool.mending import mend_cursors
from gateway_core.spool.pages import synced_behind
from gateway_core.spool.salvage import SOURCE, Wreck, examine, saved
from gateway_core.spool.shapes import SpoolOptions
from gateway_core.spool.spool import Spool
from gateway_core.spool.transaction import OWN_SOURCE
from gateway_core.spool.writer import MakeWriting, Writer

log = structlog.get_logger()

_convert = msgspec.convert

OWNERSHIP = "the data folder must belong to the user that this program runs as"

_SMALL = ("about", "consumer", "counter", "state", "refused", "quarantine", "alarm")


@contextlib.asynccontextmanager
async def open_spool(
    path: Path,
    owner: str,
    options: SpoolOptions = SpoolOptions(),  # noqa: B008  # frozen
    clock: Clock = wall_ns,
    writing: MakeWriting = Writer,
) -> AsyncIterator[Spool]:
    """Open the spool at ``path``, creating it (and its folder) if need be.

    A file that SQLite cannot read is set aside as ``<name>.damaged-<n>``; the new one, with a new
    epoch, begins with every record that could be saved and a `Loss` for each range that could not.

    Raises:
        ConfigError: SQLite is older than 3.51.3, or another process has the spool open.
        Unavailable: The disk does not allow it.
    """
    with locked(path) as lock:
        db, wreck = await asyncio.to_thread(connect, path, options)
        spool = Spool(path, owner, options, db, clock, writing)
        try:
            if wreck is not None:
                await _salvage(spool, wreck, clock())
            elif spool.head == 0 and _vanished(lock, spool.epoch):
                await _enter_vanished(spool, clock())
            _note_epoch(lock, spool.epoch)
            yield spool
        finally:
            await spool.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the spool against other writing processes; give the lock's file.

    Raises:
        ConfigError: Another process has it.
        Unavailable: The folder cannot be made or written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o640)
    except OSError as exc:
        raise Unavailable(f"cannot open {path}: {exc}; {OWNERSHIP}") from exc
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            message = "another process has this spool open; give each its own data_dir"
            raise ConfigError(Fault(path, 0, 0, "", message)) from exc
        yield handle
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
        _check_place(path)
        _check_log(path)
        db = schema.open_writer(path, options)
        try:
            _check(db, whole=note.exists())
        except BaseException:
            db.close()
            raise
    except schema.SpoolDamaged as exc:
        wreck = examine(set_aside(path, str(exc)), str(exc))
        note.unlink(missing_ok=True)
        return schema.open_writer(path, options), wreck
    note.unlink(missing_ok=True)
    return db, None


def _check_place(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise schema.SpoolDamaged("something that is no file stands in its place")


def _check_log(path: Path) -> None:
    """See that SQLite takes all that was synced of a log that a killed program left behind.

    Before anything is written: what is written goes where SQLite thinks that the log ends.
    """
    if not path.exists() or not path.with_name(path.name + "-wal").exists():
        return
    with schema.translated("the write-ahead log"), contextlib.ExitStack() as stack:
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        stack.callback(db.close)
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # the log is kept as it is
        told = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        _, counted, _ = _convert(told, tuple[int, int, int])
        if synced_behind(path, counted):
            raise schema.SpoolDamaged("the write-ahead log is damaged before its end")


def _check(db: apsw.Connection, *, whole: bool) -> None:
    """Read every small table, so that damage shows now; the whole file after a suspicion."""
    with schema.translated("the spool"):
        schema.check_tables(db)
        schema.about(db, "epoch")
        for name in rows.consumers(db):
            rows.load_position(db, name)
        rows.head_of(db)
        mend_cursors(db)
        if whole:
            found = db.execute("PRAGMA quick_check(1)").fetchone()
            if found is None or found[0] != "ok":
                raise schema.SpoolDamaged(str(found and found[0]))
            for table in _SMALL:  # SQLite does not look whether text is text
                for _ in db.execute(f"SELECT * FROM {table}"):  # noqa: S608  # names of ours
                    pass


def _vanished(lock: int, epoch: str) -> bool:
    """Return whether another spool than this new one was open here before."""
    return os.pread(lock, 64, 0) not in (b"", epoch.encode())


def _note_epoch(lock: int, epoch: str) -> None:
    with contextlib.suppress(OSError):  # a full disk: only the next loss of the file is not seen
        os.pwrite(lock, epoch.encode(), 0)


async def _enter_vanished(spool: Spool, now: int) -> None:
    """Say that there was a file before this one, of which nothing is known."""
    why = f"{spool.path.name} was gone or empty; what it held is lost"
    await spool.append([Loss(spool.owner, now, "", 1, 1, "damaged", why)], source=OWN_SOURCE)
    log.error("spool_file_vanished", path=str(spool.path))


async def _salvage(spool: Spool, wreck: Wreck, now: int) -> None:
    """Take what can be read of a damaged file into the new one; enter the rest as losses."""
    await spool.append([], source=SOURCE, state=wreck.state)
    kept, count = Intervals(), 0
    segments = saved(wreck, spool.owner)
    while (found := await asyncio.to_thread(next, segments, None)) is not None:
        first, records = found
        try:
            await spool.append(records, source=SOURCE)
        except SpoolFull:
            break
        kept.add(first, first + len(records) - 1)
        count += len(records)
    why = f"{spool.path.name} was damaged ({wreck.why}) and is now {wreck.moved_to.name}"
    epoch = wreck.epoch if wreck.last or kept else ""  # nothing is known of what there was
    lost = wreck.lost(kept)
    for at, (first, last) in enumerate(lost, now):  # each at an instant of its own
        loss = Loss(spool.owner, at, epoch, first, last, "damaged", why)
        await spool.append([loss], source=OWN_SOURCE)
    explain(wreck.moved_to, f"{wreck.why}; {count} records were saved, ranges lost: {lost}")
    log.error("spool_salvaged", records=count, ranges_lost=len(lost))
