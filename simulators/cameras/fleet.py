"""A fleet of simulated cameras, each at an address of its own, that listens, changes and stops."""

from __future__ import annotations

import asyncio
import csv
import ipaddress
import json
import resource
import socket
from collections import Counter
from random import Random
from types import TracebackType
from typing import IO, Self

import structlog

from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import Unavailable
from simulators.cameras.camera import Device, draw_condition, draw_device
from simulators.cameras.options import Condition, FleetOptions
from simulators.cameras.server import Connection

log = structlog.get_logger()

BACKLOG = 64
_COLUMNS = "id,name,host,onvif_port,rtsp_url,username,password_file,area,lat,lon,group"


class CameraFleet:
    """Thousands of cameras in one process.

    Args:
        options: What the fleet is made of.
        clock: Wall clock.
    """

    def __init__(self, options: FleetOptions, clock: Clock = wall_ns) -> None:
        self._options = options
        self._clock = clock
        self._dice = Random(options.seed)  # noqa: S311 - a reproducible fleet
        self._servers: dict[int, list[asyncio.Server]] = {}
        self._connections: dict[int, set[Connection]] = {}
        self._truth: IO[str] | None = None
        self.devices = self._draw()

    def _draw(self) -> list[Device]:
        options = self._options
        first = ipaddress.ip_address(options.address)
        devices: list[Device] = []
        for index in range(-(-options.count // options.channels)):
            host, ports = str(first + index), (options.rtsp_port, options.onvif_port)
            if first.version == 6:
                host = str(first)
                ports = (ports[0] + 2 * index, ports[0] + 2 * index + 1)
            if not options.rtsp_port:
                ports = (0, 0)
            device = draw_device(options, host, ports, self._dice)
            device.condition = draw_condition(options, self._dice)
            start = index * options.channels
            stop = min(start + options.channels, options.count)
            device.feeds = [
                f"{options.prefix}{number:06d}" for number in range(start + 1, stop + 1)
            ]
            devices.append(device)
        return devices

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, and write the feeds file and the first lines of the truth file.

        Raises:
            Unavailable: An address or a port is taken, or the system allows too few open files.
        """
        sockets = 1 if 0 < self._options.rtsp_port == self._options.onvif_port else 2
        _allow_open_files(sockets * len(self.devices) + 1024)
        if self._options.truth_file is not None:
            # Kept open for the fleet's life; a line is written at each change.
            self._truth = self._options.truth_file.open("w", encoding="utf-8")
        try:
            for index in range(len(self.devices)):
                await self._listen(index)
        except OSError as exc:
            await self.stop()
            raise Unavailable(f"cannot listen as a camera: {exc}") from exc
        for index, device in enumerate(self.devices):
            self._tell(device)
            if device.condition == "offline":
                self._hang_up(index)
        self._write_feeds()

    async def stop(self) -> None:
        """Close every socket and file."""
        for index in list(self._servers):
            self._hang_up(index)
        if self._truth is not None:
            self._truth.close()
            self._truth = None
        await asyncio.sleep(0)  # lets the cut connections go

    async def run(self) -> None:
        """Change cameras at random, as often as the options say, until cancelled."""
        while True:
            if not self._options.change_every_s:
                await asyncio.Event().wait()
            await asyncio.sleep(self._dice.expovariate(1 / self._options.change_every_s))
            index = self._dice.randrange(len(self.devices))
            was = self.devices[index].condition
            drawn = draw_condition(self._options, self._dice)
            # What is broken is mended, and what is whole breaks, or nothing happens.
            await self.change(index, drawn if was == "good" else "good")

    async def change(self, index: int, condition: Condition) -> None:
        """Give a device another condition and note it in the truth file.

        Args:
            index: In ``devices``.
            condition: From now on.
        """
        device = self.devices[index]
        if device.condition == condition:
            return
        was, device.condition = device.condition, condition
        if condition == "offline":
            self._hang_up(index)
        elif was == "offline":
            await self._listen(index)
        self._tell(device)

    def states(self) -> dict[str, str]:
        """Return the intended state of each feed."""
        return {feed: each.intended() for each in self.devices for feed in each.feeds}

    async def _listen(self, index: int) -> None:
        device = self.devices[index]
        connections = self._connections.setdefault(index, set())
        loop = asyncio.get_running_loop()
        servers = self._servers.setdefault(index, [])
        # One socket does for both where the ports are equal.
        ports = sorted({device.rtsp_port, device.onvif_port}) if device.rtsp_port else [0, 0]
        for at, port in enumerate(ports):
            family = socket.AF_INET6 if ":" in device.host else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((device.host, port))
            except OSError:
                sock.close()
                raise
            chosen = sock.getsockname()[1]
            if not port and at == 0:
                device.rtsp_port = chosen
            elif not port:
                device.onvif_port = chosen
            server = await loop.create_server(
                lambda: Connection(device, self._clock, connections), sock=sock, backlog=BACKLOG
            )
            servers.append(server)

    def _hang_up(self, index: int) -> None:
        for server in self._servers.pop(index, []):
            server.close()
        for connection in list(self._connections.pop(index, set())):
            connection.abort()

    def _tell(self, device: Device) -> None:
        if self._truth is None:
            return
        for feed in device.feeds:
            line = {
                "time": self._clock(),
                "feed": feed,
                "state": device.intended(),
                "condition": device.condition,
            }
            self._truth.write(json.dumps(line) + "\n")
        self._truth.flush()

    def _write_feeds(self) -> None:
        path, options = self._options.feeds_file, self._options
        if path is None:
            return
        (path.parent / "password").write_text(options.password + "\n", encoding="utf-8")
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            stream.write(f"{_COLUMNS}\r\n")
            for number, device in enumerate(self.devices):
                for channel, feed in enumerate(device.feeds, 1):
                    lat = 35.40 + number % 100 * 0.001
                    lon = 115.90 + number // 100 * 0.001
                    writer.writerow(
                        (
                            feed,
                            f"Camera {feed[-6:]}",
                            device.host,
                            device.onvif_port,
                            device.stream_url(channel),
                            options.username,
                            "password",
                            options.area,
                            f"{lat:.4f}",
                            f"{lon:.4f}",
                            f"nvr-{number:05d}" if options.channels > 1 else "",
                        )
                    )


async def simulate_cameras(options: FleetOptions) -> None:
    """Run a fleet until cancelled.

    Raises:
        Unavailable: It cannot listen.
    """
    async with CameraFleet(options) as fleet:
        counts = Counter(str(device.condition) for device in fleet.devices)
        log.info("cameras_started", feeds=options.count, conditions=dict(counts))
        await fleet.run()


def _allow_open_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < needed:
        wanted = needed if hard == unlimited else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        if wanted < needed:
            raise Unavailable(f"needs {needed} open files, the system allows {hard}: ulimit -Hn")
