"""The disk of a node: real files in memory, under an SQLite VFS that knows what was synced.

What was written and not synced is lost, kept or torn when the power goes, each write for itself.
A killed program loses nothing of that; both can be struck in the middle of any operation. The next
life of the node gets the files in a folder of its own, so that nothing of the last one, its locks
and its memory of the write-ahead log, reaches it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from tests.simulation.loop import Life, PowerOff

_BELOW = "unix"
_NEVER_COPIED = ("-shm", "-journal", ".reserve", ".lock")


class _File:
    """One database file: what is safe, and what was written since."""

    def __init__(self, path: Path) -> None:
        self.safe = bytearray(path.read_bytes() if path.exists() else b"")
        self.size = len(self.safe)
        self.since: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        self.since.append((offset, data))
        self.size = max(self.size, offset + len(data))

    def sync(self) -> None:
        for offset, data in self.since:
            _apply(self.safe, offset, data)
        self.since.clear()

    def after_power_cut(self, chance: random.Random) -> bytes:
        found = bytearray(self.safe)
        for offset, data in self.since:
            fate = chance.randrange(3)
            if fate == 1 and data is not None:
                _apply(found, offset, data[: len(data) // 2])
            elif fate == 2:
                _apply(found, offset, data)
        return bytes(found)

    def after_kill(self) -> bytes:
        found = bytearray(self.safe)
        for offset, data in self.since:
            _apply(found, offset, data)
        return bytes(found)


def _apply(held: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del held[offset:]
        return
    if len(held) < offset:
        held.extend(bytes(offset - len(held)))
    held[offset : offset + len(data)] = data


class Disk:
    """What one life of a node has on its disk.

    Args:
        folder: Its own.
        life: Whose.
        chance: For what becomes of unsynced writes.

    Attributes:
        room: Bytes that the databases and the ballast may take; None: enough.
        fuse: Operations until the node ends in the middle of one; below 0: it does not.
        then: Steps that it goes on after that operation instead; below 0: none.
        broken: Operations that fail with an error from now on.
        off: Whether nothing reaches it any more.
    """

    def __init__(self, folder: Path, life: Life, chance: random.Random) -> None:
        self.folder, self.life, self.chance = folder, life, chance
        self.files: dict[str, _File] = {}
        self.synced: dict[str, int] = {}  # of plain files
        self.room: int | None = None
        self.fuse = self.then = -1
        self.broken = 0
        self.off = False
        folder.mkdir(parents=True, exist_ok=True)
        _DISKS[str(folder)] = self

    @property
    def used(self) -> int:
        """Bytes that are taken."""
        held = sum(each.size for each in self.files.values())
        for ballast in self.folder.glob("*.reserve"):
            held += ballast.stat().st_size
        return held

    def operate(self) -> None:
        """Count one operation; the node may end here, or the disk refuse it."""
        if self.off:
            raise apsw.IOError("the machine is off")
        if self.broken > 0:
            self.broken -= 1
            raise apsw.IOError("an error of the disk")
        if self.fuse >= 0:
            self.fuse -= 1
            if self.fuse < 0 and self.then >= 0:
                self.life.fuse = self.then
            elif self.fuse < 0:
                self.life.blow()
                raise PowerOff

    def image(self, *, power: bool) -> dict[str, bytes]:
        """Return what the next life finds, by file name relative to the folder."""
        found: dict[str, bytes] = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path)
            if not path.is_file() or name.endswith(_NEVER_COPIED):
                continue
            file = self.files.get(name)
            if file is None:
                content = path.read_bytes()
                safe = self.synced.get(name)
                if power and safe is not None and safe < len(content):
                    content = content[: self.chance.randint(safe, len(content))]
            else:
                content = file.after_power_cut(self.chance) if power else file.after_kill()
            found[str(path.relative_to(self.folder))] = content
        return found

    def put(self, image: dict[str, bytes]) -> None:
        """Begin with the files of an earlier life."""
        for name, content in image.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


_DISKS: dict[str, Disk] = {}


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


class _VFS(apsw.VFS):
    """Every database that a program of ours opens while a world is simulated."""

    def xOpen(self, name, flags):  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk = _DISKS.get(_folder(path)) if path else None
        if disk is None:
            return apsw.VFSFile(_BELOW, name, flags)
        return _VFSFile(disk, path, name, flags)

    def xDelete(self, name, sync):  # noqa: N802
        disk = _DISKS.get(_folder(name))
        if disk is not None:
            disk.operate()
            disk.files.pop(name, None)
        super().xDelete(name, sync)


class _VFSFile(apsw.VFSFile):
    def __init__(self, disk: Disk, path: str, name, flags) -> None:
        self.disk = disk
        self.read_only = bool(flags[0] & apsw.SQLITE_OPEN_READONLY)
        self.file = disk.files.get(path)
        if self.file is None or not Path(path).exists():  # new, or the old one was moved away
            self.file = disk.files[path] = _File(Path(path))
        super().__init__(_BELOW, name, flags)

    def xLock(self, level):  # noqa: N802
        if self.read_only and level > apsw.SQLITE_LOCK_SHARED:
            raise apsw.BusyError  # the system's own error would be told to who closes the file
        super().xLock(level)

    def xWrite(self, data, offset):  # noqa: N802
        disk, file = self.disk, self.file
        disk.operate()
        end = offset + len(data)
        if disk.room is not None and end > file.size and disk.used + end - file.size > disk.room:
            raise apsw.FullError("the disk is full")
        file.write(offset, bytes(data))
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        self.disk.operate()
        self.file.sync()

    def xTruncate(self, size):  # noqa: N802
        self.disk.operate()
        self.file.since.append((size, None))
        self.file.size = size
        super().xTruncate(size)


@contextlib.contextmanager
def simulated_disks(root: Path, free: Callable[[str], int | None]) -> Iterator[None]:
    """Let every database below ``root`` be on a simulated disk; clear ``root`` at the end.

    Args:
        root: A folder in memory.
        free: Returns how many bytes are free where a folder is; None: it is none of ours.
    """
    vfs = _VFS("simulated", _BELOW, makedefault=True)
    before, real = os.statvfs, os.fsync

    def statvfs(path):
        found = before(path)
        left = free(str(path))
        if left is None:
            return found
        return _Stat(left // 4096, 4096)

    def fsync(fd):
        name = str(Path(f"/proc/self/fd/{fd}").readlink())
        for disk in _DISKS.values():
            if name.startswith(f"{disk.folder}/") and Path(name).is_file():
                disk.synced[name] = os.fstat(fd).st_size

    os.statvfs, os.fsync = statvfs, fsync
    try:
        yield
    finally:
        os.statvfs, os.fsync = before, real
        for disk in _DISKS.values():
            disk.off = True
        _DISKS.clear()
        vfs.unregister()
        shutil.rmtree(root, ignore_errors=True)


class _Stat:
    def __init__(self, blocks: int, size: int) -> None:
        self.f_bavail, self.f_frsize = blocks, size


def free_bytes(folder: str) -> int | None:
    """Return what is free on a simulated disk."""
    disk = _DISKS.get(folder)
    return None if disk is None or disk.room is None else max(0, disk.room - disk.used)
