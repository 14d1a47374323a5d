"""InfluxDB 1 (the real server) holds every reading once, and names what it will never hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.query import Query, QueryError
from collector.timeseries.influx1 import open_influx1
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Listed, Reading
from tests.fakes.influx import free_port, influxd

T = 1_700_000_000_000_000_000


def reading(at: int, device: str = "d1", **fields: object) -> Reading:
    return Reading("e1", device, "acme", "env", T + at, T + at, fields or {"t": 21.5})


@pytest.fixture(params=["127.0.0.1", "::1"])
async def store(request, tmp_path: Path):
    async with (
        influxd(tmp_path / "influx", request.param) as url,
        open_influx1(url, "td") as opened,
    ):
        await opened.create()
        yield opened


async def test_a_write_creates_the_database_that_is_missing(tmp_path: Path) -> None:
    async with influxd(tmp_path / "influx") as url, open_influx1(url, "new one") as store:
        with pytest.raises(Unavailable, match="it was created"):
            await store.write(Batch(1, [reading(0)]))
        await store.write(Batch(1, [reading(0)]))
        table = await store.query(Query("env", T, T + 10))
    assert table.rows == [(T, "d1", "e1", "acme", 21.5)]


async def test_a_batch_sent_twice_leaves_each_point_once(store) -> None:
    batch = Batch(1, [reading(at, t=float(at)) for at in range(100)])
    first = await store.write(batch)
    second = await store.write(batch)
    table = await store.query(Query("env", T, T + 1000))
    assert first == second
    assert [row[4] for row in table.rows] == [float(at) for at in range(100)]


async def test_types_and_times_come_back_as_they_went(store) -> None:
    fields = {"f": 21.0, "i": 2**63 - 1, "b": False, "s": 'a "b", c=\\d 湿度'}
    await store.write(Batch(1, [Reading("e1", "d1", "acme", "env", T + 1, T, fields)]))
    table = await store.query(Query("env", T, T + 10))
    assert table.columns == ("time", "device", "edge", "profile", "b", "f", "i", "s")
    assert table.kinds == ("time", "tag", "tag", "tag", "bool", "float", "int", "str")
    assert table.rows == [(T + 1, "d1", "e1", "acme", False, 21.0, 2**63 - 1, 'a "b", c=\\d 湿度')]
    assert [type(cell) for cell in table.rows[0][4:]] == [bool, float, int, str]


async def test_a_field_of_another_type_is_found_among_many_and_the_rest_is_stored(store) -> None:
    await store.write(Batch(1, [reading(0, t=1.0)]))
    records = [reading(at, t=float(at)) for at in range(1, 100)]
    records[57] = reading(58, t=3)
    receipt = await store.write(Batch(2, records))
    table = await store.query(Query("env", T, T + 1000))
    assert [(each.seq, each.reason) for each in receipt.rejected] == [(59, "field_type")]
    assert "field type conflict" in receipt.rejected[0].detail
    assert len(table.rows) == 99


async def test_a_record_that_no_line_can_carry_does_not_reach_the_server(store) -> None:
    receipt = await store.write(
        Batch(
            1, [reading(0), reading(1, t=float("nan")), reading(2), Listed("e1", "device", "d", T)]
        )
    )
    table = await store.query(Query("env", T, T + 1000))
    assert [(each.seq, each.reason) for each in receipt.rejected] == [(2, "not_finite")]
    assert receipt.dropped == {"not_a_series": 1}
    assert [row[0] for row in table.rows] == [T, T + 2]


async def test_a_hostile_name_is_a_name_and_nothing_more(store) -> None:
    evil = 'x\'; DROP DATABASE "td"; --'
    await store.write(Batch(1, [reading(0), reading(1, device=evil)]))
    table = await store.query(Query("env", T, T + 10, where={"device": (evil,)}))
    assert [row[1] for row in table.rows] == [evil]
    with pytest.raises(QueryError, match="no measurement"):
        await store.query(Query('env"; DROP DATABASE td', T, T + 10))
    with pytest.raises(QueryError, match="did you mean 't'"):
        await store.query(Query("env", T, T + 10, fields=("tt",)))


async def test_windows_hold_what_was_measured_in_them(store) -> None:
    start = 1_699_999_980 * 10**9
    records = [
        Reading("e1", "d1", "acme", "env", start + s * 10**9, start, {"t": float(s), "n": s})
        for s in (0, 10, 59, 60, 119)
    ]
    await store.write(Batch(1, records))
    table = await store.query(Query("env", start, start + 10**12, every_ns=60 * 10**9, agg="max"))
    assert table.columns[4:] == ("n", "t")
    assert [(row[0], *row[4:]) for row in table.rows] == [
        (start, 59, 59.0),
        (start + 60 * 10**9, 119, 119.0),
    ]


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with open_influx1(f"http://127.0.0.1:{free_port()}", "td") as store:
        with pytest.raises(Unavailable):
            await store.write(Batch(1, [reading(0)]))
        with pytest.raises(Unavailable):
            await store.ping()


async def test_the_server_says_what_it_is(store) -> None:
    assert (await store.ping()).startswith("InfluxDB 1.")
