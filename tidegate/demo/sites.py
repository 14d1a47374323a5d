"""The files of every site of the demo, as a person would write them: edge, collector, broker."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from gateway_core.units import Address
from simulators.systems.estate import Estate
from tidegate.demo.plan import Plan, edge_names, free_ports

_AREA = "371602"
_BROKER = """\
# simulated site, written by tidegate demo
listener {port} {host}
allow_anonymous true
{user}persistence true
persistence_location {folder}/
max_inflight_messages 4000
max_queued_messages 1000000
"""
_EDGE = """\
# simulated site, written by tidegate demo
edge: {{id: {name}, area: "{area}", data_dir: ./var}}
{mqtt}
coap: {{listen: "{coap}"}}
{cameras}{systems}uplink: {{url: "http://{intake}"}}
admin: {{listen: "{admin}"}}
"""
_THROUGH_BROKER = 'mqtt: [{{name: site, url: "mqtt://{at}"}}]'
_STRAIGHT = 'mqtt_listen: [{{listen: "{at}", anonymous: true, commands: ["tg/+/down"]}}]'
_CENTRE = """\
# simulated centre, written by tidegate demo
collector: {{data_dir: ./var}}
intake: {{listen: "{intake}"}}
api: {{listen: "{api}"}}
timeseries: {{kind: embedded}}
"""


@dataclass(frozen=True, slots=True)
class Site:
    """One edge data centre: its folder and where its parts listen.

    Attributes:
        name: The edge's id.
        folder: Holds edge.yaml, mosquitto.conf and what they name.
        mqtt: Where sensors connect: the broker, or the agent itself.
        coap: The agent's CoAP server.
        admin: The agent's admin listener.
        brokered: Whether there is a broker.
    """

    name: str
    folder: Path
    mqtt: Address
    coap: Address
    admin: Address
    brokered: bool

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.folder / "edge.yaml"

    @property
    def broker_config(self) -> Path:
        """The broker's configuration."""
        return self.folder / "mosquitto.conf"


@dataclass(frozen=True, slots=True)
class Centre:
    """The collector: its folder and where it listens."""

    folder: Path
    intake: Address
    api: Address

    @property
    def config(self) -> Path:
        """The collector's configuration."""
        return self.folder / "collector.yaml"


def lay_out(plan: Plan, folder: Path, port: int, *, brokers: bool) -> tuple[Centre, list[Site]]:
    """Choose every port and make every folder.

    Sensors connect straight to the agent; with ``brokers``, at every other site through a broker.

    Args:
        plan: The demo.
        folder: Of the demo.
        port: Of the console.
        brokers: Whether mosquitto is there.
    """
    host, stream, datagram = plan.loopback, socket.SOCK_STREAM, socket.SOCK_DGRAM
    intake, *ports = free_ports(host, [stream, *[stream, datagram, stream] * plan.edges])
    centre = Centre(folder / "centre", Address(host, intake), Address(plan.listen, port))
    centre.folder.mkdir(parents=True, exist_ok=True)
    sites = []
    for n, name in enumerate(edge_names(plan)):
        mqtt, coap, admin = (Address(host, each) for each in ports[3 * n : 3 * n + 3])
        site = Site(name, folder / name, mqtt, coap, admin, brokers and n % 2 == 1)
        (site.folder / "broker").mkdir(parents=True, exist_ok=True)
        sites.append(site)
    return centre, sites


def write_centre(centre: Centre) -> None:
    """Write the collector's configuration."""
    text = _CENTRE.format(intake=centre.intake, api=centre.api)
    centre.config.write_text(text, encoding="utf-8")


def write_site(
    plan: Plan, edge: int, site: Site, centre: Centre, feeds: Path | None, estate: Estate
) -> None:
    """Write the files of one site.

    Args:
        plan: The demo.
        edge: The site's number, counted from 0.
        site: The site.
        centre: Where it sends.
        feeds: The inventory of all simulated cameras, of which it gets its part; None: no cameras.
        estate: All simulated systems, of which it gets its part.
    """
    if site.brokered:
        _write_broker(site)
    cameras = systems = ""
    if feeds is not None and len(plan.share(plan.feeds, edge)):
        _write_feeds(feeds, site.folder / "feeds.csv", plan.share(plan.feeds, edge))
        cameras = f"cameras: {{file: feeds.csv, sweep: {plan.sweep_s:g}s}}\n"
    part = plan.share(plan.systems, edge)
    if len(part):
        estate.write(site.folder / "systems.yaml", "5s", slice(part.start, part.stop))
        systems = "systems: {file: systems.yaml}\n"
    site.config.write_text(
        _EDGE.format(
            name=site.name,
            area=_AREA,
            mqtt=(_THROUGH_BROKER if site.brokered else _STRAIGHT).format(at=site.mqtt),
            coap=site.coap,
            cameras=cameras,
            systems=systems,
            intake=centre.intake,
            admin=site.admin,
        ),
        encoding="utf-8",
    )


def _write_broker(site: Site) -> None:
    user = f"user {pwd.getpwuid(0).pw_name}\n" if os.geteuid() == 0 else ""
    site.broker_config.write_text(
        _BROKER.format(
            port=site.mqtt.port, host=site.mqtt.host, user=user, folder=site.folder / "broker"
        ),
        encoding="utf-8",
    )


def _write_feeds(all_feeds: Path, own: Path, part: range) -> None:
    header, *rows = all_feeds.read_text(encoding="utf-8").splitlines(keepends=True)
    own.write_text("".join([header, *rows[part.start : part.stop]]), encoding="utf-8")
    shutil.copy(all_feeds.with_name("password"), own.with_name("password"))
