"""The feeds file that an edge patrols a fleet with, and the password beside it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from simulators.cameras.camera import Device
from simulators.cameras.options import FleetOptions

_COLUMNS = "id,name,host,onvif_port,rtsp_url,username,password_file,area,lat,lon,group"


def write_feeds(path: Path, options: FleetOptions, devices: Sequence[Device]) -> None:
    """Write both files."""
    (path.parent / "password").write_text(options.password + "\n", encoding="utf-8")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        stream.write(f"{_COLUMNS}\r\n")
        for number, device in enumerate(devices):
            lat = 35.40 + number % 100 * 0.001
            lon = 115.90 + number // 100 * 0.001
            for channel, feed in enumerate(device.feeds, 1):
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
                        device.group,
                    )
                )
