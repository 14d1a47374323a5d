"""Independent software agrees: our client with GStreamer's server, our simulator with its clients."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.inspect import inspect_device
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable
from tests.fakes.cameras import fleet_and_feeds, set_up
from tests.fakes.gstreamer import LOGIN, gstreamer

PATIENT = PatrolSettings(connect_s=10, answer_s=20)
FIRST = "cam-000001"


@pytest.mark.parametrize("auth", ["none", "basic", "digest"])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_gstreamers_stream_is_described(auth: str, address: str) -> None:
    async with gstreamer(auth, address, LOGIN) as feed:
        found = await check_stream(feed, Plan(), Logins(), PATIENT)

    assert (found.outcome, found.described) == ("ok", True), found
    assert (found.tracks[0].codec, found.tracks[0].size) == ("H264", (320, 240))


async def test_gstreamer_refuses_a_wrong_password_and_we_stop() -> None:
    wrong = Credential(LOGIN.username, "wrong")
    logins = Logins()
    async with gstreamer("digest", "127.0.0.1", wrong) as feed:
        found = [(await check_stream(feed, Plan(), logins, PATIENT)).outcome for _ in range(3)]

    assert found == ["auth_failed", "auth_failed", "login_stopped"]


async def test_gstreamer_has_no_stream_at_another_path() -> None:
    async with gstreamer("none", "127.0.0.1", None) as feed:
        url = feed.rtsp.url.replace("/live", "/dead")
        other = Feed("gst", feed.host, RtspAddress(url, feed.host, feed.rtsp.port))

        assert (await check_stream(other, Plan(), Logins(), PATIENT)).outcome == "not_found"


async def run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize(
    ("auth", "codec"),
    [
        ("none", "H264"),
        ("basic", "H264"),
        ("rfc2069", "H264"),
        ("md5", "H264"),
        ("none", "H265"),
        ("md5", "H265"),
    ],
)
async def test_ffprobe_plays_a_simulated_camera(tmp_path: Path, auth: str, codec: str) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, _):
        device = fleet.devices[0]
        set_up(device, auth=auth, codec=codec)
        url = device.stream_url(1).replace("//", f"//{device.username}:{device.password}@")
        out = await run(
            *(
                "ffprobe",
                "-v",
                "quiet",
                "-rtsp_transport",
                "tcp",
                "-count_frames",
                "-analyzeduration",
                "1",
            ),
            *("-read_intervals", "%+#3", "-of", "csv=p=0"),
            *("-show_entries", "stream=codec_name,width,height,nb_read_frames", url),
        )

    name = {"H264": "h264", "H265": "hevc"}[codec]
    assert out.strip().startswith(f"{name},640,360,")
    assert int(out.strip().rpartition(",")[2]) >= 1


@pytest.mark.parametrize("address", ["127.10.0.1", "::1"])
async def test_onvif_zeep_reads_from_the_simulator_what_our_codec_reads(
    tmp_path: Path, address: str
) -> None:
    async with fleet_and_feeds(tmp_path, count=1, address=address) as (fleet, feeds):
        device = fleet.devices[0]
        set_up(device, soap_auth="token", codec="H264", media2=False)
        feed, known, logins = feeds[FIRST], Device(), Logins()
        theirs = await inspect_device(feed.host, feed.onvif_port or 0, feed.credential)
        async with open_session(4) as session:
            client = OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())
            ours = await survey(client, feed, known, 10.0)

    (their_profile,) = theirs.profiles
    (our_profile,) = known.profiles
    assert (
        ours.identity == f"{theirs.manufacturer} {theirs.model} {theirs.firmware} {theirs.serial}"
    )
    assert (our_profile.token, our_profile.codec, our_profile.size) == (
        their_profile.token,
        their_profile.codec,
        their_profile.size,
    )
    assert their_profile.stream_url == feed.rtsp.url
    assert their_profile.snapshot_url == ours.snapshot_url
    assert theirs.skew_s == pytest.approx(ours.skew_s, abs=2)


async def test_inspecting_a_closed_port_or_with_a_wrong_password_says_so(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, _):
        device = fleet.devices[0]
        set_up(device, soap_auth="token")
        with pytest.raises(Unavailable, match="not Authorized"):
            await inspect_device(device.host, device.onvif_port, Credential("patrol", "wrong"))
        port = device.onvif_port
        await fleet.change(0, "offline")
        with pytest.raises(Unavailable):
            await inspect_device(device.host, port)
