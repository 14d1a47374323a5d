"""A disk that answers EIO: nothing is acknowledged that is not on it, and it is over when it is over.

SQLite's file system is replaced by one whose reads, writes or syncs fail when told to. A sync that
fails has lost what was to be synced, and the next one says that all is well, as Linux does
(fsyncgate): what is acknowledged after it must be there all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import apsw
import pytest

from gateway_core.errors import Unavailable
from gateway_core.spool import SpoolOptions, open_reader, open_spool
from tests.fakes.core import readings
from tests.fakes.edge import NOW, arrival, open_edge
from tests.fakes.ports import free_port
from tests.fakes.running import eventually, running
from tests.fakes.running import readings as stored_readings

OPTIONS = SpoolOptions(max_bytes=8 << 20, group_commit_s=0.0, group_records=50, cache_records=1)


class Disk(apsw.VFS):
    """SQLite's files on a disk that fails when it is told to.

    Attributes:
        failing: ``read``, ``write`` or ``sync``, while those fail; empty while none do.
        syncs_left: The sync after so many fails, once, and loses what was written since the last.
    """

    def __init__(self) -> None:
        self.failing, self.syncs_left, self.syncs = "", -1, 0
        self.chance = random.Random(7)
        self.unsynced: dict[str, list[tuple[int, bytes]]] = {}
        super().__init__("failing-disk", "", makedefault=True)

    def xOpen(self, name, flags):  # noqa: N802
        return _File(name, flags, self)


class _File(apsw.VFSFile):
    def __init__(self, name, flags, disk: Disk) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("unix", name, flags)

    def xRead(self, amount, offset):  # noqa: N802
        if self.disk.failing == "read":
            raise apsw.IOError("disk I/O error")
        return super().xRead(amount, offset)

    def xWrite(self, data, offset):  # noqa: N802
        if self.disk.failing == "write":
            raise apsw.IOError("disk I/O error")
        with Path(self.path).open("rb") as handle:
            handle.seek(offset)
            before = handle.read(len(data)).ljust(len(data), b"\0")
        self.disk.unsynced.setdefault(self.path, []).append((offset, before))
        super().xWrite(data, offset)

    def xSync(self, flags):  # noqa: N802
        disk = self.disk
        disk.syncs += 1
        lost = disk.unsynced.pop(self.path, [])
        if disk.failing == "sync" or disk.syncs == disk.syncs_left:
            with Path(self.path).open("r+b") as handle:
                for offset, before in reversed(lost):
                    if disk.chance.random() < 0.7:
                        handle.seek(offset)
                        handle.write(before)
            raise apsw.IOError("disk I/O error")
        super().xSync(flags)


@contextlib.contextmanager
def failing_disk() -> Iterator[Disk]:
    disk = Disk()
    try:
        yield disk
    finally:
        disk.unregister()


@pytest.mark.fault("F2")
@pytest.mark.parametrize("what", ["write", "sync"])
async def test_while_the_disk_fails_nothing_is_acknowledged_and_later_all_of_it_once(
    tmp_path: Path, what: str
) -> None:
    with failing_disk() as disk:
        async with open_edge(tmp_path) as edge:
            await edge.say("d1", '{"temperature": 1}')
            disk.failing = what
            batch = [arrival("tg/d1/up", f'{{"temperature": {n}}}', NOW + n) for n in (2, 3)]
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await edge.pipeline.ingest(batch)
            disk.failing = ""
            assert await edge.pipeline.ingest(batch) == [None, None]
            assert [each.fields["temperature"] for each in await edge.readings()] == [1, 2, 3]
            assert (await edge.spool.books()).residual == 0
    async with open_edge(tmp_path) as edge:
        assert [each.fields["temperature"] for each in await edge.readings()] == [1, 2, 3]


@pytest.mark.fault("F2")
async def test_a_disk_that_cannot_be_read_is_said_to_be_and_read_again_later(
    tmp_path: Path,
) -> None:
    with failing_disk() as disk:
        async with open_spool(tmp_path / "s.db", "edge-a", OPTIONS) as spool:
            for first in range(1, 5000, 50):
                await spool.append(readings(first, first + 49), source="s")
        async with open_spool(tmp_path / "s.db", "edge-a", OPTIONS) as spool:
            await spool.register("up")
            disk.failing = "read"
            with pytest.raises(Unavailable):
                await spool.read("up", 5000)
            disk.failing = ""
            assert (await spool.read("up", 5000)).records == readings(1, 5000)
            assert (await spool.books()).residual == 0
        disk.failing = "read"
        with pytest.raises(Unavailable):
            async with open_spool(tmp_path / "s.db", "edge-a", OPTIONS):
                pass
        disk.failing = ""
    assert [*tmp_path.glob("*.damaged-*")] == []  # a disk that fails is no damaged file


@pytest.mark.fault("F2")
async def test_an_agent_on_a_failing_disk_lets_a_device_wait_says_why_and_goes_on(
    tmp_path: Path,
) -> None:
    port, admin = free_port("127.0.0.1"), free_port("127.0.0.1")
    file = tmp_path / "edge.yaml"
    file.write_text(
        "edge: {id: e1, data_dir: var}\n"
        f"mqtt_listen: [{{listen: '127.0.0.1:{port}', anonymous: true}}]\n"
        f"admin: {{listen: '127.0.0.1:{admin}'}}\n"
    )
    say = ["mosquitto_pub", "-p", str(port), "-t", "tg/d1/up", "-q", "1", "-m"]
    with failing_disk() as disk:
        async with running(file) as agent, aiohttp.ClientSession() as session:
            disk.failing = "write"
            device = await asyncio.create_subprocess_exec(*say, '{"temperature": 2}')

            async def told() -> bool:
                async with session.get(f"http://127.0.0.1:{admin}/status") as answer:
                    (source,) = (await answer.json())["sources"]
                    return "disk I/O error" in source["held"]

            await eventually(told)
            async with session.get(f"http://127.0.0.1:{admin}/healthz") as answer:
                assert answer.status == 503
                assert "disk I/O error" in (await answer.json())["spool"]
            assert device.returncode is None  # not acknowledged
            disk.failing = ""
            assert await asyncio.wait_for(device.wait(), 30) == 0
            assert [each.fields for each in await stored_readings(agent)] == [{"temperature": 2.0}]
            assert not await told()


async def _run(path: Path, disk: Disk) -> list[int]:
    """Append until 1,000 records are acknowledged; return the numbers of those that were."""
    acknowledged: list[int] = []
    async with open_spool(path, "edge-a", OPTIONS) as spool:
        await spool.register("up")
        for first in range(1, 1000, 50):
            while True:
                try:
                    span = await spool.append(readings(first, first + 49), source="s")
                except Unavailable:
                    continue
                assert span is not None
                acknowledged += range(span.first, span.last + 1)
                break
    return acknowledged


@pytest.mark.fault("F1", "F2")
def test_what_is_acknowledged_after_a_sync_that_failed_is_there(tmp_path: Path) -> None:
    promised: dict[int, list[int]] = {}
    with failing_disk() as disk:
        asyncio.run(_run(tmp_path / "0.db", disk))
        whole = disk.syncs
        assert whole > 20
        for at in range(1, whole):
            disk.syncs, disk.syncs_left = 0, at
            try:
                promised[at] = asyncio.run(_run(tmp_path / f"{at}.db", disk))
            except Unavailable:  # at its opening or its end: the program starts again
                promised[at] = asyncio.run(_run(tmp_path / f"{at}.db", disk))
    for at, acknowledged in promised.items():
        assert len(acknowledged) == 1000
        found: list[int] = []
        with open_reader(tmp_path / f"{at}.db") as reader:
            while batch := reader.read_after(found[-1] if found else 0, 1000):
                found += range(batch.first, batch.last + 1)
        assert set(acknowledged) <= set(found), at
