"""GStreamer's RTSP server, run for a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge_agent.cameras.address import RtspAddress, bracketed
from edge_agent.cameras.inventory import Credential, Feed

SERVER = Path(__file__).parent / "gst_rtsp_server.py"
LOGIN = Credential("viewer", 'tide"4711')


def pipeline(pattern: str = "ball", rate: int = 10, gop: int = 10, encoder: str = "264") -> str:
    """A live test picture, encoded.

    Args:
        pattern: Of videotestsrc.
        rate: Frames a second.
        gop: Frames from one key frame to the next.
        encoder: ``264`` or ``265``.
    """
    size = f"video/x-raw,format=I420,width=320,height=240,framerate={rate}/1"
    more = ' option-string="scenecut=0"'
    return (
        f"( videotestsrc is-live=true pattern={pattern} ! {size}"
        f" ! x{encoder}enc tune=zerolatency key-int-max={gop}{more}"
        f" ! rtph{encoder}pay name=pay0 pt=96 )"
    )


@asynccontextmanager
async def gstreamer(
    auth: str, address: str, credential: Credential | None, stream: str = ""
) -> AsyncIterator[Feed]:
    """A feed of a running GStreamer server."""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3",
        str(SERVER),
        address,
        auth,
        LOGIN.username,
        LOGIN.password,
        stream or pipeline(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        url = f"rtsp://{bracketed(address)}:{port}/live"
        yield Feed("gst", address, RtspAddress(url, address, port), credential=credential)
    finally:
        process.kill()
        await process.communicate()
