"""The same readings, each batch sent twice, give the same table in every store."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from pathlib import Path

import aiohttp
import msgspec
import pytest

from collector.query import Query
from collector.timeseries.embedded import open_embedded
from collector.timeseries.influx1 import open_influx1
from collector.timeseries.influx2 import open_influx2
from gateway_core.model import Alarm, Batch, FeedHealth, Reading
from tests.fakes.influx import influxd, victoria_metrics

T = 1_700_000_000_000_000_000
END = T + 10**12


def record(at: int, dice: random.Random):
    """Return the record at `at`; several devices share each instant, some fields are absent."""
    time = T + at // 4 * 250_000_000
    device = f"d{at % 4 + 4 * dice.randrange(3)}"
    fields = {"t": dice.randrange(-400, 4000) / 8, "n": dice.randrange(-(2**53), 2**53)}
    if at % 3 == 0:
        fields["open"] = at % 2 == 0
    if at % 5 == 0:
        del fields["t"]
        fields["note"] = dice.choice(["好 的", 'a "b"', "x\\y", "a,b=c d", "=1+1"])
    tags = {"site": dice.choice(["北 区", "s,1", ""])} if at % 7 else {}
    flags = ("t:range", "time:unset", "time:replaced") if at % 11 == 0 else ()
    return Reading("e1", device, "acme", "env", time, time, fields, tags, flags)


def batches() -> list[Batch]:
    dice = random.Random(7)
    records = [record(at, dice) for at in range(5000)]
    records += [FeedHealth("e1", f"f{n}", T + n, "online", (), n, 0, n / 4, 1.0) for n in range(20)]
    records += [Alarm("e1", "d1", "acme", "hot", "major", "raised", T + 5, {"en": "hot"})]
    return [Batch(first + 1, records[first : first + 700]) for first in range(0, len(records), 700)]


QUESTIONS = [
    Query("env", T, END, limit=100_000),
    Query("env", T, END, fields=("note",), limit=100_000),
    Query("env", T, END, where={"device": ("d1", "d10")}, limit=100_000),
    Query("env", T, END, where={"site": ("s,1",)}, fields=("n",), limit=100_000),
    Query("env", T, END, where={"device": ()}),
    Query("env", T + 3_000_000_001, T + 90_000_000_000, limit=100_000),
    Query("env", T, END, limit=997),
    Query("feed_health", T, END),
    Query("alarm", T, END),
    *[
        Query("env", T + 1, END, every_ns=60 * 10**9, agg=agg, fields=("n", "t"), limit=100_000)
        for agg in ("min", "max", "count", "first", "last", "sum")
    ],
    Query("env", T, END, every_ns=60 * 10**9, agg="last", limit=100_000),
    Query("env", T, END, every_ns=60 * 10**9, agg="count", limit=53),
    Query("env", T, END, fields=("clock_mark",), limit=100_000),
]


async def all_pages(store, query: Query):
    table = await store.query(query)
    rows = list(table.rows)
    while table.next is not None:
        table = await store.query(dataclasses.replace(query, cursor=table.next))
        rows += table.rows
    return table.columns, table.kinds, rows


@contextlib.asynccontextmanager
async def filled(tmp_path: Path):
    async with (
        influxd(tmp_path / "influx") as url,
        open_influx1(url, "td") as influx,
        open_embedded(tmp_path / "ts.duckdb", 256 << 20) as embedded,
    ):
        await influx.create()
        for store in (influx, embedded):
            for batch in batches():
                first, second = await store.write(batch), await store.write(batch)
                assert first == second
                assert first.rejected == ()
        yield influx, embedded


@pytest.mark.slow
async def test_influxdb1_and_the_embedded_store_give_the_same_tables(tmp_path: Path) -> None:
    async with filled(tmp_path) as (influx, embedded):
        assert await influx.measurements() == await embedded.measurements()
        for question in QUESTIONS:
            assert await all_pages(influx, question) == await all_pages(embedded, question)
        whole = (await embedded.query(QUESTIONS[0])).rows
        assert (await all_pages(embedded, QUESTIONS[6]))[2] == whole
        for agg in ("mean", "median"):
            query = Query("env", T, END, every_ns=300 * 10**9, agg=agg, limit=100_000)
            one, other = await influx.query(query), await embedded.query(query)
            assert one.columns == other.columns
            assert [row[:5] for row in one.rows] == [row[:5] for row in other.rows]
            for left, right in zip(one.rows, other.rows, strict=True):
                assert left[5:] == pytest.approx(right[5:], rel=1e-12)


async def test_a_server_of_the_version_2_api_holds_every_number_once(tmp_path: Path) -> None:
    async with victoria_metrics(tmp_path / "vm") as url:
        async with open_influx2(url, "city", "tidegate", "secret") as store:
            for batch in batches():
                first, second = await store.write(batch), await store.write(batch)
                assert first == second
                assert first.rejected == ()
        async with aiohttp.ClientSession() as session:
            await (await session.get(f"{url}/internal/force_flush")).read()
            query = {"match[]": "env_t"}
            async with session.get(f"{url}/api/v1/export", params=query) as response:
                series = [
                    msgspec.json.decode(line) for line in (await response.text()).splitlines()
                ]
    async with open_embedded(tmp_path / "ts.duckdb", 256 << 20) as embedded:
        for batch in batches():
            await embedded.write(batch)
        table = await embedded.query(Query("env", T, END, fields=("t",), limit=100_000))
    expected = {
        (row[0] // 10**6, row[1], row[2], row[3], row[4] or "", row[5]) for row in table.rows
    }
    found = [
        (time, m["device"], m["edge"], m["profile"], m.get("site", ""), value)
        for m, times, values in ((s["metric"], s["timestamps"], s["values"]) for s in series)
        for time, value in zip(times, values, strict=True)
    ]
    assert len(found) == len(table.rows)
    assert set(found) == expected
