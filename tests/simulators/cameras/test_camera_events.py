"""What happens to a fleet follows from its seed, and the truth file tells all of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simulators.cameras import events
from simulators.cameras.fleet import CameraFleet
from simulators.cameras.options import FleetOptions
from tests.fakes.ports import free_port


def truth_of(path: Path) -> list[dict[str, Any]]:
    """The lines after the first, which says that all is simulated."""
    first, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert first["simulated"] is True
    return lines


async def until_told(path: Path, words: dict[str, int], **options: object) -> list[dict[str, Any]]:
    """Run a fleet until its truth file holds each word so often; return its lines."""
    port = free_port()
    more = {"address": "127.45.0.1", "rtsp_port": port, "onvif_port": port, **options}
    async with CameraFleet(FleetOptions(truth_file=path, **more)) as fleet:
        task = asyncio.create_task(fleet.run())
        async with asyncio.timeout(30):
            while any(path.read_text().count(word) < count for word, count in words.items()):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return truth_of(path)


async def test_each_change_is_a_line_with_its_time(tmp_path: Path) -> None:
    truth, port = tmp_path / "truth.jsonl", free_port()
    options = FleetOptions(
        count=2, mix={}, address="127.41.0.1", rtsp_port=port, onvif_port=port, truth_file=truth
    )
    async with CameraFleet(options) as fleet:
        await fleet.change(1, "dead")
        await fleet.change(1, "dead")
        await fleet.change(1, "good")

    *lines, last = truth_of(truth)
    assert (last["event"], last["made"], last["disturbed"]) == ("connections", 0, 0)
    assert [(line["feed"], line["state"], line["condition"]) for line in lines] == [
        ("cam-000001", "online", "good"),
        ("cam-000002", "online", "good"),
        ("cam-000002", "offline", "dead"),
        ("cam-000002", "online", "good"),
    ]
    assert lines[0]["time"] <= lines[2]["time"] < lines[3]["time"]


async def test_the_same_seed_breaks_and_mends_the_same_cameras(tmp_path: Path) -> None:
    runs = []
    for name in ("first", "second"):
        lines = await until_told(
            tmp_path / name, {'"feed"': 60}, count=40, mix={"dead": 0.3}, change_every_s=0.002
        )
        runs.append([(line["feed"], line["condition"]) for line in lines[:60]])

    assert runs[0] == runs[1]
    changes = Counter(condition for _, condition in runs[0][40:])
    assert changes.keys() == {"dead", "good"}


async def test_a_failing_switch_cuts_off_whoever_is_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "SWITCH_DOWN_S", (0.01, 0.02))
    lines = await until_told(
        tmp_path / "truth",
        {"switch_up": 1},
        count=12,
        mix={},
        switch_size=4,
        switch_fails_every_s=0.05,
    )

    down = next(at for at, line in enumerate(lines) if line.get("event") == "switch_down")
    up = next(at for at, line in enumerate(lines) if line.get("event") == "switch_up")
    assert lines[down]["feeds"] == 4
    first = 4 * int(lines[down]["group"].removeprefix("switch-"))
    behind = {f"cam-{number:06d}" for number in range(first + 1, first + 5)}
    between = [line for line in lines[down + 1 : up] if line.get("feed") in behind]
    assert {line["feed"] for line in between if line["state"] == "unknown"} == behind
    assert {line["feed"] for line in between if line["state"] == "online"} == behind


async def test_a_power_cut_reboots_one_in_fifty_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "REBOOT_S", (0.01, 0.02))
    lines = await until_told(
        tmp_path / "truth", {"reboot_storm": 1, '"good"': 102}, count=100, mix={}, storm_every_s=0.1
    )

    at = next(at for at, line in enumerate(lines) if line.get("event") == "reboot_storm")
    assert lines[at]["feeds"] == 2
    assert [line["condition"] for line in lines[at + 1 : at + 5]] == ["dead"] * 2 + ["good"] * 2


async def test_a_switch_is_the_group_of_the_feeds_behind_it(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "feeds.csv"
    options = FleetOptions(
        count=3, mix={}, address="127.41.0.1", rtsp_port=port, switch_size=2, feeds_file=path
    )
    async with CameraFleet(options):
        groups = [line.rpartition(",")[2] for line in path.read_text().splitlines()]

    assert groups == ["group", "switch-00000", "switch-00000", "switch-00001"]
