"""A table reads the same in every form: no data is never 0, and text is never obeyed."""

from __future__ import annotations

import io

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collector.query import Table
from collector.timeseries.render import to_arrow_stream, to_csv, to_json, to_parquet, to_text
from gateway_core.instant import parse_instant, to_rfc3339

T = 1_700_000_000_000_000_000
TABLE = Table(
    ("time", "device", "n", "ok", "t", "note"),
    ("time", "tag", "int", "bool", "float", "str"),
    [
        (T, "水表-1", 2**53 + 1, True, 21.0, "=1+1"),
        (T + 1_500_000, None, None, None, None, None),
        (T + 1, "d2", -3, False, 0.1, 'a "b",\x1b[31m'),
    ],
    "abc",
)


def test_people_see_a_dash_where_there_is_no_data() -> None:
    assert to_text(TABLE) == (
        "time                            device                 n  ok       t  note\n"
        "2023-11-14T22:13:20Z            水表-1  9007199254740993  true    21  =1+1\n"
        "2023-11-14T22:13:20.001500Z     —                      —  —        —  —\n"
        '2023-11-14T22:13:20.000000001Z  d2                    -3  false  0.1  a "b",\\x1b[31m\n'
    )


def test_a_spreadsheet_calculates_nothing() -> None:
    assert to_csv(TABLE) == (
        "time,device,n,ok,t,note\r\n"
        "2023-11-14T22:13:20Z,水表-1,9007199254740993,true,21.0,'=1+1\r\n"
        "2023-11-14T22:13:20.001500Z,,,,,\r\n"
        '2023-11-14T22:13:20.000000001Z,d2,-3,false,0.1,"a ""b"",\x1b[31m"\r\n'
    )


def test_json_keeps_columns_rows_and_cursor() -> None:
    told = msgspec.json.decode(to_json(TABLE))
    assert told["columns"] == list(TABLE.columns)
    assert told["rows"][0] == ["2023-11-14T22:13:20Z", "水表-1", 2**53 + 1, True, 21.0, "=1+1"]
    assert told["rows"][1][1:] == [None] * 5
    assert told["next"] == "abc"


def test_arrow_and_parquet_keep_types_and_nanoseconds() -> None:
    arrow = pa.ipc.open_stream(to_arrow_stream(TABLE)).read_all()
    parquet = pq.read_table(io.BytesIO(to_parquet(TABLE)))
    assert [str(field.type) for field in arrow.schema] == [
        "timestamp[ns, tz=UTC]",
        "string",
        "int64",
        "bool",
        "double",
        "string",
    ]
    assert arrow.equals(parquet)
    assert arrow["time"].cast(pa.int64()).to_pylist() == [row[0] for row in TABLE.rows]


def test_an_empty_table_has_its_columns_all_the_same() -> None:
    empty = Table(("time", "t"), ("time", "float"), [])
    assert to_text(empty) == "time  t\n"
    assert to_csv(empty) == "time,t\r\n"
    assert msgspec.json.decode(to_json(empty)) == {
        "columns": ["time", "t"],
        "rows": [],
        "next": None,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", T),
        ("-1h", T - 3600 * 10**9),
        ("+5m", T + 300 * 10**9),
        ("2023-11-14T22:13:20Z", T),
        ("2023-11-15T06:13:20.000000001+08:00", T + 1),
        ("1969-12-31T23:59:59.5Z", -500_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800 * 10**9),
        (1_700_000_000, T),
        (T, T),
        (str(T), T),
    ],
)
def test_an_instant_is_read_as_people_write_it(text, expected: int) -> None:
    assert parse_instant(text, T) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2023-11-14T22:13:20", "-1 parsec", "2023-13-01T00:00:00Z"]
)
def test_what_is_no_instant_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text, T)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (T + 1, "2023-11-14T22:13:20.000000001Z"),
        (T + 250_000_000, "2023-11-14T22:13:20.250Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (-(2**63) + 2, "1677-09-21T00:12:43.145224194Z"),
        (2**63 - 2, "2262-04-11T23:47:16.854775806Z"),
    ],
)
def test_an_instant_is_written_with_all_its_digits_and_read_back(time: int, text: str) -> None:
    assert to_rfc3339(time) == text
    assert parse_instant(text, 0) == time
