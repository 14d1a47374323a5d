"""A fleet of simulated cameras, each at an address of its own, that listens, changes and stops."""

from __future__ import annotations

import asyncio
import ipaddress
import resource
from random import Random
from types import TracebackType
from typing import Self

from gateway_core.clock import Clock, wall_ns
from gateway_core.errors import Unavailable
from simulators.cameras.camera import Device, draw_condition, draw_device
from simulators.cameras.events import STORM_SHARE, Events
from simulators.cameras.feeds_file import write_feeds
from simulators.cameras.listening import Listening
from simulators.cameras.options import Condition, FleetOptions
from simulators.cameras.server import Connection, Surroundings
from simulators.cameras.truth import Truth

REFUSING: frozenset[Condition] = frozenset({"offline"})
DEAD: frozenset[Condition] = frozenset({"dead", "cut_off"})
_CONNECTIONS = 1024
"""Open files left for connections and the rest of the process."""


class CameraFleet:
    """Thousands of cameras in one process.

    Args:
        options: What the fleet is made of.
        clock: Wall clock.
    """

    def __init__(self, options: FleetOptions, clock: Clock = wall_ns) -> None:
        self._options = options
        self._dice = Random(options.seed)  # noqa: S311 - a reproducible fleet
        self._truth = Truth(options.truth_file, clock)
        disturbance = Random(f"{options.seed} disturbed")  # noqa: S311 - likewise
        self.surroundings = Surroundings(clock, self._truth, options.disturbed, disturbance)
        self._listening = Listening(lambda find: Connection(find, self.surroundings))
        self.devices = self._draw()

    def _draw(self) -> list[Device]:
        options = self._options
        first = ipaddress.ip_address(options.address)
        at_one_address = first == ipaddress.ip_address("::1")
        devices: list[Device] = []
        for index in range(-(-options.count // options.channels)):
            host = str(first if at_one_address else first + index)
            ports = _ports(options, index if at_one_address else 0)
            device = draw_device(options, host, ports, self._dice)
            device.condition = draw_condition(options, self._dice)
            start = index * options.channels
            stop = min(start + options.channels, options.count)
            device.feeds = [
                f"{options.prefix}{number:06d}" for number in range(start + 1, stop + 1)
            ]
            if options.switch_size:
                device.group = f"switch-{index // options.switch_size:05d}"
            elif options.channels > 1:
                device.group = f"nvr-{index:05d}"
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
        self._allow_open_files()
        self._truth.open(self._options)
        try:
            await self._listening.start(self.devices)
            for device in self.devices:
                self._apply(device)
        except OSError as exc:
            await self.stop()
            raise Unavailable(f"cannot listen as a camera: {exc}") from exc
        self._truth.state(*self.devices)
        if self._options.feeds_file is not None:
            write_feeds(self._options.feeds_file, self._options, self.devices)

    async def stop(self) -> None:
        """Close every socket and file."""
        self._listening.close()
        for device in self.devices:
            device.hang_up()
        around = self.surroundings
        self._truth.event(
            "connections", made=around.connections, disturbed=sum(around.disturbances.values())
        )
        self._truth.close()
        await asyncio.sleep(0)  # lets the cut connections go

    async def run(self) -> None:
        """Let happen what the options say, until cancelled."""
        await Events(self._options, self.devices, self._change, self._truth).run()

    async def change(self, index: int, condition: Condition) -> None:
        """Give a device another condition and note it in the truth file.

        Args:
            index: In ``devices``.
            condition: From now on.
        """
        await self._change(self.devices[index], condition)

    def states(self) -> dict[str, str]:
        """Return the intended state of each feed."""
        return {feed: each.intended() for each in self.devices for feed in each.feeds}

    @property
    def sockets(self) -> int:
        """How many sockets it listens on, those of dead cameras included."""
        return len(self._listening)

    async def _change(self, device: Device, condition: Condition) -> None:
        if device.condition == condition:
            return
        was, device.condition = device.condition, condition
        if was in REFUSING | DEAD:
            device.hang_up()  # whoever waited through a power cut is told afterwards
            await self._listening.resume(device)
        self._apply(device)
        self._truth.state(device)

    def _apply(self, device: Device) -> None:
        if device.condition in REFUSING:
            self._listening.refuse(device)
            device.hang_up()
        elif device.condition in DEAD:
            self._listening.drop(device)

    def _allow_open_files(self) -> None:
        """Allow as many as the fleet may need: a socket for each port, and for whoever is dead."""
        options, devices = self._options, self.devices
        dead = sum(options.mix.get(each, 0.0) for each in DEAD) + STORM_SHARE
        alone = len({port for each in devices for port in each.ports()}) or 2 * len(devices)
        most = alone + 2 * int(2 * dead * len(devices)) + 4 * options.switch_size + _CONNECTIONS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        unlimited = resource.RLIM_INFINITY
        if soft != unlimited and soft < most:
            wanted = most if hard == unlimited else min(most, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            if wanted < alone + _CONNECTIONS:
                needs = f"needs {most} open files, the system allows {hard}: ulimit -Hn"
                raise Unavailable(needs)


def _ports(options: FleetOptions, index: int) -> tuple[int, int]:
    """Return RTSP and ONVIF port of the device that is ``index`` devices after the first there."""
    if not options.rtsp_port:
        return 0, 0
    if options.rtsp_port == options.onvif_port:
        return options.rtsp_port + index, options.rtsp_port + index
    if index or options.address == "::1":
        return options.rtsp_port + 2 * index, options.rtsp_port + 2 * index + 1
    return options.rtsp_port, options.onvif_port
