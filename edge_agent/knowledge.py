"""What people wrote for a site, read as a whole: profiles, devices, egress; all of it or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from device_profiles.catalogue import Catalogue, load_catalogue
from device_profiles.homeassistant.learning import KIND
from edge_agent.config import DevicesSection, EdgeConfig
from edge_agent.declared import declare
from edge_agent.egress import SiteEgress
from edge_agent.holdings.versions import Versions
from edge_agent.lineage import Origin
from edge_agent.listing import Listing, read_listings
from edge_agent.policy import Policy
from edge_agent.tighten import load_site_egress
from gateway_core.errors import ConfigError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One consistent reading of the files.

    Attributes:
        catalogue: The profiles.
        listings: The lines of devices.csv; empty where there is none.
        policy: What may leave.
        origins: Where each profile comes from.
    """

    catalogue: Catalogue
    listings: tuple[Listing, ...]
    policy: Policy
    origins: Mapping[str, Origin] = field(default_factory=dict)


def read_knowledge(
    config: EdgeConfig,
    *,
    strict: bool,
    versions: Versions | None = None,
    fetched: Mapping[str, Path] | None = None,
) -> Knowledge:
    """Read the files that a running agent can read again; blocks, so call it in a thread.

    Args:
        config: Names the files.
        strict: Whether a profile with a mistake is an error. At a start it is not: it is left
            out and hurts no other, and what its devices say is refused as ``no_match``, kept
            raw, and can be replayed when it is mended. What the centre sent is never an error: it
            is left out.
        versions: Of this edge; None: as its folder has them.
        fetched: Profile files that the centre sent; None: those that are in use.

    Raises:
        ConfigError: Every mistake of the first file that has one.
    """
    versions = versions or Versions(config.edge.data_dir)
    sent = tuple((versions.files() if fetched is None else fetched).values())
    catalogue = load_catalogue(config.profiles, fetched=sent, strict=False)
    own = [fault for fault in catalogue.faults if fault.file not in sent]
    if strict and own:
        raise ConfigError(*own)
    if KIND not in config.discovery:
        catalogue = catalogue.without_shipped(KIND)
    for fault in catalogue.faults:
        log.error("profile_left_out", fault=str(fault))
    for name in catalogue.set_aside:
        log.warning("profile_set_aside", profile=name, why="another stores a field otherwise")
    listings = read_devices(config.devices, catalogue)
    declared = declare(catalogue)
    egress = config.egress
    site = load_site_egress(egress.file, declared) if egress is not None else SiteEgress()
    return Knowledge(
        catalogue, tuple(listings), Policy(declared, site), versions.origins(catalogue)
    )


def read_devices(devices: DevicesSection, catalogue: Catalogue) -> list[Listing]:
    """Read devices.csv.

    Where unknown devices enter themselves the file may be absent. Where they do not, a name that
    was mistyped would lock everybody out.

    Raises:
        ConfigError: Every mistake of the file.
    """
    file = devices.file
    if file is None:
        return []
    if devices.unknown == "register" and not file.exists():
        log.warning("devices_file_absent", file=str(file))
        return []
    profiles = catalogue.profiles.keys()
    return read_listings(file, profiles, some_left_out=bool(catalogue.faults))
