"""A camera that nobody here wrote (ipycam, with ffmpeg in it) gets right verdicts and fields."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.exchange import Exchange, OnvifError, open_session
from edge_agent.cameras.grader import Grader
from edge_agent.cameras.inspect import inspect_device
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import Device, OnvifClient
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from tests.fakes.cameras import Recorder, patrolling
from tests.fakes.ports import free_port

SERVER = Path(__file__).parents[2] / "fakes" / "ipycam_camera.py"
LOGIN = Credential("admin", "geheim 9")
PATIENT = PatrolSettings(connect_s=10, answer_s=20)
IDENTITY = "PythonCam VirtualCam-1 1.3 PY-000001"


@asynccontextmanager
async def camera(credential: Credential | None) -> AsyncIterator[Feed]:
    """The main stream of a running camera."""
    onvif, rtsp = free_port(), free_port()
    login = (credential.username, credential.password) if credential else ("", "")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SERVER), str(onvif), str(rtsp), *login),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"streaming\n"
        address = RtspAddress(f"rtsp://127.0.0.1:{rtsp}/video_main", "127.0.0.1", rtsp)
        yield Feed("py", "127.0.0.1", address, onvif_port=onvif, credential=credential)
    finally:
        process.kill()
        await process.communicate()


def at(feed: Feed, path: str) -> Feed:
    url = feed.rtsp.url.replace("video_main", path)
    return replace(feed, id=path, rtsp=replace(feed.rtsp, url=url))


@asynccontextmanager
async def client() -> AsyncIterator[OnvifClient]:
    logins = Logins()
    async with open_session(4) as session:
        yield OnvifClient(Exchange(session, logins), logins, wall_ns, PATIENT)


async def test_its_streams_profiles_clock_and_picture_are_read() -> None:
    async with camera(None) as feed, client() as onvif, Grader() as grader:
        main = await check_stream(feed, Plan(), Logins(), PATIENT)
        sub = await check_stream(at(feed, "video_sub"), Plan(), Logins(), PATIENT)
        none = await check_stream(at(feed, "nothing"), Plan(), Logins(), PATIENT)
        known = Device()
        found = await survey(onvif, feed, known, 10.0)
        measures = await grader.measure(await onvif.snapshot(feed, known, found.snapshot_url))
        theirs = await inspect_device(feed.host, feed.onvif_port or 0)

    assert (main.outcome, main.tracks[0].codec, main.tracks[0].size) == ("ok", "H264", (640, 360))
    assert (sub.outcome, sub.tracks[0].size) == ("ok", (320, 180))
    assert none.outcome == "not_found"
    assert (found.faults, found.identity, known.way) == ((), IDENTITY, "none")
    assert found.skew_s == pytest.approx(0, abs=5)
    assert [(each.token, each.size) for each in known.profiles] == [
        ("Profile_Main", (640, 360)),
        ("Profile_Sub", (320, 180)),
    ]
    assert found.snapshot_url == f"http://127.0.0.1:{feed.onvif_port}/snapshot.jpg"
    assert measures.key
    assert f"{theirs.manufacturer} {theirs.model} {theirs.firmware} {theirs.serial}" == IDENTITY
    assert [each.size for each in theirs.profiles] == [each.size for each in known.profiles]
    assert theirs.profiles[0].stream_url == feed.rtsp.url


async def test_its_token_is_found_out_and_its_basic_login_is_not_given_a_password() -> None:
    async with camera(LOGIN) as feed, client() as onvif:
        known = Device()
        found = await survey(onvif, feed, known, 10.0)
        with pytest.raises(OnvifError, match="onvif_auth_failed"):
            await onvif.snapshot(feed, known, found.snapshot_url)
        wrong = replace(feed, credential=Credential(LOGIN.username, "wrong"))
        refused = await survey(onvif, wrong, Device(), 10.0)

    assert (found.faults, found.identity, known.way) == ((), IDENTITY, "token")
    assert refused.faults == ("onvif_auth_failed",)


async def test_a_patrol_sees_it_and_sees_it_go() -> None:
    recorder = Recorder()
    async with (
        camera(None) as feed,
        patrolling({feed.id: feed}, recorder, connect_s=10, answer_s=20) as patrol,
    ):
        await recorder.until(lambda: recorder.states() == {"py": "online"})
        assert patrol.states() == {"online": 1}
    async with patrolling({feed.id: feed}, recorder, connect_s=10, answer_s=20):
        await recorder.until(lambda: recorder.states() == {"py": "offline"})
    assert recorder.latest()["py"].faults == ("rtsp_refused",)
