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
    "dead",
    "silent",
    "resets",
    "slow",
    "wrong_password",
    "no_stream",
    "busy",
    "one_session",
    "clock_skew",
    "foreign_address",
    "broken_xml",
    "cut_off",
    "black",
    "frozen",
    "blurred",
    "odd_xml",
]
"""What is the matter with a camera."""

INTENDED: Mapping[Condition, str] = MappingProxyType(
    {
        "good": "online",
        "offline": "offline",  # its services are gone: connections are refused, or cut at once
        "dead": "offline",  # without power: nothing answers, not even a connection attempt
        "silent": "offline",  # takes connections and never answers
        "resets": "offline",  # takes connections and cuts them at the first request
        "slow": "online",  # answers after a second
        "wrong_password": "auth_failed",  # the password was changed on the device
        "no_stream": "no_stream",  # 404 for the stream's path
        "busy": "locked_out",  # 453: all its sessions are taken
        "one_session": "online",  # 453 for every RTSP session but the first
        "clock_skew": "degraded",  # a day behind, and refuses tokens of any other time
        "foreign_address": "online",  # every address that it tells is another machine's
        "broken_xml": "degraded",  # its SOAP cannot be read: a shred, HTML, nothing at all
        "cut_off": "unknown",  # the switch before it is down; as dead, but no fault of its own
        "black": "degraded",
        "frozen": "degraded",
        "blurred": "degraded",
        "odd_xml": "online",  # SOAP as real cameras write it
    }
)
"""The state that a patrol should come to, in its own words."""

DEFAULT_MIX: Mapping[Condition, float] = MappingProxyType(
    {
        "offline": 0.01,
        "dead": 0.01,
        "silent": 0.005,
        "resets": 0.005,
        "slow": 0.02,
        "wrong_password": 0.01,
        "no_stream": 0.01,
        "busy": 0.005,
        "one_session": 0.01,
        "clock_skew": 0.01,
        "foreign_address": 0.01,
        "broken_xml": 0.005,
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
            address, with ports of their own, counted up from ``rtsp_port``.
        rtsp_port: Of every camera; 0 lets the system choose both ports.
        onvif_port: Of every camera; when it equals ``rtsp_port``, one socket serves both.
        channels: Feeds on one address, as on an NVR.
        username: On every camera.
        password: On every camera but those in ``wrong_password``.
        area: Written to the feeds file.
        switch_size: Cameras behind one switch, told as groups in the feeds file; 0 for no switches.
        change_every_s: A camera changes its condition this often on average; 0 for never.
        switch_fails_every_s: A switch goes down this often on average, for a minute or two.
        storm_every_s: All cameras of a switch reboot this often on average, as after a power cut.
        disturbed: Share of connections that fail in one of several ways, whatever the camera.
        feeds_file: Where to write the matching feeds file, and ``password`` beside it.
        truth_file: Where to write, as JSON lines, each camera's intended state over time.
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
    switch_size: int = 0
    change_every_s: float = 0.0
    switch_fails_every_s: float = 0.0
    storm_every_s: float = 0.0
    disturbed: float = 0.0
    feeds_file: Path | None = None
    truth_file: Path | None = None
