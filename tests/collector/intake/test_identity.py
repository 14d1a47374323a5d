"""With certificates an edge is who its certificate says, over IPv4 and IPv6."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp
import pytest
import trustme

from collector.config import IntakeSection
from collector.identity import certificate_names, open_gate
from collector.refused import Refused
from gateway_core.errors import ConfigError
from gateway_core.units import Address
from tests.fakes.edges import centre, upload


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_files(authority: trustme.CA, folder: Path) -> dict[str, Path]:
    own = authority.issue_cert("localhost", "127.0.0.1", "::1")
    own.private_key_pem.write_to_path(folder / "key.pem")
    own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"cert_file": folder / "cert.pem", "key_file": folder / "key.pem"}


def client(authority: trustme.CA, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if name is not None:
        authority.issue_cert(f"{name}.invalid", common_name=name).configure_cert(context)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_certificate_uploads_as_its_own_edge_only(authority, tmp_path: Path, host) -> None:
    files = server_files(authority, tmp_path)
    settings = IntakeSection(
        listen=(Address(host, 0),), client_ca_file=tmp_path / "ca.pem", **files
    )
    async with centre(tmp_path, settings) as here:
        here.edge.ssl = client(authority, "e1")
        own = await here.edge.send(upload(1, 3))
        status, answer = await here.edge.send(upload(1, 3, "e2"))
        stored = await here.stored()
    assert own[0] == 200
    assert (status, answer["type"]) == (403, "urn:tidegate:problem:wrong_edge")
    assert {each.edge for each in stored} == {"e1"}


async def test_without_a_certificate_of_our_authority_nobody_gets_in(authority, tmp_path) -> None:
    files = server_files(authority, tmp_path)
    settings = IntakeSection(
        listen=(Address("127.0.0.1", 0),), client_ca_file=tmp_path / "ca.pem", **files
    )
    foreign = client(authority, None)
    trustme.CA().issue_cert("e1.invalid", common_name="e1").configure_cert(foreign)
    async with centre(tmp_path, settings) as here:
        for context in (client(authority, None), foreign):
            here.edge.ssl = context
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await here.edge.send(upload(1, 1))
        assert await here.stored() == []


def test_a_certificate_names_edges_by_common_name_dns_and_spiffe_uri() -> None:
    certificate = {
        "subject": ((("organizationName", "o"),), (("commonName", "e1"),)),
        "subjectAltName": (
            ("DNS", "e2"),
            ("URI", "spiffe://binzhou/edge/e3"),
            ("URI", "spiffe://binzhou/operator/e4"),
            ("URI", "https://x/edge/e5"),
        ),
    }
    assert certificate_names(certificate) == {"e1", "e2", "e3"}


def test_a_file_that_cannot_be_read_is_a_mistake_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text("e1: short\n")
    with pytest.raises(ConfigError, match="16 characters"):
        open_gate(IntakeSection(tokens_file=tmp_path / "tokens.yaml"))


def test_an_unlisted_edge_with_a_token_is_still_unlisted(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text("e1: aaaaaaaaaaaaaaaaaaaa\n")
    gate = open_gate(IntakeSection(tokens_file=tmp_path / "tokens.yaml", edges=("e2",)))
    with pytest.raises(Refused) as caught:
        gate.admit("e1", None, "Bearer aaaaaaaaaaaaaaaaaaaa")
    assert caught.value.code == "unknown_edge"
