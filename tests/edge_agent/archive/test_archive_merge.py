"""Files are merged piece by piece, and a large one is not written again while its hour is open."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_agent import archive, parquet
from edge_agent.archive import Archive
from edge_agent.parquet import merge, write_table
from gateway_core.model import Reading
from gateway_core.spool import SpoolOptions, open_spool

HOUR = 3_600_000_000_000
NOON = 1_764_072_000_000_000_000  # 2025-11-25T12:00:00Z


def test_a_merged_file_has_every_row_in_pieces_of_a_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP", 10)
    paths = [tmp_path / f"{number}.parquet" for number in range(5)]
    for number, path in enumerate(paths):
        write_table(path, pa.table({"seq": list(range(number * 7, number * 7 + 7))}))
    target = tmp_path / "whole.parquet"
    merge(paths, target)
    whole = pq.ParquetFile(target)
    assert whole.read().column("seq").to_pylist() == list(range(35))
    pieces = [whole.metadata.row_group(at).num_rows for at in range(whole.num_row_groups)]
    assert pieces == [10, 4, 10, 4, 7]


def test_a_column_that_only_some_files_have_is_null_in_the_rest(tmp_path: Path) -> None:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_table(paths[0], pa.table({"seq": [1], "t": [20.5]}))
    write_table(paths[1], pa.table({"seq": [2], "h": [40.0]}))
    merge(paths, tmp_path / "whole.parquet")
    assert pq.read_table(tmp_path / "whole.parquet").to_pylist() == [
        {"seq": 1, "t": 20.5, "h": None},
        {"seq": 2, "t": None, "h": 40.0},
    ]


async def test_a_large_file_waits_for_the_end_of_its_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_SMALL", 1)
    now = NOON + HOUR
    options = SpoolOptions(group_commit_s=0.0)
    async with open_spool(tmp_path / "spool.db", "e1", options) as spool:
        sink = Archive(tmp_path / "archive", spool, lambda: now)
        await sink.open()
        for n in range(20):
            one = Reading("e1", "d1", "acme/th", "env", NOON + n, NOON, {"t": 20.5})
            await spool.append([one], source="mqtt:site")
            batch = await spool.read("archive", 1)
            await spool.settle("archive", batch.first, batch.last, await sink.send(batch))
        await sink.tidy()
        assert len(list((tmp_path / "archive").rglob("*.parquet"))) == 20
        now = NOON + 2 * HOUR
        await sink.tidy()
        (path,) = (tmp_path / "archive").rglob("*.parquet")
        assert pq.read_table(path).num_rows == 20
