"""The embedded store keeps each point once, through crashes, new fields and hostile names."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from collector.query import Query, QueryError
from collector.timeseries.embedded import open_embedded
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, FeedHealth, Listed, Reading

T = 1_700_000_000_000_000_000
MEMORY = 128 << 20


def reading(at: int, device: str = "d1", measurement: str = "env", tags=(), **fields) -> Reading:
    return Reading("e1", device, "p", measurement, T + at, T, fields or {"t": 1.5}, dict(tags))


@pytest.fixture
async def store(tmp_path: Path):
    async with open_embedded(tmp_path / "ts.duckdb", MEMORY) as opened:
        yield opened


async def rows(store, measurement: str = "env", **more):
    return (await store.query(Query(measurement, T, T + 10**12, **more))).rows


async def test_a_batch_sent_twice_leaves_each_point_once(store) -> None:
    batch = Batch(1, [reading(at, t=float(at)) for at in range(100)])
    await store.write(batch)
    await store.write(batch)
    assert [row[4] for row in await rows(store)] == [float(at) for at in range(100)]


async def test_points_of_one_series_and_time_become_one_and_the_later_value_wins(store) -> None:
    await store.write(Batch(1, [reading(0, a=1, b=1), reading(0, b=2), reading(1, a=9)]))
    await store.write(Batch(4, [reading(0, b=3, c="x"), reading(2, a=7)]))
    assert [(row[0] - T, *row[4:]) for row in await rows(store)] == [
        (0, 1, 3, "x"),
        (1, 9, None, None),
        (2, 7, None, None),
    ]


async def test_a_field_keeps_its_first_type(store) -> None:
    await store.write(Batch(1, [reading(0, t=1.0)]))
    receipt = await store.write(Batch(2, [reading(1, t=2), reading(2, t="x"), reading(3, t=3.0)]))
    assert [(each.seq, each.reason) for each in receipt.rejected] == [
        (2, "field_type"),
        (3, "field_type"),
    ]
    assert [row[4] for row in await rows(store)] == [1.0, 3.0]


async def test_a_refused_record_leaves_no_field_behind(store) -> None:
    bad = reading(0, fresh=1, broken=float("nan"))
    receipt = await store.write(Batch(1, [bad, reading(1, fresh=1.5)]))
    assert [(each.seq, each.reason) for each in receipt.rejected] == [(1, "not_finite")]
    assert [row[4:] for row in await rows(store)] == [(1.5,)]


async def test_names_that_differ_in_case_are_different_names(store) -> None:
    records = [
        reading(0, Temp=1.0, temp=2.0, time_=3.0, series=4.0),
        reading(0, measurement="Env", tags={"Site": "a", "site": "b", "id": "c"}, t=5.0),
    ]
    await store.write(Batch(1, records))
    env = await store.query(Query("env", T, T + 1))
    other = await store.query(Query("Env", T, T + 1))
    assert dict(zip(env.columns[4:], env.rows[0][4:], strict=True)) == {
        "Temp": 1.0,
        "temp": 2.0,
        "time_": 3.0,
        "series": 4.0,
    }
    assert other.columns == ("time", "device", "edge", "profile", "Site", "id", "site", "t")
    assert other.rows == [(T, "d1", "e1", "p", "a", "c", "b", 5.0)]


async def test_a_hostile_name_is_a_name_and_nothing_more(store) -> None:
    evil = 'x"; DROP SCHEMA points CASCADE; --'
    await store.write(Batch(1, [reading(0, device=evil, measurement=evil, **{evil: 1.0})]))
    table = await store.query(Query(evil, T, T + 1, fields=(evil,), where={"device": (evil,)}))
    assert table.rows == [(T, evil, "e1", "p", 1.0)]
    with pytest.raises(QueryError, match="no measurement"):
        await store.query(Query("env; DROP SCHEMA points", T, T + 1))


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async with open_embedded(tmp_path / "ts.duckdb", MEMORY) as store:
        await store.write(Batch(1, [reading(0, tags={"site": "a"}, t=1.0), reading(1, n=2)]))
    async with open_embedded(tmp_path / "ts.duckdb", MEMORY) as store:
        receipt = await store.write(
            Batch(3, [reading(0, tags={"site": "a"}, t=1.0), reading(2, t=3)])
        )
        assert [each.reason for each in receipt.rejected] == ["field_type"]
        assert await rows(store) == [
            (T, "d1", "e1", "p", "a", None, 1.0),
            (T + 1, "d1", "e1", "p", None, 2, None),
        ]


CRASH = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from collector.timeseries.embedded import open_embedded
from tests.collector.timeseries.test_embedded import MEMORY, Batch, reading

async def main():
    async with open_embedded(Path(sys.argv[1]), MEMORY) as store:
        await store.write(Batch(1, [reading(at, t=float(at)) for at in range(500)]))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_batch_acknowledged_before_a_crash_is_there_and_sent_again_changes_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ts.duckdb"
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", CRASH, str(file), str(root)], check=False, cwd=root
    )
    assert done.returncode == -signal.SIGKILL
    batch = Batch(1, [reading(at, t=float(at)) for at in range(500)])
    async with open_embedded(file, MEMORY) as store:
        before = await rows(store)
        await store.write(batch)
        assert len(before) == 500
        assert await rows(store) == before


async def test_a_file_that_another_process_holds_is_unavailable(tmp_path: Path) -> None:
    holds = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(flush=True); input()"
    command = [sys.executable, "-c", holds, str(tmp_path / "ts.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Unavailable, match="lock"):
            async with open_embedded(tmp_path / "ts.duckdb", MEMORY):
                pass
        other.stdin.close()


async def test_windows_begin_at_multiples_of_their_width(store) -> None:
    await store.write(Batch(1, [reading(at, n=at) for at in (0, 1, 9, 10, 25)]))
    table = await store.query(Query("env", T, T + 100, every_ns=10, agg="sum"))
    assert [(row[0] - T, row[4]) for row in table.rows] == [(0, 10), (10, 10), (20, 25)]


async def test_health_is_a_series_and_a_listing_is_not(store) -> None:
    receipt = await store.write(
        Batch(1, [FeedHealth("e1", "f1", T, "online", rtt_ms=3.5), Listed("e1", "feed", "f1", T)])
    )
    table = await store.query(Query("feed_health", T, T + 1, fields=("state", "rtt_ms")))
    assert receipt.dropped == {"not_a_series": 1}
    assert table.columns == ("time", "feed", "edge", "state", "rtt_ms")
    assert table.rows == [(T, "f1", "e1", "online", 3.5)]


async def test_a_write_that_fails_half_way_leaves_nothing_and_can_be_sent_again(
    store, monkeypatch
) -> None:
    await store.write(Batch(1, [reading(0, t=1.0)]))
    batch = Batch(2, [reading(1, device="d2", fresh=2), reading(2, measurement="new", n=3)])
    with monkeypatch.context() as patch:
        patch.setattr(store, "_merge", broken_disk)
        with pytest.raises(Unavailable, match="no space"):
            await store.write(batch)
    assert [row[0] - T for row in await rows(store)] == [0]
    await store.write(batch)
    assert [(row[0] - T, row[1], *row[4:]) for row in await rows(store)] == [
        (0, "d1", None, 1.0),
        (1, "d2", 2, None),
    ]
    assert [row[4] for row in await rows(store, "new")] == [3]


def broken_disk(*_: object) -> None:
    raise duckdb.IOException("no space left on device")
