"""The centre is lost: an older backup is restored, and its edges fill the gap, exactly once.

Beside it stands a twin, undisturbed, whose edges were told the same. In the end both centres answer
every question alike.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.blast import fleet, publish
from tests.e2e.city import PYTHON, City, Program, http, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

LISTENER = "anonymous: true, receive_maximum: 4000"
EDGES, PHASE, DEVICES = ("sim-edge-01", "sim-edge-02"), 3_000, 50


class Region:
    """A centre and its two edges, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.centre = City(folder / "c")
        self.edges = [City(folder / name) for name in EDGES]
        for city in (self.centre, *self.edges):
            city.folder.mkdir()
        self.collector = self.centre.centre()
        self.agents: list[Program] = []

    def start(self) -> None:
        self.collector.start()
        for name, city in zip(EDGES, self.edges, strict=True):
            agent = city.edge(uplink_port=self.centre.intake_port, direct=LISTENER, name=name)
            agent.start()
            self.agents.append(agent)

    def say(self, phase: int, began: int) -> None:
        """Every edge hears so many messages, each with a time of its own."""
        for number, city in enumerate(self.edges):
            start = began + phase * PHASE // DEVICES + number
            told = list(fleet(DEVICES, PHASE, start_s=start))
            assert publish(city.host, city.mqtt_port, told) == PHASE

    def settled(self) -> bool:
        """Whether every edge has sent all, the centre lacks nothing, and has stored all.

        Asked in the order in which records go, or what comes meanwhile is in neither answer.
        """
        said = [sum(city.edge_status()["accepted"].values()) for city in self.edges]
        if min(said) <= PHASE or not all(city.settled() for city in self.edges):
            return False
        came = [(each["high_water"], each["missing"]) for each in self.status()["edges"]]
        if came != [(count, 0) for count in said]:
            return False
        return all(each["buffered"] == 0 for each in self.status()["books"].values())

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = http("GET", f"{self.centre.api}/api/v1/status")
        return found

    def points(self) -> list[list[Any]]:
        asked = {"measurement": "env", "start": "-1d", "stop": "+1d", "limit": 1_000_000}
        return sorted(self.centre.query(**asked)["rows"], key=str)

    def records(self) -> dict[str, int]:
        return {each["id"]: each["records"] for each in self.status()["edges"]}

    def close(self) -> None:
        for city in (*self.edges, self.centre):
            city.close()


@pytest.fixture
def regions(tmp_path: Path) -> Iterator[tuple[Region, Region]]:
    lost, twin = Region(tmp_path / "lost"), Region(tmp_path / "twin")
    try:
        yield lost, twin
    finally:
        lost.close()
        twin.close()


def command(*words: str | Path, folder: Path) -> str:
    done = subprocess.run(
        [PYTHON, "-m", "tidegate", "collector", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.fault("F21")
def test_a_centre_restored_from_an_older_backup_answers_as_its_undisturbed_twin(
    regions: tuple[Region, Region], tmp_path: Path
) -> None:
    lost, twin = regions
    began = int(time.time()) - 3600
    for region in regions:
        region.start()
        region.say(0, began)
    wait_for("the first phase at both centres", lambda: lost.settled() and twin.settled())

    folder = lost.centre.folder / "centre"
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    command("backup", tmp_path / "b", "--key-file", key, folder=folder)
    for region in regions:
        region.say(1, began)
    wait_for("the second phase at both centres", lambda: lost.settled() and twin.settled())
    assert lost.points() == twin.points()
    before = lost.records()

    lost.collector.kill()
    shutil.rmtree(folder / "var")
    for part in folder.glob("registry.db*"):
        part.unlink()
    for region in regions:
        region.say(2, began)  # the edges of the lost centre keep it
    command("restore", tmp_path / "b", "--key-file", key, folder=folder)
    lost.collector.start()

    wait_for("both centres to have stored all", lambda: lost.settled() and twin.settled())
    assert len(twin.points()) == 2 * 3 * PHASE
    assert lost.points() == twin.points()
    assert lost.records() == twin.records()
    assert all(count > before[edge] for edge, count in lost.records().items())
    assert lost.status()["totals"]["residual"] == 0
    for city in lost.edges:
        assert city.edge_status()["residual"] == 0
        ledger = (city.folder / "edge" / "var" / "ledger").glob("*.jsonl")
        assert any('"again":true' in file.read_text() for file in ledger)
