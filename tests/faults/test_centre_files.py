"""Damage to what a collector keeps: it says which file and the way out, and never shows less as all.

Registry, embedded time series and signing key exist nowhere else, so none is begun anew by itself:
the program ends with the file's name and what to do. A store that opens gives what was written, or
an error. A backup that was altered is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest
from sqlalchemy import insert, select

from collector.profiles.desk import KEY_FILE, open_desk
from collector.query import Query
from collector.registry import tables
from collector.registry.database import open_database
from collector.timeseries.embedded import open_embedded
from device_profiles.signing import make_key
from gateway_core.clock import wall_ns
from gateway_core.errors import ConfigError, GatewayError
from gateway_core.model import Batch, Reading
from tests.faults.damage import damage, fresh

T = 1_700_000_000_000_000_000
T_ = TypeVar("T_")
MEMORY = 128 << 20


async def tried(work: Awaitable[T_]) -> tuple[T_ | None, GatewayError | None]:
    """What came of it: a value, or what people are told."""
    try:
        return await work, None
    except GatewayError as exc:
        return None, exc


async def points(path):
    async with open_embedded(path, MEMORY) as store:
        return (await store.query(Query("env", T, T + 10**15, limit=100_000))).rows


@pytest.mark.fault("F14")
async def test_a_damaged_store_gives_what_was_written_or_says_what_to_do(tmp_path):
    (tmp_path / "whole").mkdir()
    async with open_embedded(tmp_path / "whole" / "ts.duckdb", MEMORY) as store:
        many = [
            Reading("e1", f"d{n % 9}", "p", "env", T + n * 10**9, T, {"t": n * 0.5})
            for n in range(2000)
        ]
        await store.write(Batch(1, many))
    wanted = await points(tmp_path / "whole" / "ts.duckdb")
    told = 0
    for seed in range(200):
        folder = fresh(tmp_path / "d", tmp_path / "whole")
        what = damage(folder / "ts.duckdb", seed)
        found, error = await tried(points(folder / "ts.duckdb"))
        if isinstance(error, ConfigError):
            told += 1
            assert str(folder / "ts.duckdb") in str(error), what
            assert "restore" in str(error), what
        elif error is not None:
            assert "Corrupt" in str(error), what
        else:
            assert found == wanted, what
        assert (folder / "ts.duckdb").exists(), what
    assert told > 100


async def rows(url):
    async with open_database(url) as database:
        return await database.ask(lambda db: list(db.execute(select(tables.meta))))


@pytest.mark.fault("F14")
async def test_a_damaged_registry_is_not_begun_anew(tmp_path):
    (tmp_path / "whole").mkdir()
    async with open_database(f"sqlite:///{tmp_path}/whole/registry.db") as database:
        many = [{"key": f"k{n:04d}", "value": "v" * 40} for n in range(300)]
        await database.change(lambda db: db.execute(insert(tables.meta), many))
    told = 0
    for seed in range(200):
        folder = fresh(tmp_path / "d", tmp_path / "whole")
        what = damage(folder / "registry.db", seed)
        found, error = await tried(rows(f"sqlite:///{folder}/registry.db"))
        if isinstance(error, ConfigError):
            told += 1
            assert str(folder / "registry.db") in str(error), what
            assert "restore" in str(error), what
        elif error is not None:  # text that is no text any more: SQLite itself sees nothing wrong
            assert "flip" in what, f"{what}: {error}"
        elif "flip" not in what and "empty" not in what and "cut at 0" not in what:
            assert len(found) == 301, what
    assert told > 20


@pytest.mark.fault("F14")
async def test_no_altered_bit_of_the_signing_key_makes_another_key(tmp_path):
    make_key(tmp_path / "whole" / KEY_FILE)
    wanted = (tmp_path / "whole" / KEY_FILE).read_bytes()
    async with open_database(f"sqlite:///{tmp_path}/registry.db") as database:
        whole = open_desk(database, tmp_path / "whole", wall_ns, 10)
        for seed in range(200):
            folder = fresh(tmp_path / "d", tmp_path / "whole")
            what = damage(folder / KEY_FILE, seed)
            desk, error = await tried(asyncio.to_thread(open_desk, database, folder, wall_ns, 10))
            if error is not None:
                assert str(folder / KEY_FILE) in str(error), what
            else:
                assert desk.registry == whole.registry, what
    assert (tmp_path / "whole" / KEY_FILE).read_bytes() == wanted
