"""What a simulated fleet of cameras is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

Condition = Literal[
    "good",
    "offline",
    "silent",
    "slow",
    "wrong_password",
    "no_stream",
    "busy",
    "clock_skew",
    "black",
    "frozen",
    "blurred",
    "odd_xml",
]
"""What is the matter with a camera."""

INTENDED: Mapping[Condition, str] = MappingProxyType(
    {
        "good": "online",
        "offline": "offline",  # nothing listens: connections are refused
        "silent": "offline",  # takes connections and never answers
        "slow": "online",  # answers after a second
        "wrong_password": "auth_failed",  # the password was changed on the device
        "no_stream": "no_stream",  # 404 for the stream's path
        "busy": "locked_out",  # 453: all its sessions are taken
        "clock_skew": "degraded",  # a day behind, and refuses tokens of any other time
        "black": "degraded",
        "frozen": "degraded",
        "blurred": "degraded",
        "odd_xml": "online",  # SOAP as real cameras write it
    }
)
"""The state that a patrol should come to, in its own words."""

DEFAULT_MIX: Mapping[Condition, float] = MappingProxyType(
    {
        "offline": 0.02,
        "silent": 0.005,
        "slow": 0.02,
        "wrong_password": 0.01,
        "no_stream": 0.01,
        "busy": 0.005,
        "clock_skew": 0.01,
        "black": 0.005,
        "frozen": 0.005,
        "blurred": 0.005,
        "odd_xml": 0.03,
    }
)
"""Share of each condition; the rest is good."""


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """A fleet.

    Attributes:
        count: Feeds.
        prefix: What the feeds' ids begin with; the command and the demo write ``sim-cam-``.
        seed: The same seed gives the same fleet and the same changes.
        mix: Share of each condition; what is missing from 1 is good.
        address: First camera's address; the next ones follow. ``::1`` puts all of them on one
            address, two ports each, counted up from ``rtsp_port``.
        rtsp_port: Of every camera; 0 lets the system choose both ports.
        onvif_port: Of every camera; when it equals ``rtsp_port``, one socket serves both.
        channels: Feeds on one address, as on an NVR.
        username: On every camera.
        password: On every camera but those in ``wrong_password``.
        area: Written to the feeds file.
        change_every_s: A camera changes its condition this often on average; 0 for never.
        feeds_file: Where to write the matching feeds file, and ``password`` beside it.
        truth_file: Where to write each camera's intended state over time, as JSON lines.
    """

    count: int = 2000
    prefix: str = "cam-"
    seed: int = 1
    mix: Mapping[Condition, float] = field(default_factory=lambda: DEFAULT_MIX)
    address: str = "127.10.0.1"
    rtsp_port: int = 8554
    onvif_port: int = 8899
    channels: int = 1
    username: str = "patrol"
    password: str = "tide-4711"  # noqa: S105 - of cameras that do not exist
    area: str = "371602"
    change_every_s: float = 0.0
    feeds_file: Path | None = None
    truth_file: Path | None = None
