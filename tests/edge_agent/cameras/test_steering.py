"""A camera that nobody here wrote (ipycam) is inspected, pictured and turned, and always stopped."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.steering import Move, Preset, go_to, move, presets
from gateway_core.errors import PayloadError, Unavailable
from tests.edge_agent.cameras.test_ipycam import IDENTITY, camera
from tests.fakes.cameras import fleet_and_feeds
from tests.fakes.turning_camera import TurningCamera


@pytest.fixture
async def feed(tmp_path: Path, monkeypatch) -> AsyncIterator[Feed]:
    monkeypatch.chdir(tmp_path)  # where it keeps its presets
    async with camera(None) as found:
        yield found


async def state(feed: Feed) -> dict[str, float]:
    """Where the camera looks, as it tells on its own page."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{feed.onvif_port}/api/ptz") as answer,
    ):
        found: dict[str, float] = await answer.json()
        return found


async def test_it_is_zoomed_and_turned_for_a_moment_and_then_stopped(feed: Feed) -> None:
    before = await state(feed)
    await move(feed, Move(zoom=1.0, pan=0.5), 0.5)
    after = await state(feed)
    assert (after["zoom"] > before["zoom"], after["pan"] > before["pan"]) == (True, True)
    assert after["moving"] is False


async def test_it_is_stopped_when_who_turns_it_is_interrupted(feed: Feed) -> None:
    turning = asyncio.create_task(move(feed, Move(tilt=-1.0), 30.0))
    while not (await state(feed))["moving"]:
        await asyncio.sleep(0.05)
    turning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turning
    assert (await state(feed))["moving"] is False


async def test_one_goes_to_what_it_remembers_and_not_to_what_it_does_not() -> None:
    async with TurningCamera({"1": "gate", "2": "yard"}) as dome:
        feed = dome.feed()
        assert await presets(feed) == [Preset("1", "gate"), Preset("2", "yard")]
        assert await go_to(feed, "yard") == Preset("2", "yard")
        assert await go_to(feed, "1") == Preset("1", "gate")
        with pytest.raises(PayloadError, match=r"'roof'.*1 \(gate\), 2 \(yard\)"):
            await go_to(feed, "roof")
    went = [asked for asked in dome.asked if asked[0] == "GotoPreset"]
    assert went == [("GotoPreset", "turns", "2"), ("GotoPreset", "turns", "1")]


async def test_the_profile_that_can_be_turned_is_turned_and_stopped() -> None:
    async with TurningCamera({}) as dome:
        await move(dome.feed(), Move(pan=1.0), 0.1)
    assert dome.asked == [("ContinuousMove", "turns"), ("Stop", "turns")]


@pytest.mark.parametrize(("seconds", "told"), [(0.1, "PT3S"), (1.0, "PT3S"), (1.2, "PT4S")])
async def test_a_camera_is_told_to_stop_by_itself_a_little_later(seconds: float, told: str) -> None:
    async with TurningCamera({}) as dome:
        await move(dome.feed(), Move(pan=1.0), seconds)
    assert dome.timeouts == [told]


async def test_a_camera_that_takes_no_time_to_stop_after_is_turned_and_stopped_all_the_same() -> (
    None
):
    async with TurningCamera({}, ends=False) as dome:
        await move(dome.feed(), Move(pan=1.0), 0.1)
    assert dome.timeouts == ["PT3S", ""]
    assert [asked[0] for asked in dome.asked][-1] == "Stop"


