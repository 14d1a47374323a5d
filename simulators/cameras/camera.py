"""One simulated device and its channels: what it is like, and what it is like just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, Protocol

from gateway_core.clock import NS
from simulators.cameras.options import INTENDED, Condition, FleetOptions

Auth = Literal["none", "basic", "rfc2069", "md5", "sha256"]
SoapAuth = Literal["none", "token", "digest", "both"]
Quirk = Literal[
    "bare_ampersand",
    "control_character",
    "gb18030",
    "glued",
    "undeclared_prefix",
    "soap11",
    "no_services",
]
QUIRKS: tuple[Quirk, ...] = Quirk.__args__  # type: ignore[attr-defined]  # of a Literal
_AUTHS: tuple[Auth, ...] = ("md5", "sha256", "rfc2069", "basic", "none")
_AUTH_WEIGHTS = (60, 10, 15, 10, 5)
LOCK_AFTER = 5
"""So many wrong logins in a row lock the account."""
LOCK_S = 1800
FOREIGN = ("192.168.1.64", "169.254.169.254", "cloud.example.com", "[2001:db8::64]")
"""Whom cameras with a foreign address name: their LAN address, or somebody else altogether."""
_MAKERS = (("Tidal", "TC-2"), ("Ebb", "E40 Dome"), ("海岸", "HA-8816"), ("Breakwater", "BW/4K"))


class Cuttable(Protocol):
    """A connection, as far as its device knows it."""

    def abort(self) -> None:
        """Cut it."""


@dataclass(slots=True, eq=False)
class Device:
    """One address: a camera, or an NVR with several channels.

    Attributes:
        host: Without brackets.
        rtsp_port: 0 until it listens.
        onvif_port: 0 until it listens.
        auth: How RTSP wants to be logged in to.
        soap_auth: How SOAP wants to be logged in to.
        quirk: How its SOAP is odd while its condition is ``odd_xml``.
        codec: ``H264`` or ``H265``.
        media2: Whether it has the Media 2 service.
        condition: Of the whole device, except that channels may differ in their picture.
        username: Of its only account.
        password: What it takes, whatever the feeds file says.
        group: What the feeds file says it belongs to: its switch, or itself as a recorder.
        foreign: Whose address it tells while its condition is ``foreign_address``.
        connections: The open ones.
        sessions: How many of them speak RTSP.
        refused_logins: How many logins it has refused.
        locked_until: Until when it refuses every login, in nanoseconds since 1970.
    """

    host: str
    rtsp_port: int
    onvif_port: int
    serial: str
    maker: tuple[str, str]
    auth: Auth
    soap_auth: SoapAuth
    quirk: Quirk
    codec: Literal["H264", "H265"]
    media2: bool
    username: str
    password: str
    condition: Condition = "good"
    feeds: list[str] = field(default_factory=list)
    group: str = ""
    foreign: str = FOREIGN[0]
    connections: list[Cuttable] = field(default_factory=list)
    sessions: int = 0
    refused_logins: int = 0
    wrong_in_a_row: int = 0
    locked_until: int = 0
    pictures: int = 0

    @property
    def authority(self) -> str:
        """Host and ONVIF port as they stand in a URL."""
        return f"{self._bracketed}:{self.onvif_port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def ports(self) -> Sequence[int]:
        """Return the ports that it listens on; none before it was given any."""
        return sorted({self.rtsp_port, self.onvif_port}) if self.rtsp_port else ()

    def hang_up(self) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            connection.abort()

    def lets_in(self, now: int, *, right: bool) -> bool:
        """Take in a login and return whether it is accepted; many wrong ones lock the account."""
        if right and now >= self.locked_until:
            self.wrong_in_a_row = 0
            return True
        self.refused_logins += 1
        self.wrong_in_a_row += 1
        if self.wrong_in_a_row == LOCK_AFTER:
            self.wrong_in_a_row = 0
            self.locked_until = now + LOCK_S * NS
        return False

    def expected_password(self) -> str:
        """Return the password that it takes just now."""
        return f"{self.password}-new" if self.condition == "wrong_password" else self.password

    def stream_url(self, channel: int) -> str:
        """Return a channel's RTSP address; channels count from 1."""
        return f"rtsp://{self._bracketed}:{self.rtsp_port}{stream_path(channel)}"

    def intended(self) -> str:
        """Return the state that a patrol should come to."""
        if self.condition == "wrong_password" and self.auth == "none":
            return "online"  # nobody is asked for it
        return INTENDED[self.condition]


def stream_path(channel: int) -> str:
    """Return the path of a channel's main stream."""
    return f"/Streaming/Channels/{channel}01"


def draw_device(options: FleetOptions, host: str, ports: tuple[int, int], dice: Random) -> Device:
    """Return a device as the dice fall."""
    auth = dice.choices(_AUTHS, _AUTH_WEIGHTS)[0]
    soap_auth: SoapAuth = "none" if auth == "none" else dice.choice(("token", "digest", "both"))
    return Device(
        host=host,
        rtsp_port=ports[0],
        onvif_port=ports[1],
        serial=f"{dice.getrandbits(40):010X}",
        maker=dice.choice(_MAKERS),
        auth=auth,
        soap_auth=soap_auth,
        quirk=dice.choice(QUIRKS),
        codec=dice.choice(("H264", "H265")),
        media2=dice.random() < 0.5,
        foreign=dice.choice(FOREIGN),
        username=options.username,
        password=options.password,
    )


def draw_condition(options: FleetOptions, dice: Random) -> Condition:
    """Return a condition as the mix says."""
    at = dice.random()
    for condition, share in options.mix.items():
        at -= share
        if at < 0:
            return condition
    return "good"


def draw_trouble(options: FleetOptions, dice: Random) -> Condition:
    """Return a condition that is not good, each as often as the mix says; good if it names none."""
    mix = {condition: share for condition, share in options.mix.items() if condition != "good"}
    return dice.choices([*mix], [*mix.values()])[0] if any(mix.values()) else "good"
