"""The promise: TLS always verifies, passwords come from files, refusals say what to do."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
import trustme

from edge_agent.sources.terms import Refused
from gateway_core.errors import Unavailable
from tests.fakes.broker import Mosquitto
from tests.fakes.ingest import FakeIngest, supervised

VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


class Site:
    """A broker that wants TLS and a password."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.broker = broker
        self.url = broker.url.replace("mqtt://127.0.0.1", "mqtts://localhost")
        self.keys = {
            "username": "edge",
            "password_file": str(folder / "right"),
            "ca_file": str(folder / "ca.pem"),
        }
        self.folder = folder


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other-ca.pem"))
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    with (tmp_path / "cert.pem").open("wb") as file:
        for each in issued.cert_chain_pems:
            file.write(each.bytes())
    (tmp_path / "right").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("battery staple\n")
    users = tmp_path / "users"
    subprocess.run(
        ["mosquitto_passwd", "-c", "-b", str(users), "edge", "correct horse"], check=True
    )
    broker = Mosquitto(
        tmp_path / "broker",
        f"allow_anonymous false\npassword_file {users}\ncertfile {tmp_path}/cert.pem\n"
        f"keyfile {tmp_path}/key.pem\ncafile {tmp_path}/ca.pem",
    )
    await broker.start()
    yield Site(tmp_path, broker)
    await broker.stop()


@VERSIONS
async def test_messages_come_over_tls_with_a_password_from_a_file(
    version: str, site: Site, make_source
) -> None:
    ingest = FakeIngest()
    source = make_source(site.url, ingest, version=version, **site.keys)
    async with supervised(source):
        await source.ready.wait()
        await site.broker.publish(
            "tg/dev-1/up",
            *[f"{number} {'x' * 1000}" for number in range(300)],
            options=(
                *("--cafile", f"{site.folder}/ca.pem", "-u", "edge", "-P", "correct horse"),
                "--insecure",
            ),
        )
        await ingest.until(300)
    assert [int(each.split()[0]) for each in ingest.payloads()] == list(range(300))


@VERSIONS
async def test_a_wrong_password_is_refused_with_advice_and_without_the_password(
    version: str, site: Site, make_source
) -> None:
    wrong = {**site.keys, "password_file": str(site.folder / "wrong")}
    source = make_source(site.url, FakeIngest(), version=version, **wrong)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(Refused, match="refuses the connection") as caught:
                await source.run()
    assert "battery staple" not in str(caught.value)
    assert "check" in str(caught.value) or "allow" in str(caught.value)
    errors = [each for each in logs if each["log_level"] == "error"]
    assert [each["event"] for each in errors] == ["broker_refused"]


@VERSIONS
async def test_a_broker_of_an_unknown_authority_is_not_spoken_to(
    version: str, site: Site, make_source
) -> None:
    keys = {**site.keys, "ca_file": str(site.folder / "other-ca.pem")}
    with pytest.raises(Unavailable, match="certificate is not accepted"):
        await make_source(site.url, FakeIngest(), version=version, **keys).run()


@VERSIONS
async def test_a_certificate_for_another_name_is_not_accepted(
    version: str, site: Site, make_source
) -> None:
    url = site.url.replace("localhost", "127.0.0.1")
    with pytest.raises(Unavailable, match=r"certificate is not accepted for 127\.0\.0\.1"):
        await make_source(url, FakeIngest(), version=version, **site.keys).run()


async def test_a_missing_password_file_is_named(site: Site, make_source) -> None:
    keys = {**site.keys, "password_file": str(site.folder / "absent")}
    with pytest.raises(Unavailable, match="absent"):
        await make_source(site.url, FakeIngest(), **keys).run()


@VERSIONS
async def test_a_port_where_nobody_listens_is_named(version: str, site: Site, make_source) -> None:
    await site.broker.stop()
    with pytest.raises(Unavailable, match=f"localhost:{site.broker.port}"):
        await make_source(site.url, FakeIngest(), version=version, **site.keys).run()
