"""A PostgreSQL of our own, and each of the two databases that a registry can be in."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e.city import wait_for


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on a free loopback port, in a folder of its own."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"))
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    with tempfile.TemporaryDirectory(prefix="tidegate-pg-", dir="/tmp") as name:
        shutil.chown(name, "postgres", "postgres")
        data = Path(name) / "data"
        make = [programs / "initdb", "-D", data, "-A", "trust", "-U", "tidegate", "--no-sync"]
        subprocess.run([*as_postgres, *make], check=True, capture_output=True)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        settings = (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=")
        serve = [programs / "postgres", "-D", data, *(w for each in settings for w in ("-c", each))]
        with (Path(name) / "log").open("wb") as log:
            server = subprocess.Popen([*as_postgres, *serve], stdout=log, stderr=log)
        try:
            url = f"postgresql://tidegate@127.0.0.1:{port}/postgres"
            wait_for("PostgreSQL", lambda: _answers(url))
            yield url.replace("://", "+psycopg://")
        finally:
            server.send_signal(signal.SIGQUIT)  # without ceremony
            server.wait(30)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.db"
    server: str = request.getfixturevalue("postgres")
    name = f"t{abs(hash(str(tmp_path))):x}"
    with psycopg.connect(server.replace("+psycopg", ""), autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return server.rsplit("/", 1)[0] + "/" + name
