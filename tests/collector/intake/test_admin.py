"""A backup restored is the same collector; a damaged or foreign file is never put in place."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from collector.admin import backup, restore
from collector.agent import open_collector
from collector.config import load_collector_config
from collector.query import Query
from collector.reception import Report
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.edges import T, readings, upload

CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'


def centre(folder: Path):
    folder.mkdir()
    (folder / "collector.yaml").write_text(CONFIG)
    return load_collector_config(folder / "collector.yaml")


async def filled(folder: Path):
    config = centre(folder)
    async with open_collector(config) as collector:
        what = upload(1, 50)
        await collector.reception.receive(what, Report())
        for lane in collector.lanes():
            batch = await collector.spool.read(lane.sink.name, 100)
            receipt = await lane.sink.send(batch)
            await collector.spool.settle(lane.sink.name, batch.first, batch.last, receipt)
    return config


async def test_a_restored_collector_knows_what_the_old_one_knew(tmp_path: Path) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    seen: list[tuple[int, int]] = []
    names = backup(old, tmp_path / "b.tar", lambda done, whole: seen.append((done, whole)))
    assert restore(new, tmp_path / "b.tar") == names
    assert {"registry.db", "spool.db", "timeseries.duckdb"} <= set(names)
    assert seen[-1][0] == seen[-1][1]
    async with open_collector(new) as collector:
        assert collector.reception.edges["e1"].epochs["ep1"].high_water == 50
        table = await collector.store.query(Query("env", T, T + 1000))
        assert [row[4] for row in table.rows] == [each.fields["n"] for each in readings(1, 50)]
        assert [edge["id"] for edge in await collector.registry.edges()] == ["e1"]
        assert (await collector.spool.books()).residual == 0


async def test_edges_know_a_restored_registry_by_its_key_that_stays_its_own(tmp_path: Path) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    backup(old, tmp_path / "b.tar")
    restore(new, tmp_path / "b.tar")
    keys = [each.collector.data_dir / "registry.key" for each in (old, new)]
    assert keys[0].read_bytes() == keys[1].read_bytes()
    modes = [oct(path.stat().st_mode & 0o777) for path in (keys[1], tmp_path / "b.tar")]
    assert modes == ["0o600", "0o600"]
    async with open_collector(new) as collector:
        assert collector.desk.registry.pem == Path(f"{keys[0]}.pub").read_text()


async def test_a_collector_without_data_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no collector's data"):
        backup(centre(tmp_path / "new"), tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


async def test_a_running_collector_is_not_copied(tmp_path: Path) -> None:
    config = await filled(tmp_path / "old")
    async with open_collector(config):
        with pytest.raises(ConfigError, match="another process"):
            backup(config, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    config = await filled(tmp_path / "old")
    backup(config, tmp_path / "b.tar")
    with pytest.raises(ConfigError, match="overwrites nothing"):
        backup(config, tmp_path / "b.tar")
    with pytest.raises(ConfigError, match="has no data"):
        restore(config, tmp_path / "b.tar")


@pytest.mark.parametrize("at", [1500, 60_000, -30_000])
async def test_a_damaged_backup_is_not_put_in_place(tmp_path: Path, at: int) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    backup(old, tmp_path / "b.tar")
    data = bytearray((tmp_path / "b.tar").read_bytes())
    data[at] ^= 0xFF
    (tmp_path / "b.tar").write_bytes(data)
    with pytest.raises(PayloadError, match="bad_backup"):
        restore(new, tmp_path / "b.tar")
    assert not list((tmp_path / "new" / "var").glob("*.db*[!k]"))


async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    new = centre(tmp_path / "new")
    (tmp_path / "x").write_text("evil")
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(tmp_path / "x", "../../evil")
    with pytest.raises(PayloadError, match="does not belong"):
        restore(new, tmp_path / "b.tar")
    assert not (tmp_path / "evil").exists()
