"""Read everything that a person wrote for this edge, start nothing, and name every mistake."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from device_profiles.catalogue import Catalogue, load_catalogue
from device_profiles.signing import load_public
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Feed
from edge_agent.config import CamerasSection, EdgeConfig, load_edge_config
from edge_agent.declared import declare
from edge_agent.holdings.versions import Versions
from edge_agent.knowledge import read_devices
from edge_agent.retired import retired
from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.listen.transport import encryption
from edge_agent.sources.listen.users import read_users
from edge_agent.systems.inventory import load_systems
from edge_agent.tighten import load_site_egress
from gateway_core.errors import ConfigError, Fault
from gateway_core.named_files import at_its_key
from gateway_core.tls import client_context
from gateway_core.yaml_document import read_yaml

T = TypeVar("T")
_SECRET = ("password_file", "key_file", "token_file", "users_file")
_FILES = (*_SECRET, "ca_file", "cert_file", "client_ca_file")
_OTHERS_MAY_READ = stat.S_IROTH | stat.S_IWOTH


@dataclass(slots=True)
class Checked:
    """What was found.

    Attributes:
        faults: Every mistake, file by file; empty when all is well.
        counts: ``profiles``, ``devices``, ``feeds``, ``systems``: what would be loaded.
        warnings: What works and should be changed all the same.
    """

    faults: list[Fault] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def check(path: Path) -> Checked:
    """Check a configuration and all that it names.

    Args:
        path: Of edge.yaml.
    """
    checked = Checked()
    config = _try(checked, lambda: load_edge_config(path))
    if config is None:
        return checked
    checked.faults.extend(_secrets(config, path))
    catalogue = _try(checked, lambda: load_catalogue(config.profiles, fetched=_fetched(config)))
    if catalogue is not None:
        checked.counts["profiles"] = len(catalogue.profiles)
        _check_against(catalogue, config, checked)
    for listener in config.mqtt_listen:
        _check_listener(listener, checked)
    _check_uplink(config, checked)
    cameras, systems = config.cameras, config.systems
    if cameras is not None:
        feeds = _try(checked, lambda: load_feeds(cameras.file, cameras.key_file)) or {}
        checked.counts["feeds"] = len(feeds)
        checked.faults.extend(_sealed(cameras, feeds))
    if systems is not None:
        watched = _try(checked, lambda: load_systems(systems.file))
        checked.counts["systems"] = len(watched or ())
    checked.faults = at_its_key(config, path, checked.faults)
    return checked


def _fetched(config: EdgeConfig) -> list[Path]:
    """Return the profiles that the centre sent; a mistake in one is not the site's."""
    return list(Versions(config.edge.data_dir).files().values())


def _check_against(catalogue: Catalogue, config: EdgeConfig, checked: Checked) -> None:
    devices, egress = config.devices, config.egress
    if devices.file is not None:
        listings = _try(checked, lambda: read_devices(devices, catalogue))
        checked.counts["devices"] = len(listings or ())
        having = [line.profile for line in listings or ()]
        checked.warnings.extend(map(str, retired(catalogue.profiles, having)))
    if egress is not None:
        _try(checked, lambda: load_site_egress(egress.file, declare(catalogue)))


def _check_listener(listener: ListenSettings, checked: Checked) -> None:
    users, tls = listener.users_file, listener.tls
    if users is not None and users.exists():
        found = _try(checked, lambda: read_users(users))
        checked.counts["users"] = checked.counts.get("users", 0) + len(found or ())
    if tls is not None and tls.cert_file.exists() and tls.key_file.exists():
        _try(checked, lambda: encryption(tls))
    if listener.open_to_nobody:
        advice = "give users_file, tls.client_ca_file or anonymous: true"
        checked.warnings.append(f"mqtt_listen {listener.name} lets nobody in: {advice}")


def _check_uplink(config: EdgeConfig, checked: Checked) -> None:
    uplink = config.uplink
    if uplink is None or not uplink.url.startswith("https:"):
        return
    named = [file for file in (uplink.ca_file, uplink.cert_file, uplink.key_file) if file]
    if all(file.exists() for file in named):
        ca, cert, key = uplink.ca_file, uplink.cert_file, uplink.key_file
        _try(checked, lambda: client_context(ca, cert, key, ""))


def _sealed(cameras: CamerasSection, feeds: Mapping[str, Feed]) -> Iterator[Fault]:
    """Yield what is wrong with the key and with each sealed password."""
    if cameras.key_file.exists() and (trouble := _trouble(cameras.key_file, secret=True)):
        yield Fault(cameras.key_file, 0, 0, "cameras.key_file", trouble)
    same: dict[str, list[str]] = {}
    for feed in feeds.values():
        same.setdefault(feed.login_trouble, []).append(feed.id)
    for trouble, ids in same.items():
        if trouble:
            named = ", ".join(ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
            yield Fault(cameras.file, 0, 0, f"password_sealed of {named}", trouble)


def _try(checked: Checked, load: Callable[[], T]) -> T | None:
    try:
        return load()
    except ConfigError as exc:
        checked.faults.extend(exc.faults)
        return None


def _secrets(config: EdgeConfig, path: Path) -> Iterator[Fault]:
    document = read_yaml(path)
    listeners = list(enumerate(config.mqtt_listen))
    named: list[tuple[tuple[str | int, ...], object]] = [
        *((("mqtt", place), each) for place, each in enumerate(config.mqtt)),
        *((("mqtt_listen", place), each) for place, each in listeners),
        *((("mqtt_listen", place, "tls"), each.tls) for place, each in listeners),
        (("uplink",), config.uplink),
    ]
    if config.catalogue is not None:
        try:
            load_public(config.catalogue.key_file)
        except ConfigError as exc:
            yield document.fault(("catalogue", "key_file"), exc.faults[0].message)
    for where, section in named:
        for name in _FILES:
            file: Path | None = getattr(section, name, None)
            if file is None:
                continue
            trouble = _trouble(file, secret=name in _SECRET)
            if trouble:
                yield document.fault((*where, name), f"{file}: {trouble}")


def _trouble(file: Path, *, secret: bool) -> str:
    try:
        with file.open("rb") as opened:
            opened.read(1)
            mode = file.stat().st_mode
    except OSError as exc:
        return f"cannot be read: {exc.strerror}"
    if secret and mode & _OTHERS_MAY_READ:
        return "every user of this machine may read it; chmod 600"
    return ""
