"""Flash memory wears by what is written: at most three bytes for each byte of payload, at rest.

Every byte that SQLite writes to the database and its log is counted below it, commits of a group at
a time, while a consumer keeps up and retention gives the pages back.
"""

from __future__ import annotations

import apsw
import pytest

from gateway_core.clock import wall_ns
from gateway_core.model import Receipt
from gateway_core.spool import SpoolOptions, schema
from gateway_core.spool.committer import Committer, Job
from gateway_core.spool.jobs import appending, registering, settling
from gateway_core.spool.segment import chunk
from tests.fakes.core import reading

OPTIONS = SpoolOptions(max_bytes=64 << 20)
GROUPS, GROUP = 60, 500
TOPIC = b"tg/sim-env-00000/up"
PAYLOAD = b'{"temperature":20.5,"humidity":40.1,"battery":90,"seq":123}'


class CountingVFS(apsw.VFS):
    """Counts the bytes written."""

    def __init__(self) -> None:
        self.written = 0
        super().__init__("counting", "")

    def xOpen(self, name, flags):  # noqa: N802
        return CountingFile(name, flags, self)


class CountingFile(apsw.VFSFile):
    """A file whose writes are counted."""

    def __init__(self, name, flags, vfs) -> None:
        self.vfs = vfs
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        self.vfs.written += len(data)
        super().xWrite(data, offset)


@pytest.mark.fault("F16")
def test_no_more_than_three_bytes_are_written_for_each_byte_that_a_device_sent(tmp_path):
    vfs = CountingVFS()
    db = schema.open_writer(tmp_path / "s.db", OPTIONS, "counting")
    writer = Committer(db, tmp_path / "s.db", "edge-a", OPTIONS, wall_ns, lambda _: None)
    writer._transact([Job(registering("up"))])
    vfs.written = 0
    for n in range(GROUPS):
        first = n * GROUP + 1
        records = [
            reading(
                seq,
                temperature=20.5 + seq % 97 / 10,
                humidity=40 + seq % 89 / 10,
                battery=90,
                seq=seq,
            )
            for seq in range(first, first + GROUP)
        ]
        writer._transact([Job(appending([chunk(records)], [], "s", {}, []), GROUP)])
        writer._transact([Job(settling("up", first, first + GROUP - 1, Receipt(), []))])
    db.close()
    vfs.unregister()
    sent = GROUPS * GROUP * (len(TOPIC) + len(PAYLOAD))
    assert 0 < vfs.written <= 3 * sent
