"""A person at the site asks for its history, carries it away, and checks what left, in one command each."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from edge_agent.ledger import Departure, Ledger
from gateway_core.spool import SpoolOptions, open_spool
from tests.e2e.city import tidegate
from tests.fakes.edge import ENV, NOW, open_edge, write_profile
from tidegate.output import print_table

MINE = ENV.replace("tg/", "plant/")
SINCE, UNTIL = "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"


@pytest.fixture
async def site(tmp_path: Path) -> Path:
    """Write a site that took in three readings and a payload that nobody can read; return its configuration."""
    write_profile(tmp_path / "profiles", MINE)
    config = tmp_path / "edge.yaml"
    config.write_text("edge: {id: e1, data_dir: .}\nprofiles: [profiles]\n")

    async with open_edge(tmp_path, profile=MINE) as edge:
        for device, value in (("d1", 20.25), ("d1", 67.5), ("d2", 22)):
            await edge.hear(f"plant/{device}/up", json.dumps({"temperature": value}))
            edge.clock.pass_s(60)
        await edge.hear("plant/d3/up", '{"temperature": 500}')
    return config


def run(site: Path, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of `tidegate edge` as a shell would."""
    told = tidegate("edge", *words, "--config", str(site))
    assert told.returncode == status, told.stderr
    return told


def test_a_stopped_site_answers_from_its_own_files(site: Path) -> None:
    asked = ("query", "env", "--since", SINCE, "--until", UNTIL, "--offline")
    rows = run(site, *asked, "--format", "csv").stdout.splitlines()
    assert [row.split(",")[1::3] for row in rows] == [
        ["device", "temperature"],
        ["d1", "20.25"],
        ["d1", "67.5"],
        ["d2", "22.0"],
    ]
    found = json.loads(run(site, *asked, "--device", "d2", "--json").stdout)
    assert [row[1] for row in found["rows"]] == ["d2"]


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_an_export_is_of_the_kind_that_its_name_says(site: Path, name: str) -> None:
    out = site.parent / name
    asked = ("export", "env", "--since", SINCE, "--until", UNTIL, "--offline")
    run(site, *asked, "--out", str(out))
    if name.endswith("parquet"):
        assert pq.read_table(out).column("temperature").to_pylist() == [20.25, 67.5, 22.0]
    else:
        assert out.read_text().count("20.25") == 1
    assert not list(site.parent.glob("*.part"))


def test_an_export_that_fails_leaves_no_file(site: Path) -> None:
    out = site.parent / "out.csv"
    asked = ("export", "env", "--field", "temprature", "--since", SINCE, "--offline")
    told = run(site, *asked, "--out", str(out), status=1)
    assert "did you mean temperature?" in told.stderr
    assert list(site.parent.glob("out*")) == []


def test_nothing_is_invented_where_no_agent_has_run(tmp_path: Path) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text("edge: {id: e1, data_dir: ./var}\n")
    told = run(config, "query", "env", "--offline", status=1)
    assert "has not run with this data_dir" in told.stderr
    assert not (tmp_path / "var").exists()


def test_refused_payloads_are_tried_again_with_the_agent_stopped(site: Path) -> None:
    write_profile(site.parent / "profiles", MINE.replace("[-40, 80]", "[-40, 800]"))
    told = run(site, "replay", "--offline", "--json")
    assert json.loads(told.stdout) == {"tried": 1, "mended": 1, "refused": {}, "cut": 0}


async def test_the_ledger_is_verified_and_a_changed_entry_is_named(site: Path) -> None:
    await depart(site.parent)
    found = json.loads(run(site, "ledger", "--json", "--last", "2").stdout)
    assert (found["entries"], found["batches"], found["faults"]) == (6, 3, [])
    assert [entry["n"] for entry in found["latest"]] == [5, 6]

    (file,) = (site.parent / "ledger").glob("*.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace("accepted", "refused "), *lines[2:]]))
    found = json.loads(run(site, "ledger", "--json", status=1).stdout)
    assert found["faults"] == [f"{file.name}:2: entry 2 was changed"]

    file.write_text("".join(lines[:-2]))
    assert "entry 5 is gone" in run(site, "ledger", status=1).stdout


async def depart(folder: Path) -> None:
    """Enter three batches that left, and keep the end of the chain in the spool."""
    ledger = Ledger(folder / "ledger", lambda: NOW)
    for n in (1, 2, 3):
        number = await ledger.enter(Departure("http://c", "e", n, n, 100, "0" * 64))
        await ledger.mark(number, "accepted")
    async with open_spool(folder / "spool.db", "e1", SpoolOptions()) as spool:
        state = {"uplink/ledger": str(ledger.durable).encode()}
        await spool.append((), source="test", state=state)
    ledger.close()


def test_a_table_in_a_pipe_has_a_line_for_each_row_and_every_digit(capsys) -> None:
    print_table(("name", "value"), [("x" * 200, 1234567.875), ("y", None)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["x" * 200, "1234567.875"]
