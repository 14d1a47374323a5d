"""The truth about a fleet, as JSON lines: what each camera is meant to be like, and since when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from gateway_core.clock import Clock
from simulators.cameras.camera import Device
from simulators.cameras.options import FleetOptions


class Truth:
    """Writes the truth file; without a path it writes nothing.

    The first line says that all this is simulated, and by which seed. A line with ``feed`` says
    that from its ``time`` on, in nanoseconds since 1970, the feed's ``condition`` is meant to be
    judged ``state``. A line with ``event`` tells what several of them share, or what was done to
    one.

    Args:
        path: Where to write.
        clock: Wall clock.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file: IO[str] | None = None

    def open(self, options: FleetOptions) -> None:
        """Begin a new file."""
        if self._path is not None:
            self._file = self._path.open("w", encoding="utf-8")
            self._write(simulated=True, seed=options.seed, feeds=options.count)

    def state(self, *devices: Device) -> None:
        """Write what the feeds of devices are meant to be like from now on."""
        if self._file is None:
            return
        for device in devices:
            for feed in device.feeds:
                self._write(feed=feed, state=device.intended(), condition=device.condition)
        self._file.flush()

    def event(self, event: str, **more: object) -> None:
        """Write something that happened."""
        if self._file is not None:
            self._write(event=event, **more)
            self._file.flush()

    def close(self) -> None:
        """End the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, **line: object) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"time": self._clock(), **line}) + "\n")
