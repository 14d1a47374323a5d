"""A PostgreSQL of our own, and each of the two databases that a registry can be in."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server of our own on a free loopback port."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    data = tmp_path_factory.mktemp("pg")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    shutil.chown(data, "postgres", "postgres")
    data.parent.chmod(0o755)
    for parent in list(data.parents)[:3]:
        parent.chmod(parent.stat().st_mode | 0o711)
    run = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*run, programs / "initdb", "-D", data / "d", "-A", "trust", "-U", "tidegate"],
        check=True,
        capture_output=True,
    )
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories="
    subprocess.run(
        [
            *run,
            programs / "pg_ctl",
            "-D",
            data / "d",
            "-w",
            "-l",
            data / "log",
            "-o",
            options,
            "start",
        ],
        check=True,
        capture_output=True,
    )
    yield f"postgresql+psycopg://tidegate@127.0.0.1:{port}/postgres"
    subprocess.run(
        [*run, programs / "pg_ctl", "-D", data / "d", "-m", "immediate", "stop"],
        check=True,
        capture_output=True,
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    server: str = request.getfixturevalue("postgres")
    name = f"t{abs(hash(str(tmp_path))):x}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", 1)[0] + "/" + name
