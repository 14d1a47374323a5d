"""One RTSP check tells apart everything that can be wrong with a feed, and guards its login."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from edge_agent.cameras.address import RtspAddress
from edge_agent.cameras.evidence import StreamCheck
from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.rtsp_wire import connect_outcome
from edge_agent.cameras.settings import PatrolSettings
from tests.fakes.cameras import Script, ScriptedDevice, answering, fleet_and_feeds, set_up

QUICK = PatrolSettings(connect_s=1.0, answer_s=0.3)
LOGIN = Credential("viewer", "hunter2")
OPTIONS = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE\r\n\r\n"
SDP = b"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
DIGEST = b'WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"\r\n'


def reply(cseq: int, status: int, headers: bytes = b"", body: bytes = b"") -> bytes:
    return b"RTSP/1.0 %d X\r\nCSeq: %d\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status,
        cseq,
        headers,
        len(body),
        body,
    )


async def check(
    script: Script, credential: Credential | None = None, logins: Logins | None = None
) -> tuple[StreamCheck, ScriptedDevice]:
    async with ScriptedDevice(script) as device:
        feed = device.feed(credential)
        return await check_stream(feed, Plan(), logins or Logins(), QUICK), device


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_described_stream_is_ok(host: str) -> None:
    async with ScriptedDevice(answering(OPTIONS, reply(2, 200, body=SDP)), host) as device:
        found = await check_stream(device.feed(), Plan(), Logins(), QUICK)

    assert (found.outcome, found.described) == ("ok", True)
    assert found.tracks[0].codec == "H264"
    assert found.rtt_ms is not None


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((reply(1, 453),), "limit"),
        ((reply(1, 302, b"Location: rtsp://evil/\r\n"),), "redirected"),
        ((OPTIONS, reply(2, 301, b"Location: rtsp://evil/\r\n")), "redirected"),
        ((OPTIONS, reply(2, 401, DIGEST)), "auth_missing"),
        ((OPTIONS, reply(2, 403)), "forbidden"),
        ((OPTIONS, reply(2, 404)), "not_found"),
        ((OPTIONS, reply(2, 454)), "not_found"),
        ((OPTIONS, reply(2, 453)), "limit"),
        ((OPTIONS, reply(2, 503)), "limit"),
        ((OPTIONS, reply(2, 500)), "server_error"),
        ((OPTIONS, reply(2, 200, body=b"nonsense")), "bad_description"),
        ((OPTIONS, reply(2, 200, body=b"v=0\r\nm=audio 0 RTP/AVP 0\r\n")), "no_video"),
        ((reply(1, 501), reply(2, 200, body=SDP)), "ok"),
        ((b"HTTP/1.0 400 Bad Request\r\n\r\n",), "not_rtsp"),
        ((b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 20_000,), "too_large"),
        ((b"RTSP/1.0 200 OK\r\nContent-Length: 104857600\r\n\r\n",), "too_large"),
        ((), "timeout"),
        ((OPTIONS,), "timeout"),
    ],
)
async def test_every_answer_has_its_outcome(answers: tuple[bytes, ...], outcome: str) -> None:
    found, _ = await check(answering(*answers))

    assert found.outcome == outcome


async def test_a_device_that_hangs_up_is_reset() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    found, _ = await check(hang_up)

    assert found.outcome == "reset"


async def test_a_closed_port_is_refused() -> None:
    async with ScriptedDevice(answering()) as device:
        feed = device.feed()

    assert (await check_stream(feed, Plan(), Logins(), QUICK)).outcome == "refused"


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ENETUNREACH, "no_route"),
        (errno.EMFILE, "own_limit"),
        (errno.EADDRNOTAVAIL, "own_limit"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ETIMEDOUT, "connect_timeout"),
        (None, "unreachable"),
    ],
)
def test_our_own_troubles_are_told_from_the_devices(number: int | None, outcome: str) -> None:
    assert connect_outcome(OSError(number, "x") if number else OSError("several")) == outcome


async def test_media_between_the_answers_is_passed_over() -> None:
    noise = b"$\x00\x00\x04abcd"

    found, _ = await check(answering(noise + OPTIONS + noise, noise + reply(2, 200, body=SDP)))

    assert found.outcome == "ok"


async def test_the_digest_answer_holds_no_password() -> None:
    found, device = await check(
        answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 200, body=SDP)), LOGIN
    )

    assert found.outcome == "ok"
    assert b'Authorization: Digest username="viewer"' in device.received
    assert b"hunter2" not in device.received


async def test_basic_is_not_sent_where_a_digest_is_offered() -> None:
    both = b'WWW-Authenticate: Basic realm="r"\r\nWWW-Authenticate: Digest realm="r", nonce="n", algorithm=SM3\r\n'

    found, device = await check(answering(OPTIONS, reply(2, 401, both)), LOGIN)

    assert found.outcome == "auth_unsupported"
    assert b"Authorization" not in device.received


@pytest.mark.parametrize("hangs_up_behind", [b"200", b"401"])
async def test_a_device_that_hangs_up_behind_an_answer_is_asked_on_a_new_connection(
    hangs_up_behind: bytes,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await reader.readuntil(b"\r\n\r\n")
            cseq = int(asked.split(b"CSeq: ")[1].split(b"\r\n")[0])
            answer = reply(cseq, 200, body=SDP)
            if not asked.startswith(b"OPTIONS") and b"Authorization" not in asked:
                answer = reply(cseq, 401, DIGEST)
            writer.write(answer)
            await writer.drain()
            if answer.startswith(b"RTSP/1.0 " + hangs_up_behind):
                return

    logins = Logins()
    found, device = await check(script, LOGIN, logins)

    assert (found.outcome, found.described) == ("ok", True)
    assert device.connections == 2


async def test_a_device_that_hangs_up_on_every_description_is_reset() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await reader.readuntil(b"\r\n\r\n")).startswith(b"OPTIONS"):
            writer.write(OPTIONS)

    found, device = await check(script)

    assert (found.outcome, found.detail[:9]) == ("reset", "DESCRIBE:")
    assert device.connections == 2


async def test_a_nonce_is_used_again_and_its_use_counted() -> None:
    logins = Logins()
    script = answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 200, body=SDP))
    async with ScriptedDevice(script) as device:
        await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)
        device._script = answering(OPTIONS, reply(2, 200, body=SDP))
        device.received.clear()
        found = await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)

    assert found.outcome == "ok"
    assert b'nonce="n1"' in device.received
    assert b"nc=00000002" in device.received


async def test_a_nonce_that_is_good_only_once_is_no_refused_login() -> None:
    logins = Logins()
    fresh = DIGEST.replace(b"n1", b"n2")
    script = answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 200, body=SDP))
    async with ScriptedDevice(script) as device:
        await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)
        device._script = answering(OPTIONS, reply(2, 401, fresh), reply(3, 200, body=SDP))
        second = await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)
        device.received.clear()
        device._script = answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 200, body=SDP))
        third = await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)

    assert (second.outcome, third.outcome) == ("ok", "ok")
    assert device.received.count(b"Authorization") == 1  # asked first, as this device wants it


async def test_a_stale_nonce_is_answered_once_more() -> None:
    stale = b'WWW-Authenticate: Digest realm="r", nonce="n2", stale=true\r\n'
    answers = (OPTIONS, reply(2, 401, DIGEST), reply(3, 401, stale), reply(4, 200, body=SDP))

    found, device = await check(answering(*answers), LOGIN)

    assert found.outcome == "ok"
    assert device.received.count(b"Authorization") == 2


async def test_a_login_refused_twice_is_never_tried_again() -> None:
    logins = Logins()
    script = answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 401, DIGEST))
    async with ScriptedDevice(script) as device:
        found = [
            (await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)).outcome
            for _ in range(6)
        ]

    assert found == ["auth_failed", "auth_failed", *["login_stopped"] * 4]
    assert device.received.count(b"Authorization") == 2


async def test_a_401_after_a_success_is_a_limit_not_a_wrong_password() -> None:
    logins = Logins()
    async with ScriptedDevice(
        answering(OPTIONS, reply(2, 401, DIGEST), reply(3, 200, body=SDP))
    ) as device:
        await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)
        device._script = answering(
            OPTIONS, reply(2, 401, DIGEST), reply(3, 401, DIGEST), reply(4, 401, DIGEST)
        )
        found = [
            (await check_stream(device.feed(LOGIN), Plan(), logins, QUICK)).outcome
            for _ in range(3)
        ]

    assert found == ["limit", "limit", "login_paused"]


async def test_options_alone_do_while_the_answer_stays_the_same() -> None:
    async with ScriptedDevice(answering(OPTIONS, reply(2, 200, body=SDP))) as device:
        first = await check_stream(device.feed(), Plan(), Logins(), QUICK)
        device.received.clear()
        same = await check_stream(
            device.feed(), Plan(describe=False, fingerprint=first.fingerprint), Logins(), QUICK
        )
        other = await check_stream(
            device.feed(), Plan(describe=False, fingerprint="200 None old"), Logins(), QUICK
        )

    assert (same.described, other.described) == (False, True)
    assert device.received.count(b"DESCRIBE") == 1


@pytest.mark.fault("F19")
async def test_a_slow_trickle_ends_with_the_step() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"RTSP/1.0 200 OK\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    found, _ = await check(trickle)

    assert found.outcome == "timeout"


@pytest.mark.parametrize("auth", ["none", "basic", "rfc2069", "md5", "sha256"])
@pytest.mark.parametrize("address", ["127.10.0.1", "::1"])
async def test_every_way_to_log_in_works(tmp_path: Path, auth: str, address: str) -> None:
    async with fleet_and_feeds(tmp_path, count=1, address=address) as (fleet, feeds):
        set_up(fleet.devices[0], auth=auth)
        found = await check_stream(feeds["cam-000001"], Plan(), Logins(), QUICK)

        assert found.outcome == "ok"
        assert fleet.devices[0].refused_logins == 0


@pytest.mark.parametrize("error", [socket.gaierror(-2, "x"), TimeoutError(), UnicodeError("x")])
async def test_a_name_that_cannot_be_resolved_says_nothing_about_the_device(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", fail)
    feed = Feed("c1", "cam.example", RtspAddress("rtsp://cam.example/", "cam.example", 554))

    assert (await check_stream(feed, Plan(), Logins(), QUICK)).outcome == "name_unresolved"


async def test_a_name_is_tried_at_each_of_its_addresses() -> None:
    async with ScriptedDevice(answering(OPTIONS, reply(2, 200, body=SDP))) as device:
        url = f"rtsp://localhost:{device.port}/live"
        feed = Feed("c1", "localhost", RtspAddress(url, "localhost", device.port))

        assert (await check_stream(feed, Plan(), Logins(), QUICK)).outcome == "ok"
