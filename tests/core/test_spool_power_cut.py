"""Promise: a power cut at any moment loses nothing that was acknowledged.

An SQLite VFS keeps what was written since the last sync; at a chosen operation the power goes:
each unsynced write is lost, kept or torn in half at random. The file is then opened by SQLite's
own VFS, as after a restart. The power goes at every write, sync and truncation of a run that
appends 2,000 records, moves a cursor and checkpoints, the creation of the file included.
"""

from __future__ import annotations

import functools
import random
from pathlib import Path

import apsw
import pytest

from gateway_core.clock import wall_ns
from gateway_core.model import Receipt
from gateway_core.spool import SpoolOptions, open_reader, schema
from gateway_core.spool.committer import Committer, Job
from gateway_core.spool.jobs import appending, registering, settling
from gateway_core.spool.segment import Chunk, chunk
from tests.fakes.core import readings

OPTIONS = SpoolOptions(max_bytes=8 << 20, group_commit_s=0.0, group_records=50)
RECORDS, GROUP = 2_000, 50
PARTS = 4


class Machine:
    """A disk with a cache that is lost when the power goes."""

    def __init__(self, cut_at: int, seed: int) -> None:
        self.left = cut_at
        self.chance = random.Random(seed)
        self.unsynced: dict[str, list[tuple[int, bytes, bytes]]] = {}
        self.off = False

    def goes_on(self) -> bool:
        """Count an operation; the chosen one turns the machine off, and nothing happens after."""
        self.left -= 1
        if self.left <= 0 and not self.off:
            self.off = True
            self.lose()
        return not self.off

    def lose(self) -> None:
        """Undo each unsynced write with even chance, whole or in half, newest first."""
        for name, writes in self.unsynced.items():
            with Path(name).open("r+b") as handle:
                for offset, before, data in reversed(writes):
                    fate = self.chance.randrange(3)
                    part = before if fate == 0 else before[: len(data) // 2] if fate == 1 else b""
                    handle.seek(offset)
                    handle.write(part)


class CutVFS(apsw.VFS):
    """Hands out files of a machine that will lose its power."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.machine = machine
        super().__init__(name, "")

    def xOpen(self, name, flags):  # noqa: N802
        return CutFile(name, flags, self.machine)

    def xDelete(self, name, sync):  # noqa: N802
        if not self.machine.off:
            super().xDelete(name, sync)


class CutFile(apsw.VFSFile):
    """A file whose writes are remembered until they are synced."""

    def __init__(self, name, flags, machine) -> None:
        self.machine = machine
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        if not self.machine.goes_on():
            return
        with Path(self.path).open("rb") as handle:
            handle.seek(offset)
            before = handle.read(len(data)).ljust(len(data), b"\0")
        self.machine.unsynced.setdefault(self.path, []).append((offset, before, bytes(data)))
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        if self.machine.goes_on():
            super().xSync(flags)
            self.machine.unsynced.pop(self.path, None)

    def xTruncate(self, size):  # noqa: N802
        if self.machine.goes_on():
            super().xTruncate(size)


@functools.cache
def group(first: int) -> Chunk:
    return chunk(readings(first, first + GROUP - 1))


def run_until_the_power_goes(path, machine: Machine, vfs: str, synchronous: str) -> list[int]:
    """Write through the spool's writer; return the numbers that were acknowledged."""
    acknowledged: list[int] = []
    db = None
    try:
        db = schema.open_writer(path, OPTIONS, vfs)
        db.execute("PRAGMA wal_autocheckpoint = 8").fetchall()  # cuts fall into checkpoints too
        db.execute(f"PRAGMA synchronous = {synchronous}")
        writer = Committer(db, path, "edge-a", OPTIONS, wall_ns, lambda _: None)
        writer._transact([Job(registering("up"))])
        for n in range(1, RECORDS, GROUP):
            work = appending([group(n)], [], "s", {"last": str(n).encode()}, [])
            writer._transact([Job(work), Job(settling("up", 1, n + 4, Receipt(), []))])
            if machine.off:
                break
            acknowledged.append(n + GROUP - 1)
    except (apsw.Error, schema.SpoolDamaged, schema.Unavailable):
        assert machine.off
    finally:
        if db is not None:
            db.close()
    return acknowledged


def operations(folder) -> int:
    """How many operations the whole run has."""
    machine = Machine(1 << 30, seed=0)
    vfs = CutVFS("cut-never", machine)
    acknowledged = run_until_the_power_goes(folder / "whole.db", machine, "cut-never", "FULL")
    vfs.unregister()
    assert acknowledged[-1] == RECORDS
    return (1 << 30) - machine.left


def lost_after(folder, cut_at: int, synchronous: str) -> int:
    """Cut the power at one operation; return how many acknowledged records are gone."""
    path, name = folder / f"{synchronous}-{cut_at}.db", f"cut-{synchronous}-{cut_at}"
    machine = Machine(cut_at, seed=cut_at)
    vfs = CutVFS(name, machine)
    acknowledged = run_until_the_power_goes(path, machine, name, synchronous)
    vfs.unregister()
    assert machine.off, "the cut must fall into the run"
    recovered = schema.open_writer(path, OPTIONS)
    assert recovered.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    recovered.close()
    with open_reader(path) as reader:
        books = reader.books()
        head = books.head
        assert books.residual == 0
        if head:
            assert head % GROUP == 0
            read = reader.read_after(max(0, head - GROUP), GROUP)
            assert read.records == readings(head - GROUP + 1, head)
            assert reader.state()["last"] == str(head - GROUP + 1).encode()
        for first in range(1, head, GROUP):
            assert reader.read_after(first - 1, GROUP).last == first + GROUP - 1
    path.unlink()
    return max(0, (acknowledged or [0])[-1] - head)


@pytest.mark.fault("F1", "R16")
@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_acknowledged_is_lost_wherever_the_power_goes(tmp_path, part):
    whole = operations(tmp_path)
    assert whole > 400
    lost = {cut: lost_after(tmp_path, cut, "FULL") for cut in range(1 + part, whole + 1, PARTS)}
    assert {cut: n for cut, n in lost.items() if n} == {}


def test_this_disk_would_show_a_commit_that_was_not_synced(tmp_path):
    assert any(lost_after(tmp_path, cut, "NORMAL") for cut in range(100, 300, 20))
