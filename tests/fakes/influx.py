"""Real time-series servers, and a stand-in for those that Debian does not have."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import web

from tests.fakes.ports import free_port

_INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{host}:{port}"
  log-enabled = false
[logging]
  level = "error"
"""


@contextlib.asynccontextmanager
async def influxd(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run InfluxDB 1 with its files in `folder`; yield its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    port, rpc = free_port(host), free_port()
    shown = f"[{host}]" if ":" in host else host
    config = folder / "influxdb.conf"
    config.write_text(_INFLUXD.format(folder=folder, host=shown, port=port, rpc=rpc))
    command = ["influxd", "-config", str(config)]
    async with _served(command, folder, f"http://{shown}:{port}", "/ping") as url:
        yield url


@contextlib.asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[str]:
    """Run VictoriaMetrics with its files in `folder`; yield its URL."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        "victoria-metrics",
        f"-storageDataPath={folder / 'vm'}",
        f"-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-memory.allowedBytes=256MB",
        "-loggerLevel=ERROR",
        "-search.latencyOffset=0s",
        "-dedup.minScrapeInterval=1ms",  # without it a point written twice is kept twice
    ]
    async with _served(command, folder, f"http://127.0.0.1:{port}", "/health") as url:
        yield url


@contextlib.asynccontextmanager
async def _served(command: list[str], folder: Path, url: str, path: str) -> AsyncIterator[str]:
    with (folder / "server.log").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            async with asyncio.timeout(60), aiohttp.ClientSession() as session:
                while not await _answers(session, url + path):
                    assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
                    await asyncio.sleep(0.05)
            yield url
        finally:
            process.kill()
            process.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status < 300
    except aiohttp.ClientError:
        return False


class StandIn:
    """An HTTP server that answers as it was told and remembers what it was asked.

    Attributes:
        url: Where it listens.
        asked: (method, path, query, body as text, headers) of every request.
        answers: Path to (status, body, content type); what is not there gets 404.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, str, dict[str, str], str, dict[str, str]]] = []
        self.answers: dict[str, tuple[int, str, str]] = {}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        text = gzip.decompress(raw).decode() if raw[:2] == b"\x1f\x8b" else raw.decode()
        self.asked.append(
            (request.method, request.path, dict(request.query), text, dict(request.headers))
        )
        status, body, kind = self.answers.get(request.path, (404, "{}", "application/json"))
        return web.Response(status=status, text=body, content_type=kind)
