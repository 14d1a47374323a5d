"""An invitation lets one edge in once, for one key, for a while, and only at the centre it is from."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from collector.certificates import load_authority
from collector.registry.database import open_database
from collector.registry.invitations import Invitations
from edge_agent.enrolment import Identity, enrol
from gateway_core.clock import NS, wall_ns
from gateway_core.errors import ConfigError, GatewayError, Unavailable
from gateway_core.invitation import Invitation, read_invitation
from gateway_core.wire import encode_upload
from tests.fakes.edges import Edge, upload
from tests.fakes.inviting import Centre, inviting
from tests.fakes.ports import free_port
from tidegate.collector_edges import invite

EDGE = "bz-edge-01"


async def invited(
    centre: Centre, capsys: pytest.CaptureFixture[str], edge: str = EDGE
) -> Invitation:
    await asyncio.to_thread(invite, edge, config=centre.config)
    return read_invitation(capsys.readouterr().out.splitlines()[-1])


def identity(folder: Path) -> Identity:
    secrets = folder / "site" / "secrets"
    return Identity(secrets / "ca.pem", secrets / "edge.pem", secrets / "edge.key")


async def refused(invitation: Invitation, own: Identity) -> str:
    with pytest.raises(GatewayError) as caught:
        await enrol(invitation, own)
    assert invitation.secret.hex() not in str(caught.value)
    return str(caught.value)


def context(own: Identity) -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=own.ca_file)
    found.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    found.load_cert_chain(own.cert_file, own.key_file)
    return found


async def test_an_invited_edge_uploads_in_its_own_name_and_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = identity(tmp_path)
    async with inviting(tmp_path / "centre") as centre:
        admission = await enrol(await invited(centre, capsys), own)
        assert admission.uplink == centre.intake_url
        assert 365 < (admission.not_after - wall_ns()) / NS / 86_400 < 367
        async with aiohttp.ClientSession() as session:
            edge = Edge(session, admission.uplink, context(own))
            status, receipt, _ = await edge.post(encode_upload(upload(1, 3, EDGE)))
            assert (status, receipt["accepted"]) == (200, 3)
            status, problem, _ = await edge.post(encode_upload(upload(1, 3, "bz-edge-02")))
            assert (status, problem["code"]) == (403, "wrong_edge")
    files = (own.ca_file, own.cert_file, own.key_file)
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600] * 3
    assert not own.pending.exists()


async def test_an_invitation_is_used_once_but_a_lost_answer_is_asked_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, thief = identity(tmp_path), identity(tmp_path / "thief")
    async with inviting(tmp_path / "centre") as centre:
        invitation = await invited(centre, capsys)
        await enrol(invitation, own)
        own.key_file.rename(own.pending)  # as if the answer had never come
        own.cert_file.unlink()
        await enrol(invitation, own)
        assert "invitation_used" in await refused(invitation, thief)
        assert not thief.cert_file.exists()
        later = await invited(centre, capsys)
        assert "bad_invitation" in await refused(invitation, thief)
        await enrol(later, thief)


async def test_what_is_wrong_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = identity(tmp_path)
    async with inviting(tmp_path / "centre") as centre:
        invitation = await invited(centre, capsys)
        assert "bad_invitation" in await refused(replace(invitation, secret=bytes(16)), own)
        assert "bad_invitation" in await refused(replace(invitation, edge="bz-edge-02"), own)
        async with open_database(f"sqlite:///{centre.config.parent}/var/registry.db") as database:
            now = wall_ns()
            await Invitations(database).invite(EDGE, invitation.secret, now - 2 * NS, now - NS)
        assert "invitation_ended" in await refused(invitation, own)
    with pytest.raises(Unavailable, match="nothing was changed here"):
        await enrol(invitation, own)


async def test_the_centre_keeps_no_secret_and_reads_no_name_from_a_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with inviting(tmp_path / "centre") as centre:
        invitation = await invited(centre, capsys)
        kept = [path.read_bytes() for path in (tmp_path / "centre").rglob("*") if path.is_file()]
        assert not any(invitation.secret in each for each in kept)
        await enrol(invitation, identity(tmp_path))
        trusting = ssl.create_default_context(cafile=tmp_path / "centre" / "secrets" / "ca.pem")
        async with aiohttp.ClientSession() as session:
            for body, code in (
                (b"{", "bad_request"),
                (b'{"edge": "../x", "secret": "", "csr": ""}', "bad_edge"),
                (b'{"edge": "e1", "secret": "", "csr": "x"}', "bad_csr"),
            ):
                url = f"{centre.enrol_url}/v1/enrol"
                async with session.post(url, data=body, ssl=trusting) as answer:
                    assert (answer.status, (await answer.json(content_type=None))["code"]) == (
                        400,
                        code,
                    )


@asynccontextmanager
async def impostor(shown: str, own: trustme.CA) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somebody who shows a CA and has a certificate of another one."""
    heard: list[bytes] = []

    async def ca(_: web.Request) -> web.Response:
        return web.Response(text=shown)

    async def listen(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.json_response({}, status=500)

    app = web.Application()
    app.router.add_get("/v1/ca", ca)
    app.router.add_post("/v1/enrol", listen)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.issue_cert("127.0.0.1").configure_cert(tls)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield f"https://127.0.0.1:{port}", heard
    finally:
        await runner.cleanup()


async def test_an_impostor_hears_nothing(tmp_path: Path) -> None:
    real, other = trustme.CA(), trustme.CA()
    pem = real.cert_pem.bytes().decode()
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    async with impostor(other.cert_pem.bytes().decode(), other) as (url, heard):
        told = await refused(Invitation(EDGE, url, pin, bytes(16)), identity(tmp_path))
        assert "is not the centre that the invitation is from" in told
    async with impostor(pem, other) as (url, more):
        told = await refused(Invitation(EDGE, url, pin, bytes(16)), identity(tmp_path))
        assert "certificate verify failed" in told
    assert heard + more == []


async def test_of_many_at_once_one_gets_in(url: str) -> None:
    secret, now = bytes(range(16)), wall_ns()
    async with open_database(url) as database:
        invitations = Invitations(database)
        await invitations.invite(EDGE, secret, now, now + 60 * NS)
        tries = (invitations.redeem(EDGE, secret, f"key-{n}", now) for n in range(200))
        outcomes = await asyncio.gather(*tries)
    assert sorted(set(outcomes)) == ["admitted", "invitation_used"]
    assert outcomes.count("admitted") == 1


def test_a_ca_that_cannot_issue_is_told_at_the_start(tmp_path: Path) -> None:
    ca, other = trustme.CA(), trustme.CA()
    leaf = ca.issue_cert("127.0.0.1")
    for name, blob in (
        ("ca.pem", ca.cert_pem),
        ("ca.key", ca.private_key_pem),
        ("other.key", other.private_key_pem),
        ("leaf.pem", leaf.cert_chain_pems[0]),
        ("leaf.key", leaf.private_key_pem),
    ):
        blob.write_to_path(tmp_path / name)
    for cert, key, why in (
        ("ca.pem", "other.key", "is not the key of"),
        ("leaf.pem", "leaf.key", "is no certificate of a CA"),
        ("ca.key", "ca.key", "expected a certificate in PEM"),
        ("ca.pem", "ca.pem", "expected a private key in PEM"),
        ("none.pem", "ca.key", "cannot be read: No such file"),
    ):
        with pytest.raises(ConfigError, match=why):
            load_authority(tmp_path / cert, tmp_path / key, wall_ns())
    with pytest.raises(ConfigError, match="make a new CA"):
        load_authority(tmp_path / "ca.pem", tmp_path / "ca.key", 2000 * 366 * 86_400 * NS)
    assert json.dumps(load_authority(tmp_path / "ca.pem", tmp_path / "ca.key", wall_ns()).pem)
