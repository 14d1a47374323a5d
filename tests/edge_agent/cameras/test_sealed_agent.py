"""A running agent goes over to imported feeds, logs in with sealed passwords, and shows none."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from simulators.cameras.fleet import CameraFleet
from tests.edge_agent.cameras.test_camera_desk import answered, camera, site
from tests.fakes.cameras import fleet_and_feeds
from tests.fakes.running import running, until

SECRETS = ("tide-right", "tide-wrong")


def imported(folder: Path, *, wrong: str = "") -> Path:
    """A table of the fleet's feeds, the password in the clear as a city has it."""
    with (folder / "feeds.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    path = folder / "city.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("编号", "IP地址", "RTSP地址", "用户名", "密码"))
        for row in rows:
            word = "tide-wrong" if row["id"] == wrong else "tide-right"
            writer.writerow((row["id"], row["host"], row["rtsp_url"], "viewer", word))
    return path


def shown(folder: Path) -> str:
    """All that a person may come to see: files of the site, but not the table and the fleet's own."""
    kept = [path for path in folder.rglob("*") if path.is_file()]
    own = {folder / "city.csv", folder / "password", folder / "new"}
    return "".join(path.read_bytes().decode("latin-1") for path in kept if path not in own)


async def online(agent: object, count: int) -> None:
    await until(lambda: agent._patrol.states().get("online", 0) == count)  # type: ignore[attr-defined]


async def test_an_import_reaches_the_running_agent_and_a_password_is_set_right(
    tmp_path: Path,
) -> None:
    options = {"count": 3, "username": "viewer", "password": "tide-right"}
    async with fleet_and_feeds(tmp_path, **options) as (fleet, _):
        _all_want_a_login(fleet)
        table = imported(tmp_path, wrong="cam-000002")
        (tmp_path / "feeds.csv").write_text("id,host,rtsp_url\n")
        file = site(tmp_path)
        async with running(file) as agent:
            told = await camera(file, "import", str(table), "--apply")
            assert told.returncode == 0, told.stderr
            assert "new 3, changed 0, as before 0, gone 0" in told.stdout
            assert "the running agent has gone over to it" in told.stdout
            await online(agent, 2)
            await until(
                lambda: agent._patrol.detail("cam-000002").login == "stopped"  # type: ignore[union-attr]
            )
            (tmp_path / "new").write_text("tide-right\n")
            words = ("password", "cam-000002", "--password-file", str(tmp_path / "new"))
            told = await camera(file, *words)
            assert told.returncode == 0, told.stderr
            assert told.stdout == "cam-000002: sealed; the running agent has gone over to it\n"
            await online(agent, 3)
            seen = [json.dumps(await answered(file, "list"))]
            seen.append(json.dumps(await answered(file, "show", "cam-000002")))
            seen.append((await camera(file, "show", "cam-000002")).stdout)
        seen.append(shown(tmp_path))
        assert [word for word in SECRETS if word in "".join(seen)] == []


async def test_a_damaged_seal_is_one_feed_s_finding_and_tries_no_login(tmp_path: Path) -> None:
    options = {"count": 3, "username": "viewer", "password": "tide-right"}
    async with fleet_and_feeds(tmp_path, **options) as (fleet, _):
        _all_want_a_login(fleet)
        table = imported(tmp_path)
        (tmp_path / "feeds.csv").write_text("id,host,rtsp_url\n")
        file = site(tmp_path)
        told = await camera(file, "import", str(table), "--apply")
        assert "no agent answers at" in told.stdout
        lines = (tmp_path / "feeds.csv").read_text().splitlines()
        lines[2] = lines[2].replace(lines[2].split(",")[7], lines[1].split(",")[7])
        (tmp_path / "feeds.csv").write_text("\n".join(lines) + "\n")
        async with running(file) as agent:
            await online(agent, 2)
            await until(lambda: agent._patrol.states().get("auth_failed") == 1)
            found = await answered(file, "show", "cam-000002")
            assert found["verdict_faults"] == ["rtsp_password_unreadable"]
            assert found["login"] == "unreadable"
            told = await camera(file, "show", "cam-000002")
            assert "the seal was damaged, or is another feed's" in told.stdout


def _all_want_a_login(fleet: CameraFleet) -> None:
    for device in fleet.devices:
        device.auth = "md5"
