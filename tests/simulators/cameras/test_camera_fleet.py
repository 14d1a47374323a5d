"""A simulated fleet is reproducible, says what it intends, and really behaves so."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.grader import Grader
from edge_agent.cameras.picture import grade
from gateway_core.errors import Unavailable
from simulators.cameras.fleet import CameraFleet
from simulators.cameras.jpeg import COLUMNS, ROWS, VARIANTS, encode, picture
from simulators.cameras.options import DEFAULT_MIX, FleetOptions
from simulators.cameras.stream import IDR, PPS, SPS

PORTS = {"rtsp_port": 28554, "onvif_port": 28899}


def drawn(seed: int, count: int = 400) -> list[tuple[str, ...]]:
    fleet = CameraFleet(FleetOptions(seed=seed, count=count))
    return [(d.host, d.condition, d.auth, d.soap_auth, d.codec, d.serial) for d in fleet.devices]


async def knock(host: str) -> None:
    """Connect and go away again."""
    _, writer = await asyncio.open_connection(host, 28554)
    writer.close()
    await writer.wait_closed()


def test_the_same_seed_gives_the_same_fleet() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_mix_is_kept_about() -> None:
    counts = Counter(condition for _, condition, *_ in drawn(3, 4000))

    for condition, share in DEFAULT_MIX.items():
        assert share * 4000 / 2 < counts[condition] < share * 4000 * 2


async def test_five_hundred_cameras_listen_each_at_its_own_address(tmp_path: Path) -> None:
    path = tmp_path / "feeds.csv"
    options = FleetOptions(count=500, mix={}, address="127.40.0.250", feeds_file=path, **PORTS)
    async with CameraFleet(options):
        feeds = load_feeds(path)
        assert len({feed.host for feed in feeds.values()}) == 500
        assert feeds["cam-000500"].host == "127.40.2.237"
        for host in ("127.40.0.250", "127.40.1.7", "127.40.2.237"):
            await knock(host)


async def test_a_camera_that_goes_offline_refuses_and_comes_back(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    options = FleetOptions(count=2, mix={}, address="127.41.0.1", truth_file=truth, **PORTS)
    async with CameraFleet(options) as fleet:
        reader, writer = await asyncio.open_connection("127.41.0.2", 28554)
        await fleet.change(1, "offline")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await knock("127.41.0.2")
        await fleet.change(1, "good")
        await knock("127.41.0.2")

    lines = [json.loads(line) for line in truth.read_text(encoding="utf-8").splitlines()]
    assert [(line["feed"], line["state"]) for line in lines] == [
        ("cam-000001", "online"),
        ("cam-000002", "online"),
        ("cam-000002", "offline"),
        ("cam-000002", "online"),
    ]
    assert lines[2]["condition"] == "offline"
    assert lines[0]["time"] <= lines[3]["time"]


async def test_cameras_change_by_themselves(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    options = FleetOptions(
        count=20, mix={"no_stream": 1.0}, change_every_s=0.005, truth_file=truth, rtsp_port=0
    )
    async with CameraFleet(options) as fleet, asyncio.TaskGroup() as group:
        task = group.create_task(fleet.run())
        async with asyncio.timeout(30):
            while "online" not in fleet.states().values():
                await asyncio.sleep(0)
        task.cancel()

    assert '"state": "online"' in truth.read_text(encoding="utf-8")


async def test_a_fleet_on_one_address_has_ports_of_its_own() -> None:
    fleet = CameraFleet(FleetOptions(count=3, address="::1", rtsp_port=28600))

    assert [(d.host, d.rtsp_port, d.onvif_port) for d in fleet.devices] == [
        ("::1", 28600, 28601),
        ("::1", 28602, 28603),
        ("::1", 28604, 28605),
    ]


async def test_one_socket_can_serve_both_protocols(tmp_path: Path) -> None:
    options = FleetOptions(count=1, mix={}, address="127.42.0.1", rtsp_port=28554, onvif_port=28554)
    async with CameraFleet(options):
        reader, writer = await asyncio.open_connection("127.42.0.1", 28554)
        writer.write(b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        rtsp = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /nothing HTTP/1.1\r\n\r\n")
        http = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    assert rtsp.startswith(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
    assert http.startswith(b"HTTP/1.1 404 Not Found\r\n")


async def test_a_taken_port_is_told() -> None:
    options = FleetOptions(count=1, mix={}, address="127.43.0.1", **PORTS)
    async with CameraFleet(options):
        with pytest.raises(Unavailable, match="cannot listen as a camera"):
            await CameraFleet(options).start()


async def test_pictures_look_like_their_condition() -> None:
    dice = Random(1)
    snowy = [tuple(dice.choice((-9, 9)) for _ in range(64)) for _ in range(COLUMNS * ROWS)]
    async with Grader() as grader:
        keys = {(await grader.measure(picture("good", each))).key for each in range(VARIANTS)}
        frozen = {(await grader.measure(picture("frozen", each))).key for each in range(VARIANTS)}
        snow = await grader.measure(encode(snowy, COLUMNS, ROWS))

    assert len(keys) == VARIANTS
    assert len(frozen) == 1
    assert grade(snow, "") == ("picture_noisy",)


def test_the_canned_stream_is_decoded_by_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "one.h264"
    path.write_bytes(b"".join(b"\x00\x00\x00\x01" + unit for unit in (SPS, PPS, IDR)))

    out = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "frame=width,height", path],
        capture_output=True,
        text=True,
        check=True,
    )

    assert out.stdout.strip().strip(",") == "640,360"
    assert out.stderr == ""
