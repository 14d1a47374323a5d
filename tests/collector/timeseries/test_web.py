"""What goes to a server elsewhere is squeezed; on this machine that would cost both for nothing."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.timeseries.web import is_near, open_web


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8086", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8086/influx", True),
        ("https://localhost:8086", True),
        ("http://10.1.2.3:8086", False),
        ("http://[2001:db8::1]:8086", False),
        ("http://localhost.example.org", False),
        ("http://influx:8086", False),
    ],
)
def test_which_servers_are_on_this_machine(url: str, near: bool) -> None:
    assert is_near(url) is near


@pytest.mark.parametrize(("host", "coding"), [("127.0.0.1", None), ("0.0.0.0", "gzip")])
async def test_the_server_gets_the_same_bytes_either_way(host: str, coding: str | None) -> None:
    """Linux takes 0.0.0.0 for this machine, but nobody who reads it would."""
    came: list[tuple[str | None, bytes]] = []

    async def write(request: web.Request) -> web.Response:
        came.append((request.headers.get("Content-Encoding"), await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/write", write)
    async with TestServer(app) as server, open_web(f"http://{host}:{server.port}") as opened:
        answer = await opened.send("POST", "/write", body=b"m f=1 1\n" * 1000)
    assert answer.status == 204
    assert came == [(coding, b"m f=1 1\n" * 1000)]
