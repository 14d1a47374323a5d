"""Rows of a database that SQLite will not open: every leaf page read for itself.

A torn schema, a missing tail or one bad page makes SQLite refuse what stands on all the others.
A leaf page explains itself (https://www.sqlite.org/fileformat2.html, 1.6): this reads each of
them, tables or not, and follows the chains of rows that are longer than a page. Freed pages still
hold old rows; who asks must be able to tell a good row by what is in it.
"""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway_core.spool.schema import PAGE

Value = int | str | bytes | None
"""What a column holds; a spool has no real numbers."""

_TABLE_LEAF, _INDEX_LEAF = 0x0D, 0x0A
_WAL_HEAD, _FRAME_HEAD = 32, 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST = 1 << 30  # bytes of one row
_FIRST_PAGE = 100  # bytes of the file's own head before the first page's


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands: page, and offset in it."""

    page: int
    offset: int


class Pages:
    """The pages of a file, as its last commit left them; a context manager.

    Args:
        path: Of the database; its write-ahead log beside it is taken into account.
    """

    def __init__(self, path: Path) -> None:
        self._file = _mapped(path)
        self._log = _mapped(path.with_name(path.name + "-wal"))
        self._newer = dict(_frames(self._log))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        for each in (self._file, self._log):
            if isinstance(each, mmap.mmap):
                each.close()

    def page(self, number: int) -> bytes:
        """Return a page, counted from 1; nothing when it is beyond the end."""
        at = self._newer.get(number)
        if at is not None:
            return self._log[at : at + PAGE]
        return self._file[(number - 1) * PAGE : number * PAGE]

    def places(self) -> Iterator[tuple[Place, int | None, int]]:
        """Yield every row's place, its row id (None in an index) and its size."""
        last = max(len(self._file) // PAGE, *self._newer, 0)
        for number in range(1, last + 1):
            page = self.page(number)
            if len(page) < PAGE:
                continue
            head = _FIRST_PAGE if number == 1 else 0
            if page[head] in {_TABLE_LEAF, _INDEX_LEAF}:
                yield from self._cells(number, page, head)

    def row(self, place: Place) -> tuple[Value, ...] | None:
        """Return the columns of a row; None when there is none at that place."""
        page = self.page(place.page)
        head = _FIRST_PAGE if place.page == 1 else 0
        try:
            table = page[head] == _TABLE_LEAF
            size, at = _varint(page, place.offset)
            if table:
                _, at = _varint(page, at)
            return _columns(self._whole(page, at, size, table=table))
        except (IndexError, struct.error, UnicodeDecodeError, ValueError):
            return None

    def _cells(
        self, number: int, page: bytes, head: int
    ) -> Iterator[tuple[Place, int | None, int]]:
        table = page[head] == _TABLE_LEAF
        (count,) = struct.unpack_from(">H", page, head + 3)
        for n in range(min(count, PAGE // 4)):
            try:
                (offset,) = struct.unpack_from(">H", page, head + 8 + 2 * n)
                size, at = _varint(page, offset)
                rowid = _varint(page, at)[0] if table else None
            except (IndexError, struct.error):
                continue
            yield Place(number, offset), rowid, size

    def _whole(self, page: bytes, at: int, size: int, *, table: bool) -> bytes:
        """Return a row's bytes, from its page and its overflow pages (1.6)."""
        if size > _MOST:
            raise ValueError("no row is that long")
        most = PAGE - 35 if table else (PAGE - 12) * 64 // 255 - 23
        if size <= most:
            return page[at : at + size]
        least = (PAGE - 12) * 32 // 255 - 23
        local = least + (size - least) % (PAGE - 4)
        local = local if local <= most else least
        parts, have = [page[at : at + local]], local
        (following,) = struct.unpack_from(">I", page, at + local)
        while have < size:
            page = self.page(following)
            (following,) = struct.unpack_from(">I", page)
            parts.append(page[4 : 4 + size - have])
            have += len(parts[-1])
            if len(parts[-1]) == 0:
                raise ValueError("the chain ends early")
        return b"".join(parts)


def _mapped(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # missing, or empty
        return b""


def synced_behind(path: Path, counted: int) -> bool:
    """Whether a write-ahead log holds commits that were synced and that SQLite does not count.

    SQLite takes the log up to the first frame whose checksum is wrong, and thinks that the power
    went there. A frame behind a commit says otherwise: it was written after the commit was synced.

    Args:
        path: Of the database.
        counted: How many frames SQLite took.
    """
    log = _mapped(path.with_name(path.name + "-wal"))
    behind = [commit for n, (_, commit, _) in enumerate(_all_frames(log)) if n >= counted]
    return any(behind[:-1])


def _frames(log: mmap.mmap | bytes) -> Iterator[tuple[int, int]]:
    """Yield page and offset of what the write-ahead log's commits hold, oldest first (4.1)."""
    waiting: list[tuple[int, int]] = []
    for number, commit, at in _all_frames(log):
        waiting.append((number, at))
        if commit:
            yield from waiting
            waiting.clear()


def _all_frames(log: mmap.mmap | bytes) -> Iterator[tuple[int, bool, int]]:
    """Yield page, whether it ends a commit, and offset of every frame of the newest round.

    A frame whose salt was altered is passed over: the ones behind it still belong to the round.
    What the round's salt is, the log's head and its first frames agree on.
    """
    places = range(_WAL_HEAD, len(log) - _FRAME_HEAD - PAGE + 1, _FRAME_HEAD + PAGE)
    said = [log[16:24], *(log[at + 8 : at + 16] for at in places[:3])]
    salts = next((each for each, _ in Counter(said).most_common() if any(each)), b"")
    for at in places:
        number, pages = struct.unpack_from(">II", log, at)
        if log[at + 8 : at + 16] == salts:
            yield number, pages != 0, at + _FRAME_HEAD


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, and the place behind it."""
    found = 0
    for n in range(8):
        byte = data[at + n]
        found = found << 7 | byte & 0x7F
        if byte < 0x80:
            return found, at + n + 1
    return found << 8 | data[at + 8], at + 9


def _columns(row: bytes) -> tuple[Value, ...]:
    """Return the values of a row (2.1)."""
    body, at = _varint(row, 0)
    values: list[Value] = []
    end = body
    while at < end:
        kind, at = _varint(row, at)
        size = _INTEGERS.get(kind) or (max(0, kind - 12) // 2 if kind >= 12 else 0)
        part = row[body : body + size]
        if len(part) != size:
            raise ValueError("the row ends early")
        body += size
        values.append(_value(kind, part))
    return tuple(values)


def _value(kind: int, part: bytes) -> Value:
    if kind == 0:
        return None
    if kind in {8, 9}:
        return kind - 8
    if kind in _INTEGERS:
        return int.from_bytes(part, "big", signed=True)
    if kind < 12:
        raise ValueError("not a kind of value that a spool holds")
    return bytes(part) if kind % 2 == 0 else str(part, "utf-8")
