"""The doctor finds what is wrong, says why it matters and what to do, and is quiet when all is well."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from gateway_core.units import Address
from tests.e2e.city import City
from tidegate.checks import machine, network
from tidegate.checks.edge_site import check_edge

DAY_NS = 86_400 * 1_000_000_000


def now_ns() -> int:
    return int(dt.datetime(2026, 12, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def test_sqlite_is_one_without_the_wal_reset_bug() -> None:
    assert machine.check_sqlite().grade == "ok"


@pytest.mark.fault("F4")
def test_a_clock_before_this_release_is_wrong() -> None:
    finding = machine.check_clock(lambda: 0, None)
    assert (finding.grade, finding.found) == ("fail", "1970-01-01T00:00:00+00:00")


def test_a_clock_far_from_the_collectors_is_told() -> None:
    finding = machine.check_clock(now_ns, ("the collector", 42.0))
    assert finding.grade == "warn"
    assert "+42.0 s against the collector" in finding.found


def test_a_folder_that_cannot_hold_the_budget_is_told(tmp_path: Path) -> None:
    assert machine.check_disk(tmp_path / "not" / "yet", 1 << 60).grade == "warn"


def test_a_port_that_somebody_holds_is_told() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = Address("127.0.0.1", holder.getsockname()[1])
        taken = network.check_port("api", address)
    assert taken.grade == "warn"
    assert f"sport = :{address.port}" in taken.advice
    assert network.check_port("api", address).grade == "ok"


def test_secrets_are_there_filled_and_private(tmp_path: Path) -> None:
    good, empty, public = (tmp_path / name for name in ("good", "empty", "public"))
    good.write_text("x")
    good.chmod(0o600)
    empty.touch(0o600)
    public.write_text("x")
    public.chmod(0o644)
    found = network.check_secrets([good, empty, public, tmp_path / "missing"])
    assert [finding.grade for finding in found] == ["ok", "fail", "warn", "fail"]


@pytest.mark.fault("F13")
def test_a_certificate_that_ends_soon_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    until = dt.datetime(2026, 12, 4, tzinfo=dt.UTC)
    trustme.CA().issue_cert("edge", not_after=until).cert_chain_pems[0].write_to_path(path)
    assert network.check_certificate("uplink", path, now_ns).grade == "warn"
    assert network.check_certificate("uplink", path, lambda: now_ns() - 30 * DAY_NS).grade == "ok"
    assert network.check_certificate("uplink", path, lambda: now_ns() + 30 * DAY_NS).grade == "fail"


async def test_a_collector_that_wants_a_certificate_is_shown_the_uplink_s(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = ca.issue_cert("e1")
    own.cert_chain_pems[0].write_to_path(tmp_path / "e1.pem")
    own.private_key_pem.write_to_path(tmp_path / "e1.key")
    listener = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(listener)
    ca.configure_trust(listener)
    listener.verify_mode = ssl.CERT_REQUIRED

    async def healthy(_request: web.BaseRequest) -> web.Response:
        return web.Response(text="{}")

    runner = web.ServerRunner(web.Server(healthy))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=listener).start()
    port = runner.addresses[0][1]
    (tmp_path / "edge.yaml").write_text(
        "edge: {id: e1, data_dir: var}\n"
        f"uplink: {{url: 'https://localhost:{port}', ca_file: ca.pem, cert_file: e1.pem, key_file: e1.key}}\n"
    )
    try:
        found = [each async for each in check_edge(tmp_path / "edge.yaml", now_ns)]
    finally:
        await runner.cleanup()
    assert [(f.check, f.grade) for f in found if f.check == "collector"] == [("collector", "ok")]


async def test_a_name_that_does_not_resolve_is_told() -> None:
    assert (await network.check_name("no-such-name.invalid")).grade == "fail"
    assert (await network.check_name("localhost")).grade == "ok"


def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "doctor", "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_a_site_without_broker_and_collector_is_told_what_to_start(tmp_path: Path) -> None:
    city = City(tmp_path)
    city.edge()
    status, findings = run("--config", str(tmp_path / "edge" / "edge.yaml"))
    failed = {f["check"]: f["advice"] for f in findings if f["grade"] == "fail"}
    assert status == 1
    assert failed.keys() == {"broker site", "collector"}
    assert "start it" in failed["broker site"]


@pytest.mark.slow
def test_a_city_that_works_has_nothing_that_fails(tmp_path: Path) -> None:
    city = City(tmp_path)
    try:
        city.broker().start()
        city.centre().start()
        city.edge()
        status, findings = run("--config", str(tmp_path / "edge" / "edge.yaml"))
    finally:
        city.close()
    assert [f for f in findings if f["grade"] == "fail"] == []
    assert status == 0
    assert any(f["check"] == "broker site" and "mosquitto" in f["found"] for f in findings)


@pytest.mark.slow
def test_a_taken_port_of_the_listener_for_devices_is_told_and_an_open_users_file(
    tmp_path: Path,
) -> None:
    city = City(tmp_path)
    city.edge(direct="users_file: users")
    users = tmp_path / "edge" / "users"
    users.write_text("")
    users.chmod(0o644)
    with socket.create_server((city.host, city.mqtt_port)):
        _, findings = run("--config", str(tmp_path / "edge" / "edge.yaml"))
    grades = {f["check"]: f["grade"] for f in findings}
    assert grades["port mqtt_listen devices"] == "warn"
    assert any(str(users) in f["found"] and f["grade"] != "ok" for f in findings)


@pytest.mark.slow
def test_a_collector_without_its_influxdb_is_told(tmp_path: Path) -> None:
    city = City(tmp_path)
    city.centre("{kind: influxdb1, url: 'http://127.0.0.1:9'}")
    status, findings = run("--config", str(tmp_path / "centre" / "collector.yaml"))
    assert status == 1
    assert [f["check"] for f in findings if f["grade"] == "fail"] == ["time series"]


def test_a_mistake_in_the_configuration_is_named_by_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "edge.yaml"
    path.write_text("edge: {id: e1, data_dir: var}\nuplnk: {url: 'http://x'}\n")
    done = subprocess.run(
        [sys.executable, "-m", "tidegate", "doctor", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}:2:1: uplnk: ")
    assert "uplink" in done.stderr
