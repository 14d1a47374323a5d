"""The files of a raw store: numbered, appended to by one writer, the oldest removed first."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_agent.raw.block import HEAD_BYTES, Damaged, Head, Span
from gateway_core.aside import set_aside

SUFFIX = ".tgraw"
_PRIVATE = 0o600


@dataclass(slots=True)
class RawFile:
    """One file of blocks.

    Attributes:
        path: Where.
        bytes: Its size.
        count: Messages in it.
        newest: When the newest of them was received, nanoseconds since 1970; 0 without any.
    """

    path: Path
    bytes: int = 0
    count: int = 0
    newest: int = 0


class RawShelf:
    """The files of one folder; one thread uses it.

    What an earlier life left is never appended to: its last block may be half written.

    Args:
        folder: Created if need be, for this user's eyes only.
        file_bytes: A file that has grown to this is followed by another.

    Raises:
        OSError: The disk does not allow it.
        Unavailable: Likewise.
    """

    def __init__(self, folder: Path, file_bytes: int) -> None:
        self._folder = folder
        self._file_bytes = file_bytes
        self._open: BinaryIO | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob(f"*{SUFFIX}"):
            if not path.is_file():
                set_aside(path, "something that is no file stands in its place")
        self.files = [_look(path) for path in raw_files(folder)]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    def append(self, block: bytes, span: Span) -> None:
        """Append a block, to another file when the one in use is full.

        Raises:
            OSError: It was not written; the file is left and another is begun with the next.
        """
        if self._open is None or self.files[-1].bytes + len(block) > self._file_bytes:
            self._begin()
        assert self._open is not None
        file = self.files[-1]
        try:
            self._open.write(block)
            self._open.flush()
        except OSError:
            self.close()
            raise
        finally:
            file.bytes = file.path.stat().st_size
        file.count += span.count
        file.newest = max(file.newest, span.newest)

    def remove_oldest(self) -> int:
        """Remove the oldest file; return how many messages were in it.

        Raises:
            OSError: It could not be removed.
        """
        file = self.files[0]
        if len(self.files) == 1:
            self.close()
        file.path.unlink(missing_ok=True)
        self.files.pop(0)
        return file.count

    def close(self) -> None:
        """Let go of the file in use."""
        opened, self._open = self._open, None
        if opened is not None:
            opened.close()

    def _begin(self) -> None:
        self.close()
        last = int(self.files[-1].path.stem) if self.files else 0
        path = self._folder / f"{last + 1:012d}{SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, _PRIVATE)
        self._open = os.fdopen(descriptor, "wb")
        self.files.append(RawFile(path))


def raw_files(folder: Path) -> list[Path]:
    """Return the files of a raw store, oldest first."""
    found = (path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())
    return sorted(path for path in found if path.is_file())


def _look(path: Path) -> RawFile:
    """Read the heads of a file; what lies behind a damaged one is not counted."""
    file = RawFile(path, path.stat().st_size)
    with path.open("rb") as opened:
        at = 0
        while at < file.bytes:
            try:
                head = Head.parse(opened.read(HEAD_BYTES))
            except Damaged:
                break
            file.count += head.count
            file.newest = max(file.newest, head.newest)
            at = opened.seek(head.size, os.SEEK_CUR)
    if not file.newest:
        file.newest = path.stat().st_mtime_ns
    return file
