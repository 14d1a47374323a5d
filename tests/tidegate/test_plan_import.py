"""An import shows what it would do, does it whole or not at all, and forgets nothing it was not told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from collector.registry.registry import Filter, open_registry
from tidegate.plan_import import import_plan

CONFIG = "collector: {data_dir: ./var}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "collector.yaml"
    path.write_text(CONFIG)
    return path


def planned(folder: Path) -> list[str]:
    async def ask() -> list[str]:
        async with open_registry(f"sqlite:///{folder}/var/registry.db") as registry:
            return [
                row["id"] for row in (await registry.page("feeds", Filter(plan="planned"))).rows
            ]

    return asyncio.run(ask())


def write(folder: Path, *rows: str) -> Path:
    path = folder / "plan.csv"
    path.write_text("\n".join(("edge,id,owner", *rows)) + "\n")
    return path


def test_a_plan_goes_in_and_the_next_takes_its_place(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_plan(write(tmp_path, "e1,a,x", "e1,b,x"), yes=True, config=config) == 0
    assert import_plan(write(tmp_path, "e1,b,y", "e1,c,x"), yes=True, config=config) == 0
    out = capsys.readouterr().out
    assert "new 1, changed 1, as before 0, gone 1" in out
    assert "gone: e1 a" in out
    assert planned(tmp_path) == ["b", "c"]


def test_without_a_yes_nothing_is_done(
    tmp_path: Path,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path("/dev/null").open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert import_plan(write(tmp_path, "e1,a,x"), config=config) == 1
    assert "give --yes" in capsys.readouterr().out
    assert planned(tmp_path) == []


def test_with_a_mistake_nothing_is_done_and_the_copy_says_what_to_mend(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "e1,a,x", "e1,b b,x")
    assert import_plan(path, yes=True, config=config) == 1
    told = capsys.readouterr()
    assert f"{path}:3:4: id: 'b b': expected 1 to 128 characters" in told.err
    assert "1 of 2 rows have mistakes" in told.out
    assert "expected 1 to 128 characters" in (tmp_path / "plan.marked.csv").read_text("utf-8-sig")
    assert not (tmp_path / "var" / "registry.db").exists()


def test_wrong_rows_left_out_make_nothing_count_as_gone(tmp_path: Path, config: Path) -> None:
    assert import_plan(write(tmp_path, "e1,a,x", "e1,b,x"), yes=True, config=config) == 0
    path = write(tmp_path, "e1,a a,x", "e1,c,x")
    assert import_plan(path, yes=True, skip_bad=True, config=config) == 0
    assert planned(tmp_path) == ["a", "b", "c"]
