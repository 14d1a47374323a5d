"""Files of an hour become one, and go when their time or their room is over; nothing doubles."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from edge_agent.archive import ArchiveOptions
from tests.edge_agent.archive.test_archive_sink import HOUR, NOON, reading, site


async def test_the_files_of_a_closed_hour_become_one(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        for n in range(5):
            await one.feed(reading(n, t=float(n), **({"u": n} if n > 2 else {})))
        await one.archive.tidy()
        assert len(one.files()) == 5
        one.now = NOON + 2 * HOUR
        await one.archive.tidy()
        assert len(one.files()) == 1
        rows = pq.read_table(one.folder / one.files()[0]).to_pylist()
        assert [(row["seq"], row["t"], row["u"]) for row in rows] == [
            (1, 0.0, None),
            (2, 1.0, None),
            (3, 2.0, None),
            (4, 3.0, 3),
            (5, 4.0, 4),
        ]
        await one.feed(reading(6, t=6.0))
        await one.archive.tidy()
        assert len(one.files()) == 1
        assert one.seqs() == [1, 2, 3, 4, 5, 6]


async def test_an_open_hour_is_merged_when_it_has_many_files(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        for n in range(16):
            await one.feed(reading(n))
        await one.archive.tidy()
        assert len(one.files()) == 1
        assert one.seqs() == list(range(1, 17))


async def test_files_whose_types_differ_stay_apart(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        for value in (1, 2, "a", "b"):
            await one.feed(reading(0, x=value))
        one.now = NOON + 2 * HOUR
        await one.archive.tidy()
        await one.archive.tidy()
        assert len(one.files()) == 2
        assert one.seqs() == [1, 2, 3, 4]


async def test_a_crash_between_merging_and_removing_doubles_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        for n in range(4):
            await one.feed(reading(n))
        before = {name: (one.folder / name).read_bytes() for name in one.files()}
        one.now = NOON + 2 * HOUR
        await one.archive.tidy()
        for name, data in before.items():  # as if they had not been removed yet
            (one.folder / name).write_bytes(data)
        assert len(one.seqs()) == 8
        one.start()
        await one.archive.open()
        assert one.seqs() == [1, 2, 3, 4]


async def test_hours_beyond_retention_go_and_each_is_recorded(tmp_path: Path) -> None:
    async with site(tmp_path, keep_s=7200.0) as one:
        await one.feed(reading(0), reading(1), reading(3 * 3600))
        old = next(name for name in one.files() if "/12-" in name)
        one.now = NOON + 4 * HOUR
        await one.archive.tidy()
        assert one.seqs() == [3]
        (line,) = (one.folder / "removed.jsonl").read_text().splitlines()
        assert msgspec.json.decode(line) == {
            "at": "2025-11-25T16:00:00+00:00",
            "file": old,
            "rows": 2,
            "epoch": one.spool.epoch,
            "first": 1,
            "last": 3,
            "bytes": msgspec.json.decode(line)["bytes"],
            "reason": "age",
        }


async def test_beyond_its_budget_the_oldest_hours_go_first(tmp_path: Path) -> None:
    async with site(tmp_path, max_bytes=1) as one:
        await one.feed(reading(0), reading(3600))
        sizes = [(one.folder / name).stat().st_size for name in one.files()]
        one.options = ArchiveOptions(max_bytes=sizes[1])
        one.start()
        await one.archive.tidy()
        assert one.seqs() == [2]
        assert '"reason":"quota"' in (one.folder / "removed.jsonl").read_text()


async def test_a_damaged_file_is_set_aside_and_the_rest_is_merged(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        for n in range(4):
            await one.feed(reading(n, t=float(n)))
        hurt = one.folder / one.files()[1]
        data = bytearray(hurt.read_bytes())
        data[len(data) // 3] ^= 0xFF
        hurt.write_bytes(data)
        one.now = NOON + 2 * HOUR
        await one.archive.tidy()
        await one.archive.tidy()
        assert one.seqs() == [1, 3, 4]
        assert one.files()[0].startswith("damaged/readings_env-12-")
        assert '"reason":"damaged"' in (one.folder / "removed.jsonl").read_text()
