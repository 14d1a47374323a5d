"""A collector's configuration and everything it needs to work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from collector.config import CollectorConfig, load_collector_config
from collector.registry.registry import open_registry
from collector.timeseries.store import open_timeseries
from gateway_core.clock import Clock
from gateway_core.errors import GatewayError
from tidegate.checks.finding import Finding
from tidegate.checks.machine import (
    check_asides,
    check_clock,
    check_disk,
    check_fsync,
    check_inodes,
)
from tidegate.checks.network import check_certificate, check_port, check_secrets


async def check_collector(path: Path, clock: Clock) -> AsyncIterator[Finding]:
    """Yield what was found.

    Raises:
        ConfigError: The configuration itself cannot be read.
    """
    config = load_collector_config(path)
    yield Finding("configuration", "ok", f"{path}: time series in {config.timeseries.kind}")
    data = config.collector.data_dir
    files = (config.intake.key_file, config.intake.tokens_file, config.timeseries.token_file)
    for finding in (
        check_fsync(data),
        check_disk(data, config.spool.max_bytes),
        check_inodes(data),
        check_asides([data]),
        *(check_port("intake", address) for address in config.intake.listen),
        *(check_port("api", address) for address in config.api.listen),
        *check_secrets(file for file in files if file is not None),
    ):
        yield finding
    for name, file in (
        ("intake", config.intake.cert_file),
        ("edges' CA", config.intake.client_ca_file),
    ):
        if file is not None:
            yield check_certificate(name, file, clock)
    yield await _check_store(config)
    yield await _check_registry(config)
    yield check_clock(clock, None)


async def _check_store(config: CollectorConfig) -> Finding:
    kind = config.timeseries.kind
    if kind == "embedded":
        return Finding("time series", "ok", f"embedded, in {config.collector.data_dir}")
    try:
        async with open_timeseries(config) as store:
            return Finding("time series", "ok", f"{config.timeseries.url}: {await store.ping()}")
    except GatewayError as exc:
        advice = "start it, or mend timeseries in the configuration; the spool keeps all until then"
        return Finding("time series", "fail", f"{kind}: {exc}", "points cannot be stored", advice)


async def _check_registry(config: CollectorConfig) -> Finding:
    try:
        async with open_registry(config.registry_url) as registry:
            edges = await registry.edges()
    except GatewayError as exc:
        advice = "start the database, or mend registry.url"
        return Finding("registry", "fail", str(exc), "nobody can see devices and feeds", advice)
    return Finding("registry", "ok", f"{len(edges)} edges known")
