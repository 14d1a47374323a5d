"""Real streams are heard as they are sent, and no device can make the listening last or lie."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cameras.evidence import SampleCheck, StreamCheck
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.judge import Memory, judge
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.stream_sample import StreamMeter
from edge_agent.cameras.stream_session import take_sample, track_url
from gateway_core.clock import NS
from tests.e2e.city import tidegate
from tests.fakes.broker import free_port
from tests.fakes.cameras import ScriptedDevice, answering, fleet_and_feeds, set_up
from tests.fakes.gstreamer import LOGIN, gstreamer, pipeline
from tests.fakes.running import running, until

PATIENT = PatrolSettings(connect_s=10, answer_s=20, sample_s=4)
QUICK = PatrolSettings(sample_s=0.5)
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=1\r\n"
OK = b"RTSP/1.0 200 OK\r\nCSeq: %d\r\n"
DESCRIBED = OK % 1 + b"Content-Length: %d\r\n\r\n" % len(SDP) + SDP
SET_UP = OK % 2 + b"Session: 7;timeout=60\r\nTransport: RTP/AVP/TCP;interleaved=4-5\r\n\r\n"


async def heard(feed: Feed, settings: PatrolSettings = QUICK) -> SampleCheck:
    return await take_sample(feed, Logins(), settings)


@pytest.mark.parametrize(
    ("auth", "encoder", "rate", "gop"), [("digest", "264", 10, 10), ("basic", "265", 20, 20)]
)
async def test_rate_and_group_are_those_of_the_encoder(
    auth: str, encoder: str, rate: int, gop: int
) -> None:
    stream = pipeline(rate=rate, gop=gop, encoder=encoder)
    async with gstreamer(auth, "127.0.0.1", LOGIN, stream) as feed:
        found = await heard(feed, PATIENT)

    assert found.sample is not None, found.trouble
    assert found.sample.codec == f"H{encoder}"
    assert (found.sample.lost, found.sample.declared_rate) == (0, rate)
    assert found.sample.frame_rate == pytest.approx(rate, abs=0.1)
    assert found.sample.key_frames >= 2
    assert found.sample.gop_s >= gop / rate - 0.1  # a busy machine may hold packets back


async def test_a_black_stream_is_told_from_its_sizes() -> None:
    async with gstreamer("none", "127.0.0.1", None, pipeline("black", 20, 20)) as feed:
        found = await heard(feed, PATIENT)

    assert "stream_blank" in found.faults, found


async def test_a_stream_of_one_picture_is_told_from_its_sizes() -> None:
    async with gstreamer("none", "127.0.0.1", None, pipeline("checkers-8", 20, 20)) as feed:
        found = await heard(feed, PATIENT)

    assert "stream_frozen" in found.faults, found


@pytest.mark.parametrize("auth", ["none", "basic", "rfc2069", "md5", "sha256"])
@pytest.mark.parametrize("codec", ["H264", "H265"])
async def test_the_simulators_stream_is_heard(tmp_path: Path, auth: str, codec: str) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], auth=auth, codec=codec)
        found = await heard(feeds["cam-000001"], PatrolSettings(sample_s=1.5))

        assert found.sample is not None, found.trouble
        assert (found.sample.codec, found.sample.lost) == (codec, 0)
        assert found.sample.frame_rate == pytest.approx(5)
        assert found.sample.key_frames == found.sample.frames


async def test_two_refused_logins_stop_the_listening(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], auth="md5")
        wrong = replace(feeds["cam-000001"], credential=Credential("patrol", "wrong"))
        logins = Logins()
        found = [(await take_sample(wrong, logins, QUICK)).trouble for _ in range(4)]

        assert found == [*["401: the login was refused"] * 2, *["the login is stopped"] * 2]
        assert fleet.devices[0].refused_logins == 2


def rtp(number: int, channel: int = 4) -> bytes:
    packet = bytes.fromhex("80e0") + number.to_bytes(2, "big") + bytes(8) + b"\x65" + bytes(99)
    return b"$" + bytes((channel,)) + len(packet).to_bytes(2, "big") + packet


async def test_only_the_channel_that_the_device_named_is_counted() -> None:
    media = rtp(1) + rtp(2) + rtp(9, channel=5) + rtp(9, channel=0) + rtp(4)
    script = answering(DESCRIBED, SET_UP, OK % 3 + b"\r\n" + media)
    async with ScriptedDevice(script) as device:
        found = await heard(device.feed())

    assert found.sample is not None, found.trouble
    assert (found.sample.packets, found.sample.lost) == (3, 1)


async def test_a_session_is_given_back() -> None:
    played = OK % 3 + b"\r\n" + rtp(1)
    async with ScriptedDevice(answering(DESCRIBED, SET_UP, played, OK % 4 + b"\r\n")) as device:
        await heard(device.feed(), PatrolSettings(sample_s=0.3))

        assert b"TEARDOWN" in device.received
        assert device.received.count(b"Session: 7\r\n") == 2  # PLAY and TEARDOWN
        assert b"/live/trackID=1 RTSP/1.0" in device.received


async def test_silence_is_a_fault_and_hanging_up_is_not() -> None:
    async with ScriptedDevice(answering(DESCRIBED, SET_UP, OK % 3 + b"\r\n")) as device:
        silent = await heard(device.feed(), PatrolSettings(sample_s=0.3, answer_s=0.3))
    assert silent.faults == ("no_media",)

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (DESCRIBED, SET_UP, OK % 3 + b"\r\n"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)

    async with ScriptedDevice(hang_up) as device:
        gone = await heard(device.feed(), PatrolSettings(sample_s=30))
    assert (gone.sample, gone.faults) == (None, ())
    assert "before any packet" in gone.trouble


@pytest.mark.parametrize(
    ("answers", "trouble"),
    [
        ((b"HTTP/1.1 400 Bad\r\n\r\n",), "not_rtsp"),
        ((OK % 1 + b"\r\n",), "no video"),
        ((DESCRIBED, b"RTSP/1.0 461 Unsupported Transport\r\nCSeq: 2\r\n\r\n"), "SETUP: 461"),
        ((DESCRIBED.replace(b"trackID=1", b"tr\x00\x07kID=1"),), "cannot be sent"),
        ((b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n",), "login"),
        ((b"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://10.0.0.1/\r\n\r\n",), "302"),
    ],
)
async def test_what_cannot_be_heard_says_why(answers: tuple[bytes, ...], trouble: str) -> None:
    async with ScriptedDevice(answering(*answers)) as device:
        found = await heard(device.feed())

    assert found.sample is None
    assert trouble in found.trouble


async def test_a_flood_ends_the_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.cameras.stream_session.MOST_BYTES", 5_000)

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (DESCRIBED, SET_UP, OK % 3 + b"\r\n"):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        number = 0
        while True:
            number += 1
            writer.write(rtp(number % 65536))
            await writer.drain()

    async with ScriptedDevice(flood) as device:
        found = await asyncio.wait_for(heard(device.feed(), PatrolSettings(sample_s=600)), 60)

    assert found.sample is not None, found.trouble
    assert found.sample.packets < 5_000


def test_one_bad_sample_changes_nothing_and_two_of_three_degrade() -> None:
    lossy = SampleCheck(("packet_loss",), StreamMeter("H264").sample(1))
    memory = judge(Memory(), StreamCheck("ok"), 1)
    memory = judge(memory, lossy, 2)
    assert memory.verdict.state == "online"
    memory = judge(memory, SampleCheck(trouble="no answer in time"), 3)
    assert memory.verdict.state == "online"  # what could not be heard says nothing
    memory = judge(memory, lossy, 4)
    assert (memory.verdict.state, memory.verdict.faults) == ("degraded", ("packet_loss",))
    memory = judge(memory, StreamCheck("ok"), 4 * 3600 * NS)
    assert memory.verdict.state == "online"  # nobody listened for three hours


async def test_a_suspicious_feed_is_listened_to_unasked_and_any_feed_when_asked(
    tmp_path: Path,
) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(
        "edge: {id: e1, data_dir: var}\ncameras: {file: feeds.csv, sweep: 2s}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    async with AsyncExitStack() as stack:
        fleet, _ = await stack.enter_async_context(fleet_and_feeds(tmp_path, count=2))
        await fleet.change(0, "black")  # before the first look, for the next one is long off
        patrol = (await stack.enter_async_context(running(file)))._patrol
        await until(lambda: patrol.detail("cam-000001").sample is not None, 60)
        assert patrol.detail("cam-000001").sample.codec in {"H264", "H265"}
        assert patrol.detail("cam-000002").sampled is None

        told = await asyncio.to_thread(
            tidegate, "edge", "camera", "sample", "cam-000002", "--config", str(file), "--json"
        )
        assert told.returncode == 0, told.stderr
        sample = json.loads(told.stdout)["sample"]
        assert (sample["frame_rate"], sample["lost"], sample["declared_rate"]) == (5.0, 0, 5.0)


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://h/live", "trackID=1", "rtsp://h/live/trackID=1"),
        ("rtsp://h/live/", "trackID=1", "rtsp://h/live/trackID=1"),
        ("rtsp://[::1]:554/a/b/", "/c", "rtsp://[::1]:554/c"),
        ("rtsp://h/cam?channel=1", "trackID=2", "rtsp://h/cam?channel=1/trackID=2"),
        ("rtsp://h/live", "*", "rtsp://h/live"),
        ("rtsp://h/live", "rtsp://10.0.0.1/live/1", "rtsp://10.0.0.1/live/1"),
    ],
)
def test_a_track_is_addressed_as_the_description_says(base: str, control: str, url: str) -> None:
    assert track_url(base, control) == url
