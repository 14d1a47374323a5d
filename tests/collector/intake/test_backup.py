"""A backup restored is the same collector; a damaged or foreign file is never put in place."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from collector.agent import Collector, open_collector, run_collector
from collector.backup import backup
from collector.config import CollectorConfig, load_collector_config
from collector.manifest import Manifest
from collector.query import Query
from collector.reception import Report
from collector.restore import restore
from collector.sealing import Secret
from gateway_core.errors import ConfigError, PayloadError, Unavailable
from tests.fakes.edges import T, readings, upload

CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'
KEY = Secret("key", b"k" * 32)
WORDS = Secret("passphrase", "潮 汐 闸 tide gate harbour".encode())


def centre(folder: Path, more: str = "") -> CollectorConfig:
    folder.mkdir()
    (folder / "collector.yaml").write_text(CONFIG + more)
    return load_collector_config(folder / "collector.yaml")


async def filled(folder: Path, more: str = "") -> CollectorConfig:
    config = centre(folder, more)
    async with open_collector(config) as collector:
        await collector.reception.receive(upload(1, 50), Report())
        await carry(collector)
    return config


async def carry(collector: Collector) -> None:
    """Give every sink what waits for it."""
    for lane in collector.lanes():
        while collector.spool.settled(lane.sink.name) < collector.spool.head:
            batch = await collector.spool.read(lane.sink.name, 100)
            receipt = await lane.sink.send(batch)
            await collector.spool.settle(lane.sink.name, batch.first, batch.last, receipt)


def quiet(_stage: str) -> Callable[[int, int], None]:
    return lambda _done, _whole: None


async def made(config: CollectorConfig, target: Path, secret: Secret | None = KEY) -> Manifest:
    return await backup(config, target, secret, quiet)


def put(
    config: CollectorConfig, source: Path, secret: Secret | None = KEY, *, check: bool = False
) -> Manifest:
    return restore(config, source, secret, quiet(""), check=check)


@contextlib.asynccontextmanager
async def running(config: CollectorConfig) -> AsyncIterator[Collector]:
    ready: asyncio.Future[Collector] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_collector(config, ready=ready.set_result))
        yield await ready
        task.cancel()


async def values(collector: Collector) -> list[int]:
    table = await collector.store.query(Query("env", T, T + 100_000))
    return sorted(int(row[4]) for row in table.rows)


@pytest.mark.parametrize("secret", [KEY, WORDS, None])
async def test_a_restored_collector_knows_what_the_old_one_knew(
    tmp_path: Path, secret: Secret | None
) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    seen: list[tuple[str, int, int]] = []

    def stage(name: str) -> Callable[[int, int], None]:
        return lambda done, whole: seen.append((name, done, whole))

    about = await backup(old, tmp_path / "b", secret, stage)
    assert put(new, tmp_path / "b", secret) == about
    names = ["registry.db", "registry.key", "registry.key.pub", "spool.db", "timeseries.duckdb"]
    assert sorted(each.name for each in about.files) == names
    assert [(m.edge, m.epoch, m.high_water, m.stored) for m in about.marks] == [
        ("e1", "ep1", 50, 50)
    ]
    assert {name for name, _, _ in seen} == {"copying", "sealing", "opening"}
    assert [done == whole for name, done, whole in seen if name == "opening"][-1]
    async with open_collector(new) as collector:
        assert collector.reception.edges["e1"].epochs["ep1"].high_water == 50
        assert await values(collector) == [each.fields["n"] for each in readings(1, 50)]
        assert [edge["id"] for edge in await collector.registry.edges()] == ["e1"]
        assert (await collector.spool.books()).residual == 0
        assert collector.desk.registry.pem == Path(f"{old_key(old)}.pub").read_text()
    assert old_key(old).read_bytes() == old_key(new).read_bytes()
    modes = [oct(path.stat().st_mode & 0o777) for path in (old_key(new), tmp_path / "b")]
    assert modes == ["0o600", "0o600"]


def old_key(config: CollectorConfig) -> Path:
    return config.collector.data_dir / "registry.key"


async def test_a_backup_of_a_collector_that_takes_in_is_of_one_instant(tmp_path: Path) -> None:
    config, new = centre(tmp_path / "old"), centre(tmp_path / "new")
    async with running(config) as collector:
        stop = asyncio.Event()

        async def pour() -> int:
            sent = 0
            while not stop.is_set():
                await collector.reception.receive(upload(sent + 1, sent + 20), Report())
                sent += 20
            return sent

        async with asyncio.TaskGroup() as group:
            pouring = group.create_task(pour())
            while collector.spool.head < 2000:
                await asyncio.sleep(0.01)
            about = await made(config, tmp_path / "b")
            during = collector.spool.head
            stop.set()
        assert 2000 <= about.head <= during
        assert pouring.result() >= during
        with pytest.raises(ConfigError, match="another process"):
            await made(replaced(config), tmp_path / "c")
    assert not list(tmp_path.glob("old/var/*.work"))
    put(new, tmp_path / "b")
    async with open_collector(new) as again:
        assert again.spool.head == about.marks[0].high_water == about.head
        await carry(again)
        assert await values(again) == list(range(1, about.head + 1))
        (edge,) = await again.registry.edges()
        assert edge["records"] == about.head
        assert (await again.spool.books()).residual == 0


def replaced(config: CollectorConfig) -> CollectorConfig:
    """The same data, with nobody at the door: as when the program that runs is an older one."""
    (config.collector.data_dir / "control.sock").unlink()
    return config


async def test_a_registry_in_postgresql_comes_along_and_goes_into_either(
    tmp_path: Path, postgres: str
) -> None:
    import psycopg

    server = postgres.rsplit("/", 1)[0]
    with psycopg.connect(postgres.replace("+psycopg", ""), autocommit=True) as db:
        for name in ("before", "after"):
            db.execute(f"CREATE DATABASE {name}{tmp_path.name[-6:].strip('_').replace('-', '_')}")
    ending = tmp_path.name[-6:].strip("_").replace("-", "_")
    first = f'registry: {{url: "{server}/before{ending}"}}\n'
    second = f'registry: {{url: "{server}/after{ending}"}}\n'
    old = await filled(tmp_path / "old", first)
    about = await made(old, tmp_path / "b")
    assert about.registry == "postgresql"
    for name, more in (("shared", second), ("own", "")):
        new = centre(tmp_path / name, more)
        put(new, tmp_path / "b")
        async with open_collector(new) as collector:
            assert [e["records"] for e in await collector.registry.edges()] == [50]
    again = centre(tmp_path / "again", second)
    with pytest.raises(ConfigError, match="has rows already"):
        put(again, tmp_path / "b")


async def test_check_opens_everything_and_puts_nothing_in_place(tmp_path: Path) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    await made(old, tmp_path / "b")
    assert put(new, tmp_path / "b", check=True).head == 50
    assert put(old, tmp_path / "b", check=True).head == 50  # though it has data
    assert [path.name for path in (tmp_path / "new" / "var").iterdir()] == ["spool.db.lock"]


async def test_a_collector_without_data_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no collector's data"):
        await made(centre(tmp_path / "new"), tmp_path / "b")
    assert not (tmp_path / "b").exists()


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    config = await filled(tmp_path / "old")
    await made(config, tmp_path / "b")
    with pytest.raises(ConfigError, match="overwrites nothing"):
        await made(config, tmp_path / "b")
    with pytest.raises(ConfigError, match="has no data"):
        put(config, tmp_path / "b")


@pytest.mark.parametrize("secret", [KEY, None])
@pytest.mark.parametrize("at", [1500, 60_000, -30_000])
async def test_a_damaged_backup_is_not_put_in_place(
    tmp_path: Path, at: int, secret: Secret | None
) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    await made(old, tmp_path / "b", secret)
    data = bytearray((tmp_path / "b").read_bytes())
    data[at] ^= 0xFF
    (tmp_path / "b").write_bytes(data)
    with pytest.raises(PayloadError, match="bad_backup"):
        put(new, tmp_path / "b", secret)
    assert [path.name for path in (tmp_path / "new" / "var").iterdir()] == ["spool.db.lock"]


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (Secret("key", b"x" * 32), "this key does not open it"),
        (WORDS, "sealed with a key file"),
        (None, "--key-file"),
    ],
)
async def test_a_wrong_key_is_told_from_damage(
    tmp_path: Path, secret: Secret | None, why: str
) -> None:
    old, new = await filled(tmp_path / "old"), centre(tmp_path / "new")
    await made(old, tmp_path / "b")
    with pytest.raises(PayloadError, match=f"wrong_key.*{why}"):
        put(new, tmp_path / "b", secret)


async def test_a_newer_program_s_registry_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = await filled(tmp_path / "old")
    with contextlib.closing(sqlite3.connect(tmp_path / "old" / "var" / "registry.db")) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        db.commit()
    with pytest.raises(Unavailable, match=r"schema 99.*install the collector that wrote it"):
        await made(old, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "b.part").exists()


async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    new = centre(tmp_path / "new")
    (tmp_path / "x").write_text("evil")
    with tarfile.open(tmp_path / "b", "w") as tar:
        tar.add(tmp_path / "x", "../../evil")
    with pytest.raises(PayloadError, match="does not belong"):
        put(new, tmp_path / "b", None)
    assert not (tmp_path / "evil").exists()
