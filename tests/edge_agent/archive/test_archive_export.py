"""An export has every row of an answer in order and in types, whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from edge_agent.answer import export_answer
from edge_agent.export import parquet_from_arrow
from gateway_core.errors import PayloadError, Unavailable
from tests.edge_agent.archive.test_archive_history import Site, reading, site


async def _exported(one: Site, form: str, **more: Any) -> bytes:
    asked = {"measurement": "env", "start": "-2d", "format": form, **more}
    found = await export_answer(one.history, asked, lambda: one.now)
    return b"".join([chunk async for chunk in found.chunks])


async def test_an_export_crosses_hours_and_pages_in_order(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        times = [n * 600.0 for n in range(20)]
        await one.archived(*[reading(at) for at in times[:13]])
        await one.feed(*[reading(at) for at in times[13:]])
        lines = (await _exported(one, "jsonl")).splitlines()
        assert [msgspec.json.decode(line)["t"] for line in lines] == times
        rows = list(csv.reader(io.StringIO((await _exported(one, "csv")).decode())))
        assert rows[0] == ["time", "device", "edge", "profile", "t"]
        assert [float(row[4]) for row in rows[1:]] == times
        windows = (await _exported(one, "jsonl", every="2h", agg="count")).splitlines()
        assert [msgspec.json.decode(line)["t"] for line in windows] == [12, 8]


async def test_a_spreadsheet_calculates_nothing_in_an_export(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(
            reading(0, "=cmd|' /C calc'!A0", s="@SUM(A1)", n=-5.5, on=True),
            reading(1, "d2", s="-1+2", n=1.0, on=False),
            reading(2, "d3", s='say "hi", please\n', n=2.0, on=False),
        )
        rows = list(csv.reader(io.StringIO((await _exported(one, "csv")).decode(), newline="")))
        assert [row[1] for row in rows[1:]] == ["'=cmd|' /C calc'!A0", "d2", "d3"]
        assert [row[4] for row in rows[1:]] == ["'@SUM(A1)", "'-1+2", 'say "hi", please\n']
        assert [row[5] for row in rows[1:]] == ["-5.5", "1.0", "2.0"]
        assert [row[6] for row in rows[1:]] == ["true", "false", "false"]


async def test_an_export_to_parquet_keeps_the_types(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(0, t=1.5, n=7), reading(3600, t=2.5))
        (tmp_path / "out.arrow").write_bytes(await _exported(one, "arrow"))
        assert parquet_from_arrow(tmp_path / "out.arrow", tmp_path / "out.parquet") == 2
        table = pq.read_table(tmp_path / "out.parquet")
        assert [str(kind) for kind in table.schema.types][-2:] == ["double", "int64"]
        assert table.column("n").to_pylist() == [7, None]


async def test_what_devices_began_to_say_later_is_in_an_export(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(0, t=1), reading(3600, t=2.5, n=7))
        await one.feed(reading(7200, t="warm", late=True))
        rows = list(csv.reader(io.StringIO((await _exported(one, "csv")).decode())))
        at = {name: rows[0].index(name) for name in ("t", "n", "late")}
        assert [row[at["n"]] for row in rows[1:]] == ["", "7", ""]
        assert [row[at["late"]] for row in rows[1:]] == ["", "", "true"]
        assert [row[at["t"]] for row in rows[1:]] == ["1", "2.5", "warm"]
        (tmp_path / "out.arrow").write_bytes(await _exported(one, "arrow"))
        assert parquet_from_arrow(tmp_path / "out.arrow", tmp_path / "out.parquet") == 3


async def test_an_export_of_nothing_is_an_empty_file(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        assert await _exported(one, "csv") == b""
        assert await _exported(one, "jsonl") == b""
        with pytest.raises(PayloadError, match="bad_question: format"):
            await _exported(one, "xlsx")


async def test_a_torn_stream_becomes_no_parquet_file_of_half_the_rows(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(*[reading(at) for at in range(50)])
        (tmp_path / "out.arrow").write_bytes((await _exported(one, "arrow"))[:-200])
        with pytest.raises(Unavailable):
            parquet_from_arrow(tmp_path / "out.arrow", tmp_path / "out.parquet")
