"""The promise: the tutorial leads from an undocumented sensor to its readings, typed as it stands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.broker import MOSQUITTO
from tests.fakes.newcomer import Desk

ROOT = Path(__file__).parents[2]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = ROOT / "docs" / "tutorials" / "own-sensor.md"
MOST_COMMANDS = 10


def _blocks(page: Path) -> list[str]:
    return SHELL.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    broker = subprocess.Popen(
        [MOSQUITTO, "-p", str(desk.broker)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    yield desk
    broker.terminate()
    broker.wait(10)


@pytest.mark.slow
@pytest.mark.xdist_group("readme")
def test_every_step_says_what_the_page_promises(desk: Desk) -> None:
    site, listen, draft, check, explain, use = _blocks(PAGE)
    with desk.keep_running(site, "broker_connected"):
        desk.type(listen)
        assert "wrote site/profiles/acme/hall.yaml" in desk.type(draft)
        told = desk.type(check)
        assert "no mistakes found" in told
        assert "4 of 4 vectors passed" in told
        told = desk.type(explain)
        assert "temperature: not stored, range" in told
        assert "humidity = 48 %" in told
        assert re.search(r"rssi +-71 +ignored", told)
        assert "humidity: stays on site" in told
        told = desk.type(use)
        assert re.search(r"hall-7 .*21\.6", told), told


def test_it_takes_less_than_ten_commands_of_ours_and_both_languages_say_the_same() -> None:
    commands = [
        line
        for block in _blocks(PAGE)
        for line in block.splitlines()
        if line.startswith("tidegate ")
    ]
    assert len(commands) < MOST_COMMANDS
    assert _blocks(PAGE.with_name("own-sensor.zh-CN.md")) == _blocks(PAGE)
