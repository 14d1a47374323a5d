"""What earlier programs left on disk opens, killed anywhere on the way; what newer ones left is kept.

The files of `golden/` were made by `scripts/golden.py`, each by the commit that it is named after.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from collector.agent import open_collector
from collector.config import load_collector_config
from collector.query import Query
from collector.registry.database import open_database
from collector.timeseries.embedded import open_embedded
from edge_agent.archive import Archive
from edge_agent.commands.book import CommandBook
from edge_agent.register import Register
from gateway_core.errors import ConfigError, GatewayError, Unavailable
from gateway_core.spool import open_spool
from scripts.golden import T, records

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.tar.xz"))
S = 1_000_000_000
LEAST = {"new": 3, "old": 1}
"""Places at which an opening is killed; an older file needs less than a new one."""


@pytest.fixture(params=GOLDEN, ids=lambda path: path.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files that one earlier commit left, unpacked."""
    with tarfile.open(request.param) as tar:
        tar.extractall(tmp_path, filter="data")
    about: dict[str, Any] = json.loads((tmp_path / "about.json").read_text())
    assert request.param.name == f"{about['commit']}.tar.xz"
    return tmp_path


@pytest.mark.fault("F20")
async def test_an_edge_goes_on_from_what_an_earlier_program_left(old: Path) -> None:
    async with open_spool(old / "edge" / "spool.db", "e1") as spool:
        batch = await spool.read_after(0, 1000)
        assert batch is not None
        assert batch.records == records()
        assert (spool.head, spool.settled("uplink"), spool.settled("archive")) == (44, 20, 44)
        ((_, refusal),) = await spool.refusals(10)
        assert (refusal.payload, refusal.reason) == (b"\x01\x02", "bad_crc")
        assert await spool.state("alarm/") == {"alarm/x": b"{}"}
        books = await spool.books()
        assert (books.residual, books.consumers["uplink"].buffered) == (0, 24)
        archive = Archive(old / "edge" / "archive", spool, lambda: T)
        await archive.open()
        assert [r for _, r in await archive.recall(spool.epoch, 1, 44)] == records()
    register = Register(old / "edge" / "registry.db")
    assert [row["name"] for row in register.devices(dict)] == ["阀门 1"]
    register.close()
    CommandBook(old / "edge" / "commands.db").close()


@pytest.mark.fault("F20")
async def test_a_centre_goes_on_from_what_an_earlier_program_left(old: Path) -> None:
    config = load_collector_config(old / "centre" / "collector.yaml")
    async with open_collector(config) as collector:
        assert collector.reception.edges["e1"].epochs["ep"].high_water == 44
        table = await collector.store.query(Query("env", T, T + 100 * S))
        assert len(table.rows) == 40
        assert [row["records"] for row in await collector.registry.edges()] == [44]
        assert [row["rule"] for row in await collector.registry.alarms()] == ["hot"]
        assert (await collector.spool.books()).residual == 0


@pytest.mark.fault("F20")
@pytest.mark.parametrize("name", ["spool", "register", "commands", "centre"])
@pytest.mark.parametrize("begin", ["new", "old"])
def test_killed_before_any_statement_of_its_opening_a_file_opens_the_next_time(
    name: str, begin: str, tmp_path: Path
) -> None:
    places = {
        "spool": "edge/spool.db",
        "register": "edge/registry.db",
        "commands": "edge/commands.db",
        "centre": "centre/var/registry.db",
    }
    path = tmp_path / places[name]
    if begin == "old":
        with tarfile.open(GOLDEN[0]) as tar:
            tar.extractall(tmp_path, filter="data")
        assert path.exists()
    else:
        path.parent.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.cut_short", name, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= LEAST[begin]


async def opened(name: str, folder: Path) -> None:
    """Open one file with the program of today."""
    if name == "spool":
        async with open_spool(folder / "edge/spool.db", "e1"):
            pass
    elif name == "register":
        Register(folder / "edge/registry.db").close()
    elif name == "commands":
        CommandBook(folder / "edge/commands.db").close()
    elif name == "centre":
        async with open_database(f"sqlite:///{folder}/centre/var/registry.db"):
            pass
    else:
        async with open_embedded(folder / "centre/var/timeseries.duckdb", 1 << 28):
            pass


NEWER = {
    "spool": ("edge/spool.db", "PRAGMA user_version = 2", Unavailable),
    "register": (
        "edge/registry.db",
        "INSERT INTO _sqlite_migrations VALUES (99, 'edge_registry', 'm999_next', '')",
        ConfigError,
    ),
    "commands": ("edge/commands.db", "PRAGMA user_version = 2", ConfigError),
    "centre": (
        "centre/var/registry.db",
        "UPDATE meta SET value = '2' WHERE key = 'schema'",
        ConfigError,
    ),
    "timeseries": ("centre/var/timeseries.duckdb", "", ConfigError),
}


@pytest.mark.fault("F20")
@pytest.mark.parametrize("name", sorted(NEWER))
async def test_a_newer_program_s_file_is_refused_with_what_to_do_and_left_alone(
    name: str, tmp_path: Path
) -> None:
    with tarfile.open(GOLDEN[-1]) as tar:
        tar.extractall(tmp_path, filter="data")
    place, change, error = NEWER[name]
    await opened(name, tmp_path)
    if name == "timeseries":
        with duckdb.connect(str(tmp_path / place)) as store:
            store.execute("UPDATE tidegate.format SET version = 2")
    else:
        with contextlib.closing(sqlite3.connect(tmp_path / place)) as db:
            db.execute(change)
            db.commit()
    for _ in range(2):
        with pytest.raises(error, match=r"install th.*version|install the newer") as caught:
            await opened(name, tmp_path)
        assert isinstance(caught.value, GatewayError)
    assert not list((tmp_path / place).parent.glob("*.damaged-*"))
