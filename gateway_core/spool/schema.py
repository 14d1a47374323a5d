"""The spool's tables, and how its file is opened. The one place that names pragmas."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import structlog

from gateway_core.errors import ConfigError, Fault, GatewayError, SpoolFull, Unavailable
from gateway_core.spool.shapes import MIB, SpoolOptions

log = structlog.get_logger()

FORMAT = 1
"""Of the file; a newer one is refused (docs/reference/formats/spool.md)."""

_FORMATS_TO_COME = 64
"""A format further ahead than this was not written by any program."""

APPLICATION_ID = 0x54444753  # "TDGS"
OLDEST_SQLITE = (3, 51, 3)  # 3.7.0 to 3.51.2 can corrupt a WAL database when its log is reset
PAGE = 4096

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE segment (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, created INTEGER NOT NULL,
    version INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT;
CREATE TABLE payload (first INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE damaged (
    id INTEGER PRIMARY KEY AUTOINCREMENT, found INTEGER NOT NULL, first INTEGER NOT NULL,
    last INTEGER NOT NULL, detail TEXT NOT NULL, count INTEGER, created INTEGER,
    version INTEGER, crc INTEGER, data BLOB) STRICT;
CREATE TABLE consumer (
    name TEXT PRIMARY KEY, started INTEGER NOT NULL, settled INTEGER NOT NULL,
    ahead BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE counter (
    kind TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (kind, name, reason)) STRICT, WITHOUT ROWID;
CREATE TABLE refused (
    id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, received INTEGER NOT NULL,
    source TEXT NOT NULL, address TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    content_format INTEGER, payload BLOB NOT NULL) STRICT;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, at INTEGER NOT NULL,
    consumer TEXT NOT NULL, seq INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    record BLOB) STRICT;
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


_LATER = "CREATE TABLE IF NOT EXISTS alarm (seq INTEGER PRIMARY KEY) STRICT"
"""What an older program's file lacks, and what it does without when it opens the file again."""


class SpoolDamaged(GatewayError):
    """The file itself (not one segment's payload) is not what SQLite wrote.

    Not `Unavailable`: trying again does not help. The program ends, and when it starts again
    `open_spool` sets the file aside and saves what can be read.
    """


class DiskFull(SpoolFull):
    """SQLite found no space on the disk, or its own hard stop."""


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn SQLite's errors into ours; ``what`` opens the message."""
    try:
        yield
    except apsw.NoMemError as exc:
        raise MemoryError(f"{what}: {exc}") from exc
    except apsw.FullError as exc:
        raise DiskFull(f"{what}: {exc}") from exc
    except (apsw.CorruptError, apsw.NotADBError, apsw.FormatError) as exc:
        raise SpoolDamaged(f"{what}: {exc}") from exc
    except (UnicodeDecodeError, msgspec.ValidationError) as exc:  # not what we wrote
        raise SpoolDamaged(f"{what}: {exc}") from exc
    except apsw.SQLError as exc:  # our own SQL fits a sound schema
        raise SpoolDamaged(f"{what}: {exc}") from exc
    except apsw.Error as exc:
        raise Unavailable(f"{what}: {exc}") from exc


def check_sqlite(version: str | None = None) -> None:
    """Refuse an SQLite that can corrupt the spool.

    Raises:
        ConfigError: It is older than 3.51.3.
    """
    found = version or apsw.sqlite_lib_version()
    if tuple(map(int, found.split(".")[:3])) < OLDEST_SQLITE:
        message = (
            f"SQLite {found} can corrupt a write-ahead log when it is reset (fixed in 3.51.3); "
            "install a newer apsw: pip install 'apsw>=3.51.3'"
        )
        raise ConfigError(Fault("apsw", 0, 0, "", message))


def open_writer(path: Path, options: SpoolOptions, vfs: str | None = None) -> apsw.Connection:
    """Open the file for the one writer, creating it if need be."""
    with translated(f"cannot open {path}"):
        db = apsw.Connection(str(path), vfs=vfs)
        try:
            _prepare(db, options)
        except BaseException:
            db.close()
            raise
    return db


def _prepare(db: apsw.Connection, options: SpoolOptions) -> None:
    db.set_busy_timeout(5000)
    _set(
        db,
        f"page_size = {PAGE}",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"journal_size_limit = {16 * MIB}",
        f"wal_autocheckpoint = {min(1000, options.ballast // 2 // PAGE)}",
        "cell_size_check = ON",
        "trusted_schema = OFF",
        "temp_store = MEMORY",
        f"max_page_count = {(options.max_bytes + options.reserve) // PAGE}",
    )
    with db:
        if number(db, "PRAGMA schema_version") == 0:
            db.execute(_TABLES)
            _set(db, f"application_id = {APPLICATION_ID}", f"user_version = {FORMAT}")
            db.execute("INSERT INTO about VALUES ('epoch', ?)", (secrets.token_hex(8),))
        db.execute(_LATER)
    check_format(db)


