"""What goes to InfluxDB 2 and 3 is what their documentation asks for (stand-ins, not the products)."""

from __future__ import annotations

import msgspec
import pytest

from collector.query import Query, QueryError
from collector.timeseries.flux import literal
from collector.timeseries.influx2 import open_influx2
from collector.timeseries.influx3 import open_influx3
from gateway_core.errors import Unavailable
from gateway_core.model import Batch, Reading
from tests.fakes.influx import StandIn, free_port

T = 1_700_000_000_000_000_000
JSON = "application/json"
READING = Reading("e1", "d1", "acme", "env", T, T, {"t": 21.5})
LINE = "env,device=d1,edge=e1,profile=acme t=21.5 1700000000000000000"


def csv(*columns: tuple[str, str], rows: list[str]) -> str:
    """Return annotated CSV as InfluxDB 2 answers Flux."""
    kinds = ",".join(kind for _, kind in columns)
    names = ",".join(name for name, _ in columns)
    head = f"#datatype,string,long,{kinds}\n#group,false,false{',false' * len(columns)}\n"
    return (
        head
        + f"#default,_result,,{',' * (len(columns) - 1)}\n,result,table,{names}\n"
        + "".join(f",,0,{row}\n" for row in rows)
    )


class Influx2StandIn(StandIn):
    """Answers Flux by what is in its text."""

    async def _answer(self, request):
        if request.path == "/api/v2/query":
            text = await request.text()
            if "schema.measurements(" in text:
                body = csv(("_value", "string"), rows=["env"])
            elif "measurementTagKeys" in text:
                body = csv(("_value", "string"), rows=["_field", "device", "edge"])
            elif "last()" in text:
                body = csv(("_field", "string"), ("_value", "double"), rows=["t,1.5"])
            else:
                body = csv(
                    ("_at", "long"),
                    ("device", "string"),
                    ("edge", "string"),
                    ("t", "double"),
                    rows=[f"{T + 1},d1,e1,21.5", f"{T},d1,e1,20"],
                )
            self.answers["/api/v2/query"] = (200, body, "text/csv")
        return await super()._answer(request)


async def test_version_2_gets_our_own_lines_with_bucket_and_token() -> None:
    async with StandIn() as server, open_influx2(server.url, "city", "b", "secret") as store:
        server.answers["/api/v2/write"] = (204, "", JSON)
        receipt = await store.write(Batch(1, [READING]))
    method, path, query, body, headers = server.asked[0]
    assert (method, path, body) == ("POST", "/api/v2/write", LINE)
    assert query == {"org": "city", "bucket": "b", "precision": "ns"}
    assert headers["Authorization"] == "Token secret"
    assert receipt.rejected == ()


async def test_version_2_names_the_line_it_refuses() -> None:
    async with StandIn() as server, open_influx2(server.url, "city", "b", "secret") as store:
        refusal = '{"code":"unprocessable entity","message":"field type conflict: dropped=1"}'
        server.answers["/api/v2/write"] = (422, refusal, JSON)
        receipt = await store.write(Batch(7, [READING]))
    assert [(each.seq, each.reason) for each in receipt.rejected] == [(7, "field_type")]
    assert "field type conflict" in receipt.rejected[0].detail


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_version_2_that_cannot_take_a_write_leaves_it_to_be_sent_again(status: int) -> None:
    async with StandIn() as server, open_influx2(server.url, "city", "b", "x") as store:
        server.answers["/api/v2/write"] = (status, '{"message":"no"}', JSON)
        with pytest.raises(Unavailable):
            await store.write(Batch(1, [READING]))


async def test_version_2_that_is_not_there_is_unavailable() -> None:
    async with open_influx2(f"http://127.0.0.1:{free_port()}", "city", "b", "x") as store:
        with pytest.raises(Unavailable):
            await store.write(Batch(1, [READING]))
        with pytest.raises(Unavailable):
            await store.measurements()


async def test_version_2_is_asked_with_parameters_and_answers_in_our_order() -> None:
    async with Influx2StandIn() as server, open_influx2(server.url, "city", "b", "x") as store:
        evil = 'd1") or true //'
        table = await store.query(Query("env", T, T + 10, where={"device": (evil,)}))
    asked = msgspec.json.decode(server.asked[-1][3])
    assert table.columns == ("time", "device", "edge", "t")
    assert table.rows == [(T, "d1", "e1", 20.0), (T + 1, "d1", "e1", 21.5)]
    assert evil not in asked["query"]
    assert evil in str(asked["extern"])
    assert 'r["device"]' in asked["query"]


def test_a_name_cannot_begin_an_expression_in_flux() -> None:
    assert literal('a"b\\c${d}') == '"a\\"b\\\\c\\${d}"'


async def test_version_3_gets_lines_and_sql_with_parameters() -> None:
    columns = [
        {"table_name": "env", "column_name": "device", "data_type": "Dictionary(Int32, Utf8)"},
        {"table_name": "env", "column_name": "t", "data_type": "Float64"},
        {"table_name": "env", "column_name": "time", "data_type": "Timestamp(Nanosecond, None)"},
    ]
    async with Influx3StandIn(columns) as server, open_influx3(server.url, "td", "secret") as store:
        server.answers["/api/v2/write"] = (204, "", JSON)
        await store.write(Batch(1, [READING]))
        table = await store.query(
            Query("env", T, T + 10, where={"device": ("x' OR 1=1",)}, every_ns=5, agg="max")
        )
        with pytest.raises(QueryError):
            await store.query(Query('env"; DROP TABLE env', T, T + 10))
    write, question = server.asked[0], msgspec.json.decode(server.asked[-2][3])
    assert write[1:4] == ("/api/v2/write", {"bucket": "td", "precision": "ns"}, LINE)
    assert write[4]["Authorization"] == "Bearer secret"
    assert question["params"] == {"start": T, "stop": T + 10, "w2": "x' OR 1=1"}
    assert "OR 1=1" not in question["q"]
    assert 'max("t") AS f0 FROM "env"' in question["q"]
    assert table.columns == ("time", "device", "t")
    assert table.rows == [(T, "d1", 21.0)]


class Influx3StandIn(StandIn):
    """Answers SQL by what it asks from."""

    def __init__(self, columns: list[dict[str, str]]) -> None:
        super().__init__()
        self.columns = columns

    async def _answer(self, request):
        if request.path == "/api/v3/query_sql":
            raw = await request.read()  # aiohttp has undone gzip
            rows = (
                self.columns if b"information_schema" in raw else [{"at": T, "t0": "d1", "f0": 21}]
            )
            body = "\n".join(msgspec.json.encode(row).decode() for row in rows)
            self.answers["/api/v3/query_sql"] = (200, body, JSON)
        return await super()._answer(request)
