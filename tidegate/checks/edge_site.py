"""An edge's configuration and everything it needs to work."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from edge_agent.check import check
from edge_agent.config import EdgeConfig, UplinkSection, load_edge_config
from edge_agent.sources.broker_advice import advise, ask_broker
from edge_agent.sources.settings import MqttSettings
from edge_agent.status import folders
from gateway_core.clock import Clock
from gateway_core.errors import ConfigError, Unavailable
from gateway_core.tls import client_context
from tidegate.checks.finding import Finding, Grade
from tidegate.checks.machine import (
    check_asides,
    check_clock,
    check_disk,
    check_fsync,
    check_inodes,
)
from tidegate.checks.network import (
    check_certificate,
    check_http,
    check_name,
    check_port,
    check_secrets,
    host_of,
)


async def check_edge(path: Path, clock: Clock) -> AsyncIterator[Finding]:
    """Yield what was found, from the file to the far end of the uplink.

    Raises:
        ConfigError: The configuration itself cannot be read.
    """
    config = load_edge_config(path)
    yield _files(path)
    for finding in (
        check_fsync(config.edge.data_dir),
        check_disk(config.edge.data_dir, _budgets(config)),
        check_inodes(config.edge.data_dir),
        check_asides(folders(config.edge.data_dir)),
        *_ports(config),
        *check_secrets(_secrets(config)),
        *_certificates(config, clock),
    ):
        yield finding
    for broker in config.mqtt:
        async for finding in _check_broker(broker, config.edge.id):
            yield finding
    reference = None
    if config.uplink is not None:
        yield await check_name(host_of(config.uplink.url))
        url = config.uplink.url.rstrip("/") + "/healthz"
        finding, offset = await check_http("collector", url, clock, _trust(config.uplink))
        yield finding
        if offset is not None:
            reference = ("the collector", offset)
    yield check_clock(clock, reference)


def _trust(uplink: UplinkSection) -> ssl.SSLContext | None:
    """Return how the uplink speaks TLS; a collector may hang up on who shows no certificate."""
    if not uplink.url.startswith("https:"):
        return None
    try:
        return client_context(uplink.ca_file, uplink.cert_file, uplink.key_file, "uplink")
    except ConfigError:
        return None  # the finding on the configuration says what is wrong


def _files(path: Path) -> Finding:
    checked = check(path)
    if checked.faults:
        found = "; ".join(map(str, checked.faults[:5]))
        advice = f"tidegate edge check --config {path} lists every mistake"
        return Finding("configuration", "fail", found, f"{len(checked.faults)} mistakes", advice)
    counts = ", ".join(f"{n} {what}" for what, n in checked.counts.items())
    return Finding("configuration", "ok", f"{path}: {counts}")


def _budgets(config: EdgeConfig) -> int:
    """Return what the agent may use of the disk, in bytes."""
    raw = config.raw.max_bytes if config.raw.keep else 0
    return config.spool.max_bytes + config.archive.max_bytes + raw


def _ports(config: EdgeConfig) -> list[Finding]:
    found = [check_port("admin", address) for address in config.admin.listen]
    if config.coap is not None:
        found += [check_port("coap", address, udp=True) for address in config.coap.listen]
    for listener in config.mqtt_listen:
        name = f"mqtt_listen {listener.name}"
        found += [check_port(name, address) for address in listener.listen]
    return found


def _secrets(config: EdgeConfig) -> list[Path]:
    files = [broker.password_file for broker in config.mqtt]
    files += [broker.key_file for broker in config.mqtt]
    files += [listener.users_file for listener in config.mqtt_listen]
    files += [each.tls.key_file for each in config.mqtt_listen if each.tls is not None]
    if config.uplink is not None:
        files += [config.uplink.key_file, config.uplink.token_file]
    return [file for file in files if file is not None]


def _certificates(config: EdgeConfig, clock: Clock) -> list[Finding]:
    files = [(f"mqtt {broker.name}", broker.cert_file) for broker in config.mqtt]
    files += [(f"mqtt {broker.name} CA", broker.ca_file) for broker in config.mqtt]
    for listener in config.mqtt_listen:
        if listener.tls is not None:
            files.append((f"mqtt_listen {listener.name}", listener.tls.cert_file))
    if config.uplink is not None:
        files += [("uplink", config.uplink.cert_file), ("uplink CA", config.uplink.ca_file)]
    return [check_certificate(name, file, clock) for name, file in files if file is not None]


async def _check_broker(settings: MqttSettings, edge: str) -> AsyncIterator[Finding]:
    name = f"broker {settings.name}"
    try:
        facts = await ask_broker(settings, edge)
    except Unavailable as exc:
        advice = "start it, or mend mqtt in the configuration; docs/how-to/mosquitto.md"
        yield Finding(name, "fail", str(exc), "no message can come in through it", advice)
        return
    yield Finding(name, "ok", f"{settings.url}: {facts.version or 'answers'}")
    for one in advise(settings, facts):
        grade: Grade = "warn" if one.level == "warning" else "ok"
        yield Finding(name, grade, one.key, one.text, "see docs/how-to/mosquitto.md")
