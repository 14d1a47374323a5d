"""What a demo is made of, decided before anything starts."""

from __future__ import annotations

import contextlib
import ipaddress
import math
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway_core.units import Address
from tidegate.simulate.usage import wrong_usage

_BROKER_PLACES = (
    "/usr/sbin/mosquitto",
    "/usr/local/sbin/mosquitto",
    "/opt/homebrew/sbin/mosquitto",
)
_ANYWHERE = {"::", "0.0.0.0"}  # noqa: S104  # to recognise, not to bind
_SPEAK_AT_LEAST = 2
_FIRST, _PAST = 10_240, 32_000  # Linux gives 32,768 and up to outgoing connections
_TRIES = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """A demo.

    Attributes:
        seconds: How long the sensors speak.
        devices: Sensors over all edges.
        feeds: Cameras over all edges.
        systems: IT systems over all edges.
        edges: Edge agents.
        rate: Messages a second over all sensors.
        port: Of the console; 0 for any.
        listen: Address of the console.
        folder: Where to work and leave everything; None: a temporary folder.
        report: Where to write the report; None for nowhere.
        browser: Whether to open the console where there is a display.
        broker: Whether every other edge has a broker where mosquitto is installed.
    """

    seconds: float
    devices: int
    feeds: int
    systems: int
    edges: int
    rate: float
    port: int
    listen: str
    folder: Path | None = None
    report: Path | None = None
    browser: bool = True
    broker: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not come to a good end.

        Raises:
            ConfigError: What to give instead.
        """
        if self.edges < 1 or self.devices < self.edges:
            raise wrong_usage("--edges", "at least 1, and at least one of --devices for each")
        if min(self.seconds, self.rate) <= 0:
            raise wrong_usage("--for", "this and --rate must be above 0")
        if min(self.feeds, self.systems) < 0:
            raise wrong_usage("--feeds", "this and --systems must be 0 or more")
        if not 0 <= self.port <= 65_535:
            raise wrong_usage("--port", f"expected 0 to 65535, found {self.port}")
        if self.rate * self.seconds < _SPEAK_AT_LEAST * self.devices:
            least = _SPEAK_AT_LEAST * self.devices / self.seconds
            raise wrong_usage(
                "--rate",
                f"with {self.rate:g} not every device would speak twice in {self.seconds:g} s; "
                f"give {math.ceil(least)} or more, or a longer --for",
            )

    @property
    def loopback(self) -> str:
        """The address at which the parts of the city meet: IPv6 where the console is on IPv6."""
        return "::1" if ":" in self.listen and self.listen != "::" else default_listen()

    @property
    def sweep_s(self) -> float:
        """How often every feed is judged: at least twice in the run."""
        return max(2.0, min(15.0, self.seconds / 2))

    def share(self, total: int, edge: int) -> range:
        """Return which of ``total`` things, counted from 0, belong to edge ``edge``."""
        return range(total * edge // self.edges, total * (edge + 1) // self.edges)


def default_listen() -> str:
    """Return the loopback address of this machine, IPv4 before IPv6."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError:
        return "::1"
    return "127.0.0.1"


def find_broker() -> str | None:
    """Return the path of mosquitto, or None where it is not installed."""
    found = shutil.which("mosquitto")
    for place in (found, *_BROKER_PLACES):
        if place and os.access(place, os.X_OK):
            return place
    return None


def free_ports(host: str, kinds: list[int]) -> list[int]:
    """Return a free port for each kind of socket, all different.

    Args:
        host: Address to bind.
        kinds: ``SOCK_STREAM`` or ``SOCK_DGRAM``.
    """
    with ExitStack() as held:  # all at once, or two could be the same
        sockets = [held.enter_context(_bound_below(host, kind)) for kind in kinds]
        return [int(each.getsockname()[1]) for each in sockets]


def _bound_below(host: str, kind: int) -> socket.socket:
    """Bind below the ports of outgoing connections, which could take a port before its program."""
    for _ in range(_TRIES):
        with contextlib.suppress(OSError):
            return _bound(host, kind, _FIRST + secrets.randbelow(_PAST - _FIRST))
    return _bound(host, kind)


def console_port(plan: Plan) -> tuple[int, bool]:
    """Return the console's port, and whether it is the one that was asked for."""
    if plan.port:
        try:
            with _bound(plan.listen, socket.SOCK_STREAM, plan.port):
                return plan.port, True
        except OSError:
            pass
    with _bound(plan.listen, socket.SOCK_STREAM) as free:
        return int(free.getsockname()[1]), not plan.port


def console_url(plan: Plan, port: int) -> str:
    """Return the console's address as a browser on this machine can open it."""
    host = plan.loopback if plan.listen in _ANYWHERE else plan.listen
    return f"http://{Address(host, port)}"


def checked_listen(text: str | None) -> str:
    """Return an IP address to listen on.

    Raises:
        ConfigError: It is none.
    """
    if text is None:
        return default_listen()
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError as exc:
        raise wrong_usage(
            "--listen", f"expected an IP address such as ::1, found {text!r}"
        ) from exc


def edge_names(plan: Plan) -> Iterator[str]:
    """Yield the ids of the edges."""
    return (f"sim-edge-{n:02d}" for n in range(1, plan.edges + 1))


def _bound(host: str, kind: int, port: int = 0) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, kind)
    try:
        if port and kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        if port and kind == socket.SOCK_STREAM:
            made.listen(1)  # with SO_REUSEADDR only this tells whether somebody else listens
    except OSError:
        made.close()
        raise
    return made
