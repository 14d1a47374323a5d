"""Need: asking a camera over ONVIF costs a millisecond of CPU, watching one a few kilobytes.

A simulated camera in a process of its own (WS-UsernameToken) is asked for its information, its
profiles and the address of a stream, again and again, by the patrol's client and by
onvif-zeep-async, one after the other in one process. CPU is that of the asking process, user and
system. Memory is what each of 1,800 feeds adds to a patrol that judged all of them over RTSP, ONVIF
and by their pictures, and what a camera object of onvif-zeep-async adds.

    python -m benchmarks.cameras [--cycles 300]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import psutil
from onvif import ONVIFCamera

from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif import (
    GET_INFORMATION,
    get_profiles,
    get_stream_uri,
    read_information,
    read_profiles,
    read_uri,
)
from edge_agent.cameras.onvif_client import Device, OnvifClient
from edge_agent.cameras.patrol import Patrol
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from gateway_core.meter import Meter
from gateway_core.model import Record
from tests.e2e.city import PYTHON, Program
from tests.fakes.ports import free_port

WARM = 20
MANY, FEW = 2000, 200
SWEEP_S = 10.0
OBJECTS = 20
"""Camera objects of onvif-zeep-async whose memory is measured."""


async def cpu_ms(cycle: Callable[[], Awaitable[object]], cycles: int) -> float:
    """CPU milliseconds of one cycle."""
    for _ in range(WARM):
        await cycle()
    began = time.process_time()
    for _ in range(cycles):
        await cycle()
    return (time.process_time() - began) / cycles * 1000


async def ours(feed: Feed, cycles: int) -> float:
    """The patrol's client."""
    logins, device = Logins(), Device()
    async with open_session(4) as session:
        client = OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())
        check = await survey(client, feed, device, 10.0)
        assert not check.faults, check

        async def cycle() -> None:
            information = read_information(await client.call(feed, device, GET_INFORMATION))
            profiles = read_profiles(await client.call(feed, device, get_profiles("media")))
            uri = get_stream_uri("media", profiles[0].token)
            assert information.serial
            assert read_uri(await client.call(feed, device, uri))

        return await cpu_ms(cycle, cycles)


async def theirs(feed: Feed, cycles: int) -> float:
    """onvif-zeep-async, its proxies kept."""
    assert feed.credential is not None
    camera = await zeep_camera(feed)
    management = await camera.create_devicemgmt_service()
    media = await camera.create_media_service()

    async def cycle() -> None:
        information = await management.GetDeviceInformation()
        profiles = await media.GetProfiles()
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        uri = await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profiles[0].token})
        assert information.SerialNumber
        assert uri.Uri

    try:
        return await cpu_ms(cycle, cycles)
    finally:
        await camera.close()


async def zeep_camera(feed: Feed) -> ONVIFCamera:
    """A camera object that knows the addresses of its services."""
    credential = feed.credential or Credential("", "")
    camera = ONVIFCamera(feed.host, feed.onvif_port, credential.username, credential.password)
    await camera.update_xaddrs()
    return camera


def rss() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return psutil.Process().memory_info().rss


async def zeep_bytes(feed: Feed) -> float:
    """Bytes that a camera object of onvif-zeep-async adds, its two services used once."""

    async def add() -> ONVIFCamera:
        camera = await zeep_camera(feed)
        await (await camera.create_devicemgmt_service()).GetDeviceInformation()
        await (await camera.create_media_service()).GetProfiles()
        return camera

    cameras = [await add()]
    before = rss()
    cameras += [await add() for _ in range(OBJECTS)]
    grown = rss() - before
    for camera in cameras:
        await camera.close()
    return grown / OBJECTS


async def nothing(records: Sequence[Record], state: Mapping[str, bytes | None]) -> None:
    """Store nothing."""


async def patrol_rss(path: Path) -> int:
    """Resident bytes of this process once a patrol has judged every feed of a file twice."""
    meter = Meter()
    feeds = load_feeds(path)
    settings = PatrolSettings(sweep_s=SWEEP_S, onvif_s=2 * SWEEP_S, describe_s=SWEEP_S)
    patrol = Patrol("sim-edge-01", feeds, nothing, settings=settings, meter=meter)
    task = asyncio.create_task(patrol.run())
    await asyncio.sleep(2.5 * SWEEP_S)
    async with asyncio.timeout(120):
        while patrol.states().get("unknown", 0):
            await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task])
    return rss()


def patrol_bytes(folder: Path) -> float:
    """Bytes that each feed adds to a patrol: many feeds and few, each in a process of its own."""
    many = (folder / "feeds.csv").read_text().splitlines()
    (folder / "few.csv").write_text("\n".join(many[: FEW + 1]) + "\n")
    found = []
    for name in ("few.csv", "feeds.csv"):
        command = [sys.executable, "-m", "benchmarks.cameras", "--rss-of", str(folder / name)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found.append(int(told.split()[-1]))  # after the patrol's log
    return (found[1] - found[0]) / (len(many) - 1 - FEW)


def measure(cycles: int = 300) -> dict[str, float]:
    """Start the cameras, measure everything, and end them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [PYTHON, "-m", "tidegate", "simulate", "cameras", "--count", str(MANY)]
        command += ["--feeds-csv", str(folder / "feeds.csv"), "--faults", "none"]
        command += ["--port", str(free_port()), "--onvif-port", str(free_port())]
        cameras = Program("cameras", command, folder / "log", (folder / "feeds.csv").exists)
        cameras.start()
        try:
            feed = asyncio.run(token_camera(folder / "feeds.csv"))
            return {
                "cycle_ms": asyncio.run(ours(feed, cycles)),
                "zeep_cycle_ms": asyncio.run(theirs(feed, cycles)),
                "zeep_bytes": asyncio.run(zeep_bytes(feed)),
                "feed_bytes": patrol_bytes(folder),
            }
        finally:
            cameras.stop()


async def token_camera(path: Path) -> Feed:
    """Return a simulated camera that both clients can log in to, which is not everyone."""
    for feed in load_feeds(path).values():
        logins, device = Logins(), Device()
        async with open_session(4) as session:
            client = OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())
            await survey(client, feed, device, 10.0)
        if device.way == "token":
            return feed
    raise AssertionError("no camera wants a token")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=300)
    parser.add_argument("--rss-of", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.rss_of:
        sys.stdout.write(f"{asyncio.run(patrol_rss(asked.rss_of))}\n")
        return
    print(json.dumps(measure(asked.cycles), indent=1))


if __name__ == "__main__":
    main()
