"""The real agent as a process of its own, with a real broker or without."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.broker import Mosquitto
from tests.fakes.edge import write_profile
from tests.fakes.ports import free_port


class RealAgent:
    """One `python -m edge_agent`, ended by its own process id.

    Attributes:
        program: What Python is told to run.
    """

    program: tuple[str, ...] = ("-m", "edge_agent")

    def __init__(
        self, folder: Path, broker: Mosquitto | None, profile: str, more: str = ""
    ) -> None:
        self.folder = folder
        self.admin = free_port("::1")
        self.coap = free_port("::1")
        write_profile(folder / "profiles", profile)
        self.config = folder / "edge.yaml"
        site = f"mqtt: [{{name: site, url: '{broker.url}'}}]\n" if broker is not None else ""
        self.config.write_text(
            f"edge: {{id: e1, area: '3716', data_dir: var}}\n{site}"
            f"coap: {{listen: '[::1]:{self.coap}'}}\n"
            "profiles: [profiles]\n"
            f"admin: {{listen: '[::1]:{self.admin}'}}\n" + more
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://[::1]:{self.admin}"

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        log = (self.folder / "agent.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [sys.executable, *self.program, "--config", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment,
            )

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        status = await asyncio.to_thread(self._process.wait, 30)
        self._process = None
        return status

    def halt(self) -> None:
        """Let it do nothing, and lose nothing, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a halted agent go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def hang_up(self) -> None:
        """Ask it to read its files again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    async def kill(self) -> None:
        """End it at once, if it still runs."""
        if self._process is not None:
            await self.end(signal.SIGKILL)

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    async def get(self, path: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            return await answer.json(content_type=None)

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, data=json.dumps(body)) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the status once it is as wanted."""
        try:
            async with asyncio.timeout(40):
                while True:
                    with contextlib.suppress(aiohttp.ClientError):
                        status: dict[str, Any] = await self.get("/status")
                        if holds(status):
                            return status
                    assert self._process is not None
                    assert self._process.poll() is None, self.log()
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(self.log()) from None


def connected(status: dict[str, Any]) -> bool:
    return all(source["connected"] for source in status["sources"])
