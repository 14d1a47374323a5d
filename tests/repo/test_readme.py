"""The promise: what the README and the how-to pages tell a newcomer to type does what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.newcomer import Desk

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READY = {"collector run": "collector_started", "edge run": "mqtt_listening"}


def _blocks(readme: str) -> list[str]:
    return SHELL.findall((ROOT / readme).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Yield a folder and the README's first two terminals; there is no broker."""
    desk = Desk(tmp_path_factory.mktemp("first"), broker=False)
    centre, site, devices, _ = _blocks("README.md")
    with (
        desk.keep_running(centre, READY["collector run"]),
        desk.keep_running(site, READY["edge run"]),
    ):
        desk.answer = desk.type(devices)
        yield desk


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_first_readings_come_to_the_centre(desk: Desk) -> None:
    assert re.search(r"room-1 .*\b40 .*\b21\.5\b", desk.answer), desk.answer
    assert re.search(r"room-2 .*\b19\b", desk.answer), desk.answer


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_what_nobody_can_read_is_found_again(desk: Desk) -> None:
    told = desk.type(_blocks("README.md")[3])
    assert "not_json" in told
    assert "residual" in told


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_the_history_is_asked_for_on_site_and_at_the_centre(desk: Desk) -> None:
    typed, on_site, centre = _blocks("docs/how-to/query-history.md")
    assert "room-1" in desk.type(typed)
    assert (desk.folder / "env.parquet").exists()
    assert '"room-1"' in desk.type(on_site)
    assert "room-1" in desk.type(centre)
    assert "room-2" in (desk.folder / "env.csv").read_text()


def test_the_blocks_that_keep_running_are_the_first_two() -> None:
    centre, site, *others = _blocks("README.md")
    assert "collector run" in centre
    assert "edge run" in site
    assert [block for block in others if " run " in block] == []


def test_both_readmes_say_the_same_commands() -> None:
    assert _blocks("README.zh-CN.md") == _blocks("README.md")
