"""A login is asked for in many ways, refused in more, and never sent in the clear or too often."""

from __future__ import annotations

import asyncio

import pytest

from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.survey import survey
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.hostile import QUICK, enveloped, http, onvif_client, request
from tests.fakes.onvif_answers import DENIED, GOOD, INFORMATION, WORDLESS

LOGIN = Credential("viewer", "hunter2")


@pytest.mark.parametrize("denial", [DENIED, WORDLESS, http(401, b""), http(403, b"")])
async def test_a_login_is_tried_whatever_the_words_of_the_refusal(denial: bytes) -> None:
    known = Device()
    async with ScriptedDevice(wanting_token(denial)) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), known, 1e12)

    assert (check.identity, known.way) == ("Tidal TC-2", "token")


def wanting_token(denial: bytes, let_in: int = 10_000):
    """A device that wants a token, and lets so many of them in."""
    left = [let_in]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await request(reader)
            name = next((name for name in GOOD if f"<{name} ".encode() in body), "")
            welcome = b"UsernameToken" in body and left[0] > 0
            left[0] -= welcome
            if name == "GetSystemDateAndTime" or welcome:
                writer.write(enveloped(str(GOOD.get(name, "<x/>"))))
            else:
                writer.write(denial)

    return script


async def test_a_refusal_after_a_success_is_the_devices_limit_and_no_wrong_password() -> None:
    logins = Logins()
    known = Device()
    async with ScriptedDevice(wanting_token(DENIED, 5)) as device, onvif_client(logins) as onvif:
        checks = [await survey(onvif, device.feed(LOGIN), known, 1e12) for _ in range(4)]

    assert [check.faults for check in checks[1:]] == [("onvif_limit",)] * 3
    assert logins.permit(device.feed(LOGIN), 0.0, "onvif") == "paused"
    assert device.received.count(b"PasswordDigest") == 5 + 2


async def test_an_account_that_may_not_do_one_thing_is_no_wrong_login() -> None:
    logins = Logins()
    device = ScriptedDevice(wanting_token(http(403, b""), 0))
    async with device, onvif_client(logins) as onvif:
        for _ in range(3):
            check = await survey(onvif, device.feed(LOGIN), Device(), 1e12)

    assert check.faults == ("onvif_auth_failed",)
    assert logins.permit(device.feed(LOGIN), 0.0, "onvif") == "free"


async def test_an_onvif_account_that_does_not_exist_does_not_stop_the_stream() -> None:
    """Some makers keep accounts for ONVIF apart from those of the streams."""
    logins = Logins()
    async with ScriptedDevice(wanting_token(DENIED, 0)) as device, onvif_client(logins) as onvif:
        feed = device.feed(LOGIN)
        logins.accept(feed)
        for _ in range(4):
            check = await survey(onvif, feed, Device(), 1e12)

    assert check.faults == ("onvif_auth_failed",)
    assert device.received.count(b"PasswordDigest") == 2
    assert logins.permit(feed, 0.0) == "free"
    assert logins.permit(feed, 0.0, "onvif") == "stopped"


async def test_before_any_login_worked_two_refusals_stop_both_doors() -> None:
    logins = Logins()
    async with ScriptedDevice(wanting_token(DENIED, 0)) as device, onvif_client(logins) as onvif:
        feed = device.feed(LOGIN)
        for _ in range(4):
            await survey(onvif, feed, Device(), 1e12)

    assert logins.permit(feed, 0.0) == "stopped"


async def test_a_stopped_login_says_nothing_of_a_stream_that_wants_none() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sdp = b"v=0\r\nm=video 0 RTP/AVP 96\r\n"
        for number in (1, 2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"RTSP/1.0 200 OK\r\nCSeq: %d\r\nContent-Length: %d\r\n\r\n%s"
                % (number, len(sdp), sdp)
            )

    logins = Logins()
    async with ScriptedDevice(script) as device:
        feed: Feed = device.feed(LOGIN)
        logins.refuse(feed, 0.0)
        logins.refuse(feed, 0.0)
        check = await check_stream(feed, Plan(), logins, QUICK)

    assert check.outcome == "ok"
    assert b"Authorization" not in device.received


@pytest.mark.parametrize(
    "offer",
    [
        b'Digest realm="r", nonce="n1"',
        b'Digest realm="r", nonce="n1", qop="auth"',
        b'Digest realm="r", nonce="n1", qop=auth, algorithm=MD5',
        b'Digest qop="auth,auth-int", realm="IP Camera(12345)", nonce="n1", opaque=""',
        b'Digest realm="r", nonce="n1", qop="auth-int", algorithm=SHA-256',
        b'Digest realm="r", nonce="n1", algorithm="MD5", stale="FALSE"',
        b'Basic realm="r", Digest realm="r", nonce="n1", algorithm=SHA-512-256, qop="auth"',
    ],
)
async def test_every_form_of_http_digest_is_answered_and_a_stale_nonce_is_no_refusal(
    offer: bytes,
) -> None:
    answers: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await request(reader)
            if b"GetSystemDateAndTime" in body:
                writer.write(enveloped(str(GOOD["GetSystemDateAndTime"])))
            elif b"Authorization: Digest" not in head:
                writer.write(http(401, b"", b"WWW-Authenticate: " + offer + b"\r\n"))
            elif b'nonce="n1"' in head:
                stale = offer.replace(b'"n1"', b'"n2", stale=true').replace(b', stale="FALSE"', b"")
                writer.write(http(401, b"", b"WWW-Authenticate: " + stale + b"\r\n"))
            else:
                answers.append(head)
                writer.write(enveloped(INFORMATION))

    logins = Logins()
    async with ScriptedDevice(script) as device, onvif_client(logins) as onvif:
        check = await survey(onvif, device.feed(LOGIN), Device(), 1e12)

    assert check.identity == "Tidal TC-2"
    assert b'nonce="n2"' in answers[0]
    assert logins.permit(device.feed(LOGIN), 0.0, "onvif") == "free"
    assert b"hunter2" not in device.received
