"""The operator sees at the site why a feed is as it is, and says when people are at work at it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from subprocess import CompletedProcess

from gateway_core.model import FeedHealth
from simulators.cameras.fleet import CameraFleet
from tests.e2e.city import tidegate
from tests.fakes.broker import free_port
from tests.fakes.cameras import fleet_and_feeds
from tests.fakes.running import eventually, running, stored, until


def site(folder: Path) -> Path:
    file = folder / "edge.yaml"
    file.write_text(
        "edge: {id: e1, data_dir: var}\n"
        "cameras: {file: feeds.csv, sweep: 1s}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    return file


async def camera(file: Path, *words: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(tidegate, "edge", "camera", *words, "--config", str(file))


async def answered(file: Path, *words: str) -> dict:
    told = await camera(file, *words, "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


async def broken(fleet: CameraFleet, agent: object) -> None:
    await fleet.change(1, "offline")
    await until(lambda: agent._patrol.states().get("offline") == 1)  # type: ignore[attr-defined]
    await until(lambda: agent._patrol.states().get("online") == 2)  # type: ignore[attr-defined]


async def test_list_and_show_say_why(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=3) as (fleet, _):
        file = site(tmp_path)
        async with running(file) as agent:
            await broken(fleet, agent)
            listed = await answered(file, "list", "--state", "offline")
            assert [(row["id"], row["faults"]) for row in listed["feeds"]] == [
                ("cam-000002", ["rtsp_refused"])
            ]
            assert (listed["found"], listed["next"]) == (1, None)
            some = await answered(file, "list", "--limit", "2")
            assert [row["id"] for row in some["feeds"]] == ["cam-000001", "cam-000002"]
            assert (some["found"], some["next"]) == (3, "cam-000002")
            shown = await answered(file, "show", "cam-000002")
            assert shown["verdict"] == "offline"
            assert shown["looks"][-1]["outcome"] == "refused"
            assert "127.10.0.2" in shown["looks"][-1]["detail"]
            assert 0 <= shown["next_check_s"] <= 2
            assert "password" not in json.dumps(shown)
            told = await camera(file, "show", "cam-000002")
            assert "rtsp_refused" in told.stdout
            nobody = await camera(file, "show", "cam-9")
            assert nobody.returncode == 1
            assert "GET /feeds lists what is" in nobody.stderr
            wrong = await camera(file, "list", "--state", "gone")
            assert wrong.returncode == 2


async def test_maintenance_is_told_at_once_and_outlives_a_restart(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=3) as (fleet, _):
        file = site(tmp_path)
        async with running(file) as agent:
            await broken(fleet, agent)
            told = await camera(file, "maintain", "cam-000002", "--on")
            assert told.stdout == "cam-000002: maintenance\n"

            async def at_work() -> bool:
                found = [each for each in await stored(agent) if isinstance(each, FeedHealth)]
                return found[-1].state == "maintenance" and found[-1].feed == "cam-000002"

            await eventually(at_work)
        async with running(file) as agent:
            await until(lambda: agent._patrol.states().get("maintenance") == 1)
            told = await camera(file, "maintain", "cam-000002", "--off")
            assert told.returncode == 0, told.stderr
            await until(lambda: agent._patrol.states().get("offline") == 1)
    (spool,) = (tmp_path / "var").rglob("spool*.db")
    with sqlite3.connect(f"file:{spool}?mode=ro", uri=True) as db:
        keys = [key for (key,) in db.execute("select key from state where key like 'camera/m%'")]
    assert keys == []


async def test_every_grade_of_a_picture_is_explained_and_what_is_usual_can_be_reset(
    tmp_path: Path,
) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (_, _):
        file = site(tmp_path)
        async with running(file) as agent:
            await until(lambda: next(agent._patrol.rows()).state == "online")
            await until(lambda: agent._patrol.detail("cam-000001").grades != ())
            shown = await answered(file, "show", "cam-000001")
            grades = {each["fault"]: each for each in shown["grades"]}
            assert len(grades) == 13
            black = grades["picture_black"]
            assert (black["verdict"], black["limit"], black["usual"]) == ("ok", 20.0, None)
            assert 120 < black["value"] < 130
            assert grades["picture_moved"]["verdict"] == "unknown"  # nothing was learned yet
            told = await camera(file, "show", "cam-000001")
            assert "picture_moved" in told.stdout
            learned = await answered(file, "baseline", "cam-000001")
            assert [(h["looks"], h["learned"], h["focus"]) for h in learned["hours"]] == [
                (1, False, None)
            ]
            forgotten = await answered(file, "baseline", "cam-000001", "--reset")
            assert forgotten == {"feed": "cam-000001", "hours": []}
            told = await camera(file, "baseline", "cam-000001")
            assert "nothing is known yet" in told.stdout
            nobody = await camera(file, "baseline", "cam-9", "--reset")
            assert nobody.returncode == 1
            assert "no such feed" in nobody.stderr
    assert (tmp_path / "var" / "pictures.db").exists()