@pytest.mark.parametrize(
    ("number", "status", "asked"),
    [
        (signal.SIGTERM, 143, ["ContinuousMove", "Stop"]),
        (signal.SIGINT, 130, ["ContinuousMove", "Stop"]),
        (signal.SIGKILL, -9, ["ContinuousMove"]),  # and stops by itself
    ],
)
async def test_a_camera_does_not_go_on_when_the_command_is_ended(
    tmp_path: Path, number: signal.Signals, status: int, asked: list[str]
) -> None:
    async with TurningCamera({}) as dome:
        (tmp_path / "feeds.csv").write_text(
            f"id,host,onvif_port,rtsp_url\ndome,127.0.0.1,{dome.port},rtsp://127.0.0.1/live\n"
        )
        config = tmp_path / "edge.yaml"
        config.write_text("edge: {id: e1, data_dir: ./var}\ncameras: {file: feeds.csv}\n")
        process = await asyncio.create_subprocess_exec(
            *("tidegate", "edge", "camera", "ptz", "dome", "--pan", "1", "--for", "25s"),
            *("--config", str(config)),
        )
        async with asyncio.timeout(60):
            while not dome.asked:
                await asyncio.sleep(0.02)
            process.send_signal(number)
            if status > 0:
                process.send_signal(number)  # who is impatient does not hinder the stop
            assert await process.wait() == status
    assert [each[0] for each in dome.asked] == asked
    assert dome.timeouts == ["PT27S"]


async def test_who_turned_a_camera_that_does_not_stop_is_told() -> None:
    async with TurningCamera({}, stops=False) as dome:
        with pytest.raises(Unavailable, match="may still be turning: look at it"):
            await move(dome.feed(), Move(pan=1.0), 0.1)
    assert [asked[0] for asked in dome.asked] == ["ContinuousMove", "Stop"]


async def test_a_camera_that_cannot_be_turned_says_so(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (_, feeds):
        (fixed,) = feeds.values()
        with pytest.raises(Unavailable):
            await move(fixed, Move(pan=0.1), 0.1)


@pytest.mark.parametrize("speeds", [(0.0, 0.0, 0.0), (1.5, 0.0, 0.0), (0.0, float("nan"), 0.0)])
def test_a_speed_that_is_none_is_refused(speeds: tuple[float, float, float]) -> None:
    with pytest.raises(PayloadError, match="bad_move"):
        Move(*speeds)


async def test_the_command_line_inspects_pictures_and_turns_a_feed_of_the_file(
    feed: Feed, tmp_path: Path
) -> None:
    (tmp_path / "feeds.csv").write_text(
        "id,host,onvif_port,rtsp_url\n"
        f"gate,127.0.0.1,{feed.onvif_port},{feed.rtsp.url}\n"
        f"plain,127.0.0.1,,{feed.rtsp.url}\n"
    )
    config = tmp_path / "edge.yaml"
    config.write_text("edge: {id: e1, data_dir: ./var}\ncameras: {file: feeds.csv}\n")

    code, out = await tidegate("inspect", "gate", "--json", config=config)
    told = json.loads(out)
    names = ("manufacturer", "model", "firmware", "serial")
    assert (code, " ".join(told[name] for name in names)) == (0, IDENTITY)
    assert [each["size"] for each in told["profiles"]] == [[640, 360], [320, 180]]

    picture = tmp_path / "gate.jpg"
    code, _ = await tidegate("snapshot", "gate", "--out", str(picture), config=config)
    assert (code, picture.read_bytes()[:2]) == (0, b"\xff\xd8")
    code, out = await tidegate("snapshot", "gate", "--out", str(picture), config=config)
    assert (code, "exists already" in out) == (2, True)

    code, out = await tidegate("ptz", "gate", "--zoom", "1", "--for", "0.2s", config=config)
    assert (code, out.strip()) == (0, "gate: moved for 0.2 s, stopped")
    async with TurningCamera({"1": "gate"}) as dome:
        with (tmp_path / "feeds.csv").open("a") as file:
            file.write(f"dome,127.0.0.1,{dome.port},rtsp://127.0.0.1/live\n")
        code, out = await tidegate("ptz", "dome", "--preset", "roof", config=config)
        assert (code, "1 (gate)" in out) == (1, True)
        code, out = await tidegate("ptz", "dome", "--json", config=config)
        assert json.loads(out) == {"presets": [{"token": "1", "name": "gate"}]}
    code, out = await tidegate("inspect", "plain", config=config)
    assert (code, "plain has no onvif_port" in out) == (2, True)
    code, out = await tidegate("inspect", "nobody", config=config)
    assert (code, "names no feed 'nobody'" in out) == (2, True)


async def tidegate(*words: str, config: Path) -> tuple[int, str]:
    """Run `tidegate edge camera`; return its exit status and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *("tidegate", "edge", "camera", *words, "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()
