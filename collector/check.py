"""Read a collector's configuration, start nothing, and name every mistake."""

from __future__ import annotations

from pathlib import Path

from collector.config import CollectorConfig, load_collector_config
from gateway_core.errors import ConfigError
from gateway_core.named_files import unreadable
from gateway_core.yaml_document import read_yaml

_WANTED_BY = {
    "token_file": {"influxdb2", "influxdb3"},
    "password_file": {"influxdb1"},
}
"""Keys of `timeseries` to the stores that read them; the others leave them unread."""


def check(path: Path) -> CollectorConfig:
    """Return the configuration, once every file that it names and needs can be read.

    Args:
        path: Of collector.yaml.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    config = load_collector_config(path)
    document = read_yaml(path)
    faults = [
        document.fault(place, trouble)
        for place, trouble in unreadable(config)
        if place[0] != "timeseries" or config.timeseries.kind in _WANTED_BY[str(place[-1])]
    ]
    if faults:
        raise ConfigError(*faults)
    return config