def _set(db: apsw.Connection, *pragmas: str) -> None:
    for pragma in pragmas:  # one by one: apsw stops a list of statements at the first row
        db.execute(f"PRAGMA {pragma}").fetchall()


def open_reader(path: Path, vfs: str | None = None) -> apsw.Connection:
    """Open the file read-only; safe while another process writes."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    quoted = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    with translated(f"cannot open {path}"):
        db = apsw.Connection(f"file:{quoted}?mode=ro", flags=flags, vfs=vfs)
        try:
            db.set_busy_timeout(5000)
            _set(db, "query_only = ON", "cell_size_check = ON")
            check_format(db)
        except BaseException:
            db.close()
            raise
    return db


def check_format(db: apsw.Connection) -> None:
    """Refuse a file that is no spool, or a newer program's.

    Raises:
        SpoolDamaged: It is ours, and the numbers that say so were altered.
        Unavailable: It is.
    """
    bits = (number(db, "PRAGMA application_id") ^ APPLICATION_ID) & 0xFFFFFFFF
    if bits.bit_count() == 1:
        raise SpoolDamaged("one bit of the application id was altered")
    if bits:
        raise Unavailable("the file is an SQLite database, but not a spool")
    found = number(db, "PRAGMA user_version")
    if not 0 < found < FORMAT + _FORMATS_TO_COME:
        raise SpoolDamaged(f"the format was altered to {found}")
    if found != FORMAT:
        raise Unavailable(
            f"the spool has format {found}, this program reads {FORMAT}: install the version that "
            "wrote it, or a newer one; the file was left as it is"
        )


def check_tables(db: apsw.Connection) -> None:
    """Compare every table's columns with those that this program makes.

    SQLite's own check finds nothing wrong with a schema whose text was altered.

    Raises:
        SpoolDamaged: They differ.
    """
    if not _expected_columns() <= _columns(db):
        raise SpoolDamaged("the schema is not the one that was written")


def _columns(db: apsw.Connection) -> frozenset[tuple[apsw.SQLiteValue, ...]]:
    return frozenset(
        db.execute(
            'SELECT t.name, c.name, c.type, c."notnull", c.pk FROM pragma_table_list t,'
            " pragma_table_info(t.name) c WHERE t.schema = 'main' AND t.name NOT LIKE 'sqlite_%'"
        )
    )


@functools.cache
def _expected_columns() -> frozenset[tuple[apsw.SQLiteValue, ...]]:
    fresh = apsw.Connection(":memory:")
    fresh.execute(_TABLES)
    fresh.execute(_LATER)
    found = _columns(fresh)
    fresh.close()
    return found


def about(db: apsw.Connection, key: str) -> str:
    """Return one value of the ``about`` table."""
    row = db.execute("SELECT value FROM about WHERE key = ?", (key,)).get
    if not isinstance(row, str):
        raise SpoolDamaged(f"the spool does not know its {key}")
    return row


def remember(db: apsw.Connection, key: str, number: int) -> None:
    """Keep a whole number in the ``about`` table."""
    db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, str(number)))


def remembered(db: apsw.Connection, key: str) -> int:
    """Return what `remember` kept; 0 for nothing."""
    found = db.execute("SELECT value FROM about WHERE key = ?", (key,)).get
    return int(found) if isinstance(found, str) and found.isdigit() else 0


def number(db: apsw.Connection, sql: str, bindings: tuple[apsw.SQLiteValue, ...] = ()) -> int:
    """Return the one whole number that ``sql`` yields; 0 for NULL or no row."""
    row = db.execute(sql, bindings).fetchone()
    found = row[0] if row else 0
    return found if isinstance(found, int) else 0


def used_bytes(db: apsw.Connection) -> int:
    """Return the pages in use, in bytes."""
    return (number(db, "PRAGMA page_count") - number(db, "PRAGMA freelist_count")) * PAGE


def empty_log(db: apsw.Connection) -> None:
    """Give the write-ahead log's space back, as far as readers and the disk allow it."""
    with contextlib.suppress(apsw.Error):
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def suspect(path: Path, why: str) -> None:
    """Leave a note beside the file: the next `open_spool` must check it whole."""
    note = path.with_name(path.name + ".suspect")
    if not note.exists():
        log.error("spool_file_damaged", path=str(path), why=why)
        with contextlib.suppress(OSError):
            note.write_text(why, "utf-8")


@contextlib.contextmanager
def snapshot(db: apsw.Connection) -> Iterator[None]:
    """See the file as of one instant."""
    with translated("the spool"):
        db.execute("BEGIN")
        try:
            yield
        finally:
            if not db.get_autocommit():
                db.execute("COMMIT")
