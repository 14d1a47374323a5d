"""Whatever address a device names, and however, no other host is asked and no name looked up."""

from __future__ import annotations

import socket

import pytest

from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.names import believable
from edge_agent.cameras.onvif_client import OnvifError
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.pullpoint import create, pull, read_subscription
from edge_agent.cameras.rtsp_client import Plan, check_stream
from edge_agent.cameras.survey import survey
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.hostile import (
    QUICK,
    always,
    http,
    onvif_client,
    pointing_to,
    streaming_from,
    watched,
)
from tests.fakes.hostile_addresses import ELSEWHERE, HOST

LOGIN = Credential("viewer", "hunter2")


@pytest.fixture(scope="module")
def reachable() -> None:
    """Both addresses of this machine are there, so that a connection would be seen to succeed."""
    for address in (HOST, "127.0.0.2"):
        with socket.socket() as probe:
            probe.bind((address, 0))


def test_there_are_sixty_cases_and_none_twice() -> None:
    assert len(ELSEWHERE) == len(set(ELSEWHERE)) >= 60


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("form", ELSEWHERE, ids=lambda form: repr(form)[:48])
async def test_services_streams_and_pictures_elsewhere_are_not_asked(form: str) -> None:
    async with ScriptedDevice(always(http(200, b"gotcha")), "127.0.0.2") as other:
        address = form.replace("EVIL", f"{other.host}:{other.port}")
        async with ScriptedDevice(pointing_to(address), HOST) as device, onvif_client() as onvif:
            feed, known = device.feed(LOGIN), Device()
            with watched() as asked:
                check = await survey(onvif, feed, known, 10.0)
                if check.snapshot_url:
                    with pytest.raises(OnvifError, match="HTTP 302"):
                        await onvif.snapshot(feed, known, check.snapshot_url)
            made = await onvif.call(feed, known, create("relative", 0))
            with pytest.raises(OnvifError, match="HTTP 307"):
                await onvif.call(feed, known, pull(read_subscription(made), 1.0))

        assert {each for each in asked if each != ("connect", (HOST, device.port))} == set()
        assert check.identity == "x"
        assert check.snapshot_url == "" or check.snapshot_url.startswith(
            f"http://{HOST}:{device.port}/"
        )
        assert b"\nX: y" not in device.received
        assert b"hunter2" not in device.received
        assert other.connections == 0


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("status", [200, 301, 302, 303, 305])
@pytest.mark.parametrize("form", ELSEWHERE, ids=lambda form: repr(form)[:48])
async def test_a_stream_is_asked_for_nowhere_else(form: str, status: int) -> None:
    async with ScriptedDevice(always(http(200, b"gotcha")), "127.0.0.2") as other:
        address = form.replace("EVIL", f"{other.host}:{other.port}").replace("OWN", HOST)
        async with ScriptedDevice(streaming_from(address, status), HOST) as device:
            with watched() as asked:
                check = await check_stream(device.feed(LOGIN), Plan(), Logins(), QUICK)

        assert check.outcome == ("ok" if status == 200 else "redirected")
        assert asked == [("connect", (HOST, device.port))]
        assert other.connections == 0


@pytest.mark.usefixtures("reachable")
async def test_a_name_that_moves_within_one_visit_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups: list[str] = []
    other = ScriptedDevice(always(http(200, b"gotcha")), "127.0.0.2")
    device = ScriptedDevice(pointing_to("/x"), HOST)

    def rebinding(host: str, port: int, *_: object, **__: object) -> list[tuple]:
        lookups.append(host)
        address = HOST if len(lookups) == 1 else other.host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with other, device, onvif_client() as onvif:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        feed = device.feed(LOGIN, host="cam.localhost")
        known = Device()
        check = await survey(onvif, feed, known, 10.0)
        with pytest.raises(OnvifError):
            await onvif.snapshot(feed, known, f"http://cam.localhost:{device.port}/x")

        assert check.identity == "x"
        assert lookups == ["cam.localhost"]
        assert b"Host: cam.localhost:" in device.received
        assert other.connections == 0

        # Between two visits a camera may really have moved: nothing that the old one said is used.
        assert known.paths
        await onvif.find(feed, known)
        assert (known.addresses, known.paths, known.profiles) == ([other.host], {}, ())


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("10.1.2.3", True),
        ("192.168.1.64", True),
        ("172.17.0.2", True),
        ("2001:db8::7", True),
        ("fd12::7", True),
        ("64:ff9b::a01:203", True),
        ("::ffff:10.1.2.3", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
    ],
)
def test_a_name_may_not_stand_for_this_machine_or_its_link(address: str, believed: bool) -> None:
    assert believable("cam-7.example", address) is believed
    assert believable("localhost", address)


async def test_a_name_that_stands_for_this_machine_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedDevice(always(http(200, b"gotcha"))) as device, onvif_client() as onvif:

        def lying(host: str, port: int, *_: object, **__: object) -> list[tuple]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", lying)
        feed = device.feed(LOGIN, host="cam-7.example")
        check = await survey(onvif, feed, Device(), 10.0)
        stream = await check_stream(feed, Plan(), Logins(), QUICK)

        assert check.faults == ("onvif_unreachable",)
        assert stream.outcome == "name_unresolved"
        assert "cam-7.example resolves to 127.0.0.1" in stream.detail
        assert "cam-7.example resolves to 127.0.0.1" in check.detail
        assert device.connections == 0
