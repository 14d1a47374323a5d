"""A connection that breaks on its way is no fault of the camera; one that breaks each is at fault."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway_core.model import FeedHealth
from tests.fakes.cameras import Recorder, ScriptedDevice, patrolling

OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
DESCRIBED = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: %d\r\n\r\n%s" % (len(SDP), SDP)


class Unreliable:
    """Serves only the second of every two connections, or none but the first."""

    def __init__(self, how: str, *, every_second: bool) -> None:
        self.how, self.every_second = how, every_second
        self.connections = 0

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        served = self.connections % 2 == 0 if self.every_second else self.connections == 1
        for answer in (OPTIONS, DESCRIBED):
            await reader.readuntil(b"\r\n\r\n")
            if served:
                writer.write(answer)
            elif self.how == "hangs up":
                return
        await reader.read()


@pytest.mark.parametrize("how", ["hangs up", "falls silent"])
async def test_every_second_connection_may_break(how: str) -> None:
    camera, recorder = Unreliable(how, every_second=True), Recorder()
    async with ScriptedDevice(camera.script) as device:
        feed = replace(device.feed(), onvif_port=None)
        async with patrolling({feed.id: feed}, recorder, sweep_s=0.2, answer_s=1.0):
            async with asyncio.timeout(60):
                while camera.connections < 9:
                    await asyncio.sleep(0.05)

    states = [each.state for each in recorder.records if isinstance(each, FeedHealth)]
    assert states == ["online"]


@pytest.mark.parametrize("how", ["hangs up", "falls silent"])
async def test_a_camera_that_breaks_all_is_offline(how: str) -> None:
    camera, recorder = Unreliable(how, every_second=False), Recorder()
    async with ScriptedDevice(camera.script) as device:
        feed = replace(device.feed(), onvif_port=None)
        async with patrolling({feed.id: feed}, recorder, sweep_s=0.2, answer_s=1.0):
            await recorder.until(lambda: recorder.states().get(feed.id) == "offline")

    assert camera.connections >= 3
