"""Promise: a full disk refuses appends, harms nothing that was stored, and is over when it is over."""

from __future__ import annotations

import apsw
import pytest

from gateway_core.clock import wall_ns
from gateway_core.errors import SpoolFull
from gateway_core.model import Alarm, Receipt
from gateway_core.spool import SpoolOptions, open_reader, schema
from gateway_core.spool.committer import Committer, Job
from gateway_core.spool.jobs import appending, registering, settling
from gateway_core.spool.segment import chunk
from tests.core.test_spool_budget import noise
from tests.fakes.core import readings

OPTIONS = SpoolOptions(max_bytes=8 << 20)


class SmallDisk(apsw.VFS):
    """A disk on which no file grows once it is full."""

    def __init__(self) -> None:
        self.full = False
        super().__init__("small-disk", "")

    def xOpen(self, name, flags):  # noqa: N802
        return SmallFile(name, flags, self)


class SmallFile(apsw.VFSFile):
    """A file that may be overwritten, but not grow, when the disk is full."""

    def __init__(self, name, flags, disk) -> None:
        self.disk = disk
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        if self.disk.full and offset + len(data) > self.xFileSize():
            raise apsw.FullError("no space left on device")
        super().xWrite(data, offset)


@pytest.fixture
def disk():
    disk = SmallDisk()
    yield disk
    disk.unregister()


@pytest.mark.fault("F2", "R4")
def test_a_full_disk_costs_only_what_was_not_acknowledged(tmp_path, disk):
    path = tmp_path / "s.db"
    db = schema.open_writer(path, OPTIONS, "small-disk")
    writer = Committer(db, path, "edge-a", OPTIONS, wall_ns, lambda _: None)
    writer._transact([Job(registering("up"))])

    def append(first: int) -> None:
        work = appending([chunk(readings(first, first + 9))], [], "s", {}, [])
        writer._transact([Job(work)])

    append(1)
    disk.full = True
    while writer._head < 5000:  # the write-ahead log has room of its own for a while
        try:
            append(writer._head + 1)
        except SpoolFull:
            break
    stored = writer._head
    with pytest.raises(SpoolFull, match="no space left on device"):
        append(stored + 1)
    disk.full = False
    append(stored + 1)
    writer._transact([Job(settling("up", 1, stored + 10, Receipt(), []))])
    db.close()
    with open_reader(path) as reader:
        assert reader.read_after(0, 5000).records == readings(1, stored + 10)
        assert reader.books().consumers["up"].delivered == stored + 10
        assert reader.books().residual == 0


class HeldDisk(SmallDisk):
    """A disk that is full but for what the spool's reserve gives back."""

    def __init__(self, path) -> None:
        self.reserve = path.with_name("s.db.reserve")
        super().__init__()

    @property
    def full(self) -> bool:
        return self.filled and self.reserve.exists()

    @full.setter
    def full(self, filled: bool) -> None:
        self.filled = filled


@pytest.mark.fault("F2")
def test_on_a_full_disk_alarms_cursors_and_cleaning_go_on(tmp_path):
    path, done = tmp_path / "s.db", []
    disk = HeldDisk(path)
    options = SpoolOptions(max_bytes=64 << 20, keep_s=0.0)
    db = schema.open_writer(path, options, "small-disk")
    writer = Committer(db, path, "edge-a", options, wall_ns, done.append)
    writer._ballast.take()

    def commit(work):
        writer._commit([Job(work)])
        return done[-1].jobs[0].error

    def append(*records):
        return commit(appending([chunk(records)], [], "s", {}, []))

    try:
        assert commit(registering("up")) is None
        for step in range(40):
            assert append(*noise(200, step)) is None
        disk.full = True
        while (error := append(*noise(200, writer._head))) is None:
            assert writer._head < 100_000
        assert isinstance(error, SpoolFull)
        stored = writer._head
        assert not disk.reserve.exists()
        assert isinstance(append(*noise(200, 1)), SpoolFull)
        alarm = Alarm("edge-a", "d1", "p", "hot", "major", "raised", 1)
        assert append(alarm) is None
        assert commit(settling("up", 1, stored, Receipt(), [])) is None
        assert append(*noise(200, 2)) is None  # in the place of what was settled
        with open_reader(path) as reader:
            assert reader.read_after(stored, 1).records == [alarm]
            assert reader.books().residual == 0
    finally:
        db.close()
        disk.unregister()


@pytest.mark.fault("F2")
def test_a_disk_that_fails_while_the_spool_closes_costs_nothing_and_raises_nothing(tmp_path, disk):
    path = tmp_path / "s.db"
    writer = Committer(
        schema.open_writer(path, OPTIONS, "small-disk"), path, "edge-a", OPTIONS, wall_ns, print
    )
    for first in range(1, 500, 10):
        writer.commit([Job(appending([chunk(readings(first, first + 9))], [], "s", {}, []))])
    disk.full = True  # the last checkpoint has no room
    writer.close()
    with open_reader(path) as reader:
        assert reader.head == 500
        assert reader.read_after(490, 10).records == readings(491, 500)
