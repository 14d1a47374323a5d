"""A file that holds disk space for the moment in which the disk is full.

Deleting from SQLite and emptying its write-ahead log need space too: on a disk that something else
filled, neither cursors nor cleaning nor alarms would get on. The file is given up then, and made
again once there is room for twice its size.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import structlog

log = structlog.get_logger()


class Ballast:
    """The file ``<spool>.reserve``; belongs to the writer's thread.

    Args:
        path: Of the spool.
        size: Bytes to hold.

    Attributes:
        held: Whether the space is held now.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path.with_name(path.name + ".reserve")
        self._size = size
        self.held = False

    def take(self) -> bool:
        """Hold the space, if there is twice as much; return whether it is held."""
        if self.held:
            return True
        try:
            if not self._path.exists() and _free(self._path.parent) < 2 * self._size:
                return False
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o640)
            try:
                os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()
            return False
        self.held = True
        return True

    def give(self) -> bool:
        """Give the space up; return whether there was any."""
        if not self.held:
            return False
        self.held = False
        with contextlib.suppress(OSError):
            self._path.unlink()
        log.error("spool_disk_full", path=str(self._path), freed=self._size)
        return True


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
