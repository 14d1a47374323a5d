"""A simulated fleet is reproducible, says what it intends, and really behaves so."""

from __future__ import annotations

import asyncio
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.grader import Grader
from edge_agent.cameras.grading import Before, PictureLimits, faults_of, grade
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
    counts = Counter(condition for _, condition, *_ in drawn(3, 10_000))

    for condition, share in DEFAULT_MIX.items():
        assert share * 10_000 / 2 < counts[condition] < share * 10_000 * 2


async def test_five_hundred_cameras_listen_each_at_its_own_address(tmp_path: Path) -> None:
    path = tmp_path / "feeds.csv"
    options = FleetOptions(count=500, mix={}, address="127.40.0.250", feeds_file=path, **PORTS)
    async with CameraFleet(options):
        feeds = load_feeds(path)
        assert len({feed.host for feed in feeds.values()}) == 500
        assert feeds["cam-000500"].host == "127.40.2.237"
        for host in ("127.40.0.250", "127.40.1.7", "127.40.2.237"):
            await knock(host)


async def test_pictures_look_like_their_condition() -> None:
    dice = Random(1)
    snowy = [tuple(dice.choice((-9, 9)) for _ in range(64)) for _ in range(COLUMNS * ROWS)]
    async with Grader() as grader:
        keys = {(await grader.measure(picture("good", each))).key for each in range(VARIANTS)}
        frozen = {(await grader.measure(picture("frozen", each))).key for each in range(VARIANTS)}
        snow = await grader.measure(encode(snowy, COLUMNS, ROWS))

    assert len(keys) == VARIANTS
    assert len(frozen) == 1
    assert faults_of(grade(snow, Before(), None, PictureLimits())) == ("picture_noisy",)


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
