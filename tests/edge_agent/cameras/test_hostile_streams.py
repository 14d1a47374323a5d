"""A device that stalls or never ends costs a bounded time and memory, and nothing to the others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.cameras.inventory import Credential, Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import MAX_SNAPSHOT, OnvifError
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.survey import survey
from tests.fakes.cameras import Recorder, ScriptedDevice, fleet_and_feeds, patrolling
from tests.fakes.hostile import (
    CHUNK,
    PATIENT,
    QUICK,
    always,
    endless,
    http,
    onvif_client,
    silent,
)

LOGIN = Credential("viewer", "hunter2")
DENIAL = b"<Envelope><Fault><faultcode>ter:NotAuthorized</faultcode></Fault></Envelope>"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

HTTP = {
    "deep": (always(http(200, b"<Envelope>" + b"<a>" * 60_000)), "onvif_malformed"),
    "redirect": (
        always(http(302, b"", b"Location: http://127.0.0.1:1/\r\n")),
        "onvif_malformed",
    ),
    "not http": (always(b"\x00\x01\x02\r\n\r\n"), "onvif_malformed"),
    "rtsp": (always(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"), "onvif_timeout"),
    "empty": (always(http(200, b"")), "onvif_malformed"),
    "busy": (always(http(503, b"")), "onvif_limit"),
    "basic only": (
        always(http(401, b"", b'WWW-Authenticate: Basic realm="r"\r\n')),
        "onvif_auth_failed",
    ),
    "forbidden": (always(http(403, b"")), "onvif_auth_failed"),
    "silence": (silent(), "onvif_timeout"),
    "a length of 100 MB": (
        endless(OK + b"Content-Length: 104857600\r\n\r\n", CHUNK),
        "onvif_malformed",
    ),
    "a length below zero": (endless(OK + b"Content-Length: -1\r\n\r\n", CHUNK), "onvif_malformed"),
    "two lengths": (
        endless(OK + b"Content-Length: 1\r\nContent-Length: 9999999\r\n\r\n", CHUNK),
        "onvif_malformed",
    ),
    "no length and no end": (endless(OK + b"\r\n", CHUNK), "onvif_malformed"),
    "endless chunks": (endless(CHUNKED, b"10000\r\n" + CHUNK + b"\r\n"), "onvif_malformed"),
    "one endless chunk": (endless(CHUNKED, b"7fffffffffffffff\r\n" + CHUNK), "onvif_malformed"),
    "an endless size of a chunk": (endless(CHUNKED, b"0" * 65536, 0.01), "onvif_timeout"),
    "a chunk that is no number": (endless(CHUNKED, b"xyz\r\n"), "onvif_malformed"),
    "endless provisional answers": (
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 9, 0.01),
        "onvif_timeout",
    ),
    "headers in drops": (endless(OK, b"X-A: y\r\n", 0.02), "onvif_timeout"),
    "headers in a flood": (endless(OK, b"X-A: y\r\n" * 9_000), "onvif_malformed"),
    "a body in drops": (
        endless(OK + b"Content-Length: 900\r\n\r\n", b" ", 0.02),
        "onvif_timeout",
    ),
    "one endless header": (endless(OK + b"X-A: ", CHUNK), "onvif_malformed"),
    "a bomb that is not unpacked": (
        always(http(200, b"\x1f\x8b\x08" + b"\0" * 99, b"Content-Encoding: gzip\r\n")),
        "onvif_malformed",
    ),
}


@pytest.mark.parametrize("name", HTTP)
async def test_a_hostile_answer_over_http_is_a_fault_and_ends(name: str) -> None:
    script, fault = HTTP[name]
    # Only what really never ends is left to a short deadline: a busy machine must not change the rest.
    settings = QUICK if fault == "onvif_timeout" else PATIENT
    async with ScriptedDevice(script) as device, onvif_client(settings=settings) as onvif:
        check = await survey(onvif, device.feed(LOGIN), Device(), 10.0)

    assert check.faults == (fault,)
    assert b"hunter2" not in device.received
    assert b"Authorization: Basic" not in device.received


RTSP = {
    "silence": (silent(), "timeout"),
    "http": (always(http(200, b"x")), "not_rtsp"),
    "garbage": (always(b"\x00\x01\x02\x03"), "not_rtsp"),
    "headers in a flood": (endless(b"RTSP/1.0 200 OK\r\n", b"X-A: y\r\n" * 900), "too_large"),
    "headers in drops": (endless(b"RTSP/1.0 200 OK\r\n", b"X-A: y\r\n", 0.02), "timeout"),
    "one endless header": (endless(b"RTSP/1.0 200 OK\r\nX: ", CHUNK), "too_large"),
    "a body of 100 MB": (
        endless(b"RTSP/1.0 200 OK\r\nContent-Length: 104857600\r\n\r\n", CHUNK),
        "too_large",
    ),
    "a length that is no number": (
        endless(b"RTSP/1.0 200 OK\r\nContent-Length: 0x10\r\n\r\n", CHUNK),
        "not_rtsp",
    ),
    "a body in drops": (
        endless(b"RTSP/1.0 200 OK\r\nContent-Length: 900\r\n\r\n", b" ", 0.02),
        "timeout",
    ),
    "media without an answer": (
        endless(b"", b"$\x00\xff\xff" + b"x" * 65_535),
        "too_large",
    ),
    "line ends without an answer": (endless(b"", b"\r\n" * 9_000), "too_large"),
    "requests of its own": (endless(b"", b"OPTIONS * RTSP/1.0\r\n\r\n" * 900), "too_large"),
    "provisional answers": (
        endless(b"", b"RTSP/1.0 100 Continue\r\nCSeq: 1\r\n\r\n", 0.01),
        "timeout",
    ),
    "answers to another": (
        endless(b"", b"RTSP/1.0 200 OK\r\nCSeq: 77\r\n\r\n", 0.01),
        "timeout",
    ),
}


@pytest.mark.parametrize("name", RTSP)
async def test_a_hostile_answer_over_rtsp_is_an_outcome_and_ends(name: str) -> None:
    script, outcome = RTSP[name]
    settings = QUICK if outcome == "timeout" else PATIENT
    async with ScriptedDevice(script) as device:
        check = await check_stream(device.feed(LOGIN), Plan(), Logins(), settings)

    assert check.outcome == outcome
    assert b"hunter2" not in device.received


@pytest.mark.fault("F19")
async def test_a_device_that_is_slow_at_everything_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_agent.cameras.survey.DEADLINE_S", 0.6)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.35)  # each answer by itself is in time
            writer.write(http(500, b"<Envelope><Fault/></Envelope>"))

    async with ScriptedDevice(script) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(), Device(), 10.0)

    assert check.faults == ("onvif_timeout",)
    assert check.detail == "not through within 0.6 s"


async def test_a_snapshot_without_end_is_cut_at_the_cap() -> None:
    script = endless(OK + b"Content-Length: 1073741824\r\n\r\n", CHUNK)
    async with ScriptedDevice(script) as device, onvif_client() as onvif:
        with pytest.raises(OnvifError) as caught:
            await onvif.snapshot(
                device.feed(LOGIN), Device(), f"http://127.0.0.1:{device.port}/snap.jpg"
            )

    assert caught.value.fault in {"onvif_malformed", "onvif_timeout"}
    assert MAX_SNAPSHOT == 8 * 1024 * 1024


async def test_a_password_is_never_sent_in_the_clear_when_a_login_is_refused() -> None:
    async with ScriptedDevice(always(http(400, DENIAL))) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(LOGIN), Device(), 10.0)

    assert check.faults == ("onvif_auth_failed",)
    assert b"PasswordDigest" in device.received
    assert b"PasswordText" not in device.received
    assert b"hunter2" not in device.received


async def test_refused_tokens_stop_after_two() -> None:
    logins = Logins()
    async with ScriptedDevice(always(http(400, DENIAL))) as device, onvif_client(logins) as onvif:
        for _ in range(5):
            await survey(onvif, device.feed(LOGIN), Device(), 10.0)

    assert device.received.count(b"PasswordDigest") == 2


async def test_a_device_that_is_not_there_is_unreachable() -> None:
    async with ScriptedDevice(always(b"")) as device:
        feed: Feed = device.feed(LOGIN)
    async with onvif_client() as onvif:
        check = await survey(onvif, feed, Device(), 10.0)

    assert check.faults == ("onvif_unreachable",)


@pytest.mark.fault("F19")
async def test_a_crowd_of_hostile_devices_takes_nothing_from_the_others(tmp_path: Path) -> None:
    recorder = Recorder()
    scripts = [script for script, _ in (*RTSP.values(), *HTTP.values())]
    async with fleet_and_feeds(tmp_path, count=4) as (_, feeds), AsyncExitStack() as stack:
        hostile: dict[str, Feed] = {}
        for number, script in enumerate(scripts):
            device = await stack.enter_async_context(ScriptedDevice(script))
            hostile[f"bad-{number}"] = replace(device.feed(LOGIN), id=f"bad-{number}")
        before = len(list(Path("/proc/self/fd").iterdir()))
        async with patrolling(
            {**feeds, **hostile}, recorder, answer_s=0.5, snapshot_s=0.5, onvif_s=1.0
        ):
            await recorder.until(
                lambda: (
                    {recorder.states().get(each) for each in feeds} == {"online"}
                    and all(recorder.states().get(each) for each in hostile)
                )
            )
            latest = recorder.latest()
        after = len(list(Path("/proc/self/fd").iterdir()))

    assert {latest[each].state for each in feeds} == {"online"}
    assert {latest[each].faults for each in feeds} == {()}
    assert {latest[each].state for each in hostile} & {"online", "degraded"} == set()
    assert after <= before + len(hostile)  # the devices' own ends may still be closing


async def test_a_fault_of_our_own_is_nobodys_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a mistake that nobody has thought of")

    monkeypatch.setattr("edge_agent.cameras.survey.read_information", broken)
    monkeypatch.setattr("edge_agent.cameras.rtsp_client.parse_sdp", broken)
    described = b"RTSP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nv=0\n"
    async with ScriptedDevice(always(described)) as device:
        stream = await check_stream(device.feed(), Plan(), Logins(), QUICK)
    answer = always(http(200, b"<Envelope><Body/></Envelope>"))
    async with ScriptedDevice(answer) as device, onvif_client() as onvif:
        check = await survey(onvif, device.feed(), Device(), 10.0)

    assert (stream.outcome, stream.detail) == ("own_limit", "a fault of this program: KeyError")
    assert (check.faults, check.detail) == ((), "a fault of this program: KeyError")
