"""Promise: metrics, logs, systemd and sockets behave as the tools around them expect."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import socket
import sys

import pytest
import structlog

from gateway_core.errors import ConfigError
from gateway_core.listening import tcp_sockets
from gateway_core.log import setup_logging
from gateway_core.meter import Meter, Sample
from gateway_core.notify import notify, watchdog
from gateway_core.units import Address


def test_the_meter_renders_counts_gauges_and_what_is_read_at_scrape_time():
    meter = Meter()
    meter.count("tidegate_feed_checks", 2, result="ok")
    meter.count("tidegate_feed_checks", result="ok")
    meter.set("tidegate_residual", 0)
    accepted = {"mqtt:site": 3}
    meter.observe(
        lambda: [
            Sample("tidegate_accepted", n, {"source": s}, "counter", "Records accepted.")
            for s, n in accepted.items()
        ]
    )
    accepted["mqtt:site"] = 9
    lines = meter.render().decode().splitlines()
    assert 'tidegate_feed_checks_total{result="ok"} 3.0' in lines
    assert "tidegate_residual 0.0" in lines
    assert 'tidegate_accepted_total{source="mqtt:site"} 9.0' in lines
    assert "# HELP tidegate_accepted_total Records accepted." in lines


def test_two_meters_share_nothing():
    first, second = Meter(), Meter()
    first.set("tidegate_x", 1)
    assert b"tidegate_x" not in second.render()


def test_a_log_line_is_one_json_object(capsys):
    setup_logging("info", json=True)
    structlog.get_logger().info("spool_opened", path="s.db")
    structlog.get_logger().debug("not_seen")
    logging.getLogger("library").warning("from %s", "outside")
    ours, theirs = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["level"], ours["path"]) == ("spool_opened", "info", "s.db")
    assert (theirs["event"], theirs["level"]) == ("from outside", "warning")


def test_a_log_that_cannot_be_written_ends_nothing(monkeypatch):
    closed = io.StringIO()
    monkeypatch.setattr(sys, "stderr", closed)
    setup_logging("info", json=True)
    structlog.get_logger().info("written")
    closed_text = closed.getvalue()
    closed.close()
    structlog.get_logger().info("lost")
    logging.getLogger("library").warning("lost too")
    assert '"written"' in closed_text


def test_systemd_hears_what_it_is_told(tmp_path, monkeypatch):
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify("READY=1")
        assert systemd.recv(99) == b"READY=1"


def test_without_systemd_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")


async def test_the_watchdog_barks_as_long_as_somebody_listens(tmp_path, monkeypatch):
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "2000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        async with asyncio.TaskGroup() as group:
            barking = group.create_task(watchdog())
            for _ in range(2):
                found = await asyncio.get_running_loop().sock_recv(systemd, 99)
                assert found == b"WATCHDOG=1"
            barking.cancel()


async def test_everywhere_serves_ipv4_and_ipv6():
    (listener,) = tcp_sockets([Address("::", 0)])
    async with await asyncio.start_server(lambda _r, w: w.close(), sock=listener):
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, port)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()


def test_one_address_serves_only_itself():
    (listener,) = tcp_sockets([Address("::1", 0)])
    with listener:
        assert listener.getsockname()[0] == "::1"
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_an_address_that_is_taken_is_named():
    (listener,) = tcp_sockets([Address("127.0.0.1", 0)])
    with listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"api\.listen: cannot listen on 127\.0\.0\.1:{port}: "
        ):
            tcp_sockets([Address("127.0.0.1", port)], "api.listen")
