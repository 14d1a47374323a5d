"""What was taken in is on site exactly once, in files that any tool reads."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq
import pytest

from edge_agent.archive import Archive, ArchiveOptions
from gateway_core.errors import Unavailable
from gateway_core.model import (
    Alarm,
    FeedHealth,
    Listed,
    Loss,
    ProfileUse,
    Reading,
    Receipt,
    Record,
    SystemHealth,
)
from gateway_core.spool import Spool, SpoolOptions, open_spool

S = 1_000_000_000
HOUR = 3600 * S
NOON = 1_764_072_000 * S  # 2025-11-25T12:00:00Z
FAST = SpoolOptions(group_commit_s=0.0)


def reading(at_s: float, device: str = "d1", measurement: str = "env", **fields: object) -> Reading:
    time = NOON + round(at_s * S)
    given = fields or {"t": 20.5}
    return Reading("e1", device, "acme/th", measurement, time, time + 5, given)  # type: ignore[arg-type]


class Site:
    """An archive that is stepped by hand."""

    def __init__(self, spool: Spool, folder: Path, options: ArchiveOptions) -> None:
        self.spool = spool
        self.folder = folder
        self.options = options
        self.now = NOON + HOUR
        self.start()

    def start(self) -> None:
        """Begin again with nothing but spool and folder, as after a kill -9."""
        self.archive = Archive(self.folder, self.spool, lambda: self.now, self.options)

    async def feed(self, *records: Record, batch: int = 1000) -> list[Receipt]:
        await self.spool.append(records, source="mqtt:site")
        return await self.drain(batch)

    async def drain(self, batch: int = 1000) -> list[Receipt]:
        await self.spool.register("archive")
        receipts: list[Receipt] = []
        while self.spool.settled("archive") < self.spool.head:
            one = await self.spool.read("archive", batch)
            receipts.append(await self.archive.send(one))
            await self.spool.settle("archive", one.first, one.last, receipts[-1])
        return receipts

    def files(self) -> list[str]:
        found = sorted(self.folder.rglob("*.parquet"))
        return [path.relative_to(self.folder).as_posix() for path in found]

    def seqs(self, kind: str = "readings/env") -> list[int]:
        """Sequence numbers in the files themselves, read by a tool that knows nothing of us."""
        if not list((self.folder / kind).glob("*/*.parquet")):
            return []
        pattern = f"{self.folder}/{kind}/*/*.parquet"
        found = duckdb.sql(
            f"SELECT seq FROM read_parquet('{pattern}', union_by_name=true) ORDER BY seq"
        )
        return [row[0] for row in found.fetchall()]


@contextlib.asynccontextmanager
async def site(folder: Path, **options: float) -> AsyncIterator[Site]:
    async with open_spool(folder / "spool.db", "e1", FAST) as spool:
        yield Site(spool, folder / "archive", ArchiveOptions(**options))  # type: ignore[arg-type]


async def test_readings_lie_by_measurement_day_and_hour_with_their_types(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        tagged = Reading(
            "e1", "d2", "acme/th", "env", NOON, NOON, {"t": 1.5, "n": 7, "on": True, "s": "x"},
            {"room": "r1"}, ("humidity:range",),
        )  # fmt: skip
        await one.feed(reading(0), tagged, reading(3600), reading(1, measurement="power", w=3))
        epoch = one.spool.epoch
        assert one.files() == [
            f"readings/env/2025-11-25/12-{epoch}-000000000001-000000000004-0-2.parquet",
            f"readings/env/2025-11-25/13-{epoch}-000000000001-000000000004-0-1.parquet",
            f"readings/power/2025-11-25/12-{epoch}-000000000001-000000000004-0-1.parquet",
        ]
        table = pq.read_table(one.folder / one.files()[0])
        assert [
            (name, str(kind))
            for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        ] == [
            ("time", "int64"),
            ("received", "int64"),
            ("seq", "int64"),
            ("edge", "string"),
            ("device", "string"),
            ("profile", "string"),
            ("flags", "list<element: string>"),
            ("tag.room", "string"),
            ("t", "double"),
            ("n", "int64"),
            ("on", "bool"),
            ("s", "string"),
        ]
        assert table.to_pylist()[1] == {
            "time": NOON,
            "received": NOON,
            "seq": 2,
            "edge": "e1",
            "device": "d2",
            "profile": "acme/th",
            "flags": ["humidity:range"],
            "tag.room": "r1",
            "t": 1.5,
            "n": 7,
            "on": True,
            "s": "x",
        }


async def test_verdicts_alarms_losses_and_listings_are_kept_too(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.feed(
            FeedHealth("e1", "f1", NOON, "offline", ("rtsp_timeout",), 3, 3, None, 1.5, True),
            SystemHealth("e1", "s1", NOON, "up", rtt_ms=2.5),
            Alarm("e1", "d1", "acme/th", "hot", "major", "raised", NOON, {"en": "Hot"}),
            Loss("e1", NOON, "ep", 5, 9, "damaged", "segment 3"),
            Listed("e1", "device", "d1", NOON, "Door", lat=37.4, lon=118.0, online=True),
            ProfileUse("e1", "acme/th", "1.1.0", "ab" * 32, NOON, "1.0.0", "centre"),
        )
        kinds = [name.split("/")[0] for name in one.files()]
        assert kinds == [
            "alarm",
            "feed_health",
            "inventory",
            "loss",
            "profile_use",
            "system_health",
        ]
        use = pq.read_table(one.folder / one.files()[4]).to_pylist()[0]
        assert (use["seq"], use["version"], use["previous"]) == (6, "1.1.0", "1.0.0")
        feed = pq.read_table(one.folder / one.files()[1]).to_pylist()[0]
        assert (feed["seq"], feed["feed"], feed["faults"], feed["rtt_ms"], feed["hourly"]) == (
            1,
            "f1",
            ["rtsp_timeout"],
            None,
            True,
        )
        alarm = pq.read_table(one.folder / one.files()[0]).to_pylist()[0]
        assert alarm["text"] == '{"en":"Hot"}'


async def test_aggregates_are_counted_and_not_archived(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        made = msgspec.structs.replace(reading(0, measurement="env_5m"), derived=True)
        (receipt,) = await one.feed(reading(0), made)
        assert receipt.dropped == {"derived": 1}
        assert one.seqs() == [1]


async def test_a_measurement_that_is_no_folder_name_is_rejected(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        (receipt,) = await one.feed(reading(0, measurement="../../etc"), reading(1))
        assert [(one.seq, one.reason) for one in receipt.rejected] == [(1, "bad_measurement")]
        assert len(one.files()) == 1


async def test_a_field_with_two_types_goes_to_two_files_and_loses_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        values = [1, 2.5, "hot", True, 2**63, -1]
        await one.feed(*[reading(n, x=value) for n, value in enumerate(values)])
        read = [pq.read_table(one.folder / name).column("x") for name in one.files()]
        assert sorted(str(column.type) for column in read) == [
            "bool",
            "double",
            "int64",
            "string",
            "uint64",
        ]
        assert {repr(each) for column in read for each in column.to_pylist()} == set(
            map(repr, values)
        )


async def test_a_field_named_like_one_of_our_columns_keeps_its_own(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.feed(reading(0, time=5, seq=6))
        (row,) = pq.read_table(one.folder / one.files()[0]).to_pylist()
        assert (row["time"], row["seq"], row["field.time"], row["field.seq"]) == (NOON, 1, 5, 6)


@pytest.mark.parametrize("batch", [3, 7, 1000])
async def test_a_batch_that_was_written_and_not_settled_is_there_once_after_a_crash(
    tmp_path: Path, batch: int
) -> None:
    async with site(tmp_path) as one:
        await one.feed(*[reading(n) for n in range(10)])
        await one.spool.append([reading(n) for n in range(10, 30)], source="mqtt:site")
        unsettled = await one.spool.read("archive", 12)
        await one.archive.send(unsettled)
        one.start()  # killed between the sink and the settling transaction
        await one.drain(batch)
        assert one.seqs() == list(range(1, 31))
        assert (await one.spool.books()).residual == 0


async def test_a_batch_that_comes_again_in_the_same_life_is_there_once(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.spool.register("archive")
        await one.spool.append([reading(n) for n in range(20)], source="mqtt:site")
        await one.archive.send(await one.spool.read("archive", 15))
        await one.archive.send(await one.spool.read("archive", 4))
        await one.spool.settle("archive", 1, 4)
        await one.drain()
        assert one.seqs() == list(range(1, 21))


async def test_half_written_files_of_an_earlier_life_are_cleared_away(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.feed(reading(0))
        (name,) = one.files()
        beside = (one.folder / name).with_name(".12-x.parquet.tmp")
        beside.write_bytes(b"PAR1")
        one.start()
        await one.archive.open()
        assert not beside.exists()
        assert one.seqs() == [1]


async def test_a_disk_that_refuses_leaves_the_batch_for_another_try(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.feed(reading(0))
        (one.folder / "readings" / "power").write_text("in the way")
        await one.spool.append([reading(1), reading(2, measurement="power")], source="mqtt:site")
        with pytest.raises(Unavailable, match="archive"):
            await one.drain()
        assert one.seqs() == [1]
        (one.folder / "readings" / "power").unlink()
        await one.drain()
        assert one.seqs() == [1, 2]
        assert one.seqs("readings/power") == [3]


async def test_files_of_an_earlier_spool_are_kept_beside_those_of_the_next(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.feed(reading(0), reading(1))
    for file in tmp_path.glob("spool.db*"):
        file.unlink()
    async with site(tmp_path) as one:
        await one.feed(reading(2))
        one.now = NOON + 2 * HOUR
        await one.archive.tidy()
        assert one.seqs() == [1, 1, 2]
