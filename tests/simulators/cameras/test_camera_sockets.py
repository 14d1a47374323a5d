"""A few sockets serve a city of cameras, and a dead one among them answers nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway_core.errors import Unavailable
from simulators.cameras.fleet import CameraFleet
from simulators.cameras.options import FleetOptions
from tests.fakes.ports import free_port

OPTIONS = b"OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"


def fleet_of(count: int, port: int, **more: object) -> CameraFleet:
    options = {"mix": {}, "address": "127.44.0.1", "onvif_port": port, **more}
    return CameraFleet(FleetOptions(count=count, rtsp_port=port, **options))


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionResetError):
        await writer.wait_closed()


async def answer(host: str, port: int, request: bytes = OPTIONS) -> bytes:
    """The first line of an answer; empty when the connection was cut before it."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        return await reader.readline()
    except ConnectionResetError:
        return b""
    finally:
        await hang_up(writer)


async def test_ten_thousand_cameras_share_two_sockets() -> None:
    port = free_port()
    async with fleet_of(10_000, port, onvif_port=free_port()) as fleet:
        assert fleet.sockets == 2
        for host in ("127.44.0.1", "127.44.17.4", fleet.devices[-1].host):
            assert await answer(host, port) == b"RTSP/1.0 200 OK\r\n"
    assert fleet.devices[-1].host == "127.44.39.16"


async def test_an_address_of_no_camera_is_hung_up_on() -> None:
    port = free_port()
    async with fleet_of(2, port):
        assert await answer("127.44.0.3", port) == b""


async def test_a_dead_camera_does_not_even_answer_an_attempt_to_connect() -> None:
    port = free_port()
    async with fleet_of(3, port) as fleet:
        await fleet.change(1, "dead")
        with socket.socket() as attempt:
            # Unanswered at the third try of the kernel, after three seconds, whatever the load.
            attempt.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2000)
            attempt.setblocking(False)
            with pytest.raises(OSError) as unanswered:
                await asyncio.get_running_loop().sock_connect(attempt, ("127.44.0.2", port))
        assert unanswered.value.errno == errno.ETIMEDOUT
        assert fleet.sockets == 2
        for host in ("127.44.0.1", "127.44.0.3"):
            assert await answer(host, port) == b"RTSP/1.0 200 OK\r\n"
        await fleet.change(1, "good")
        assert fleet.sockets == 1
        assert await answer("127.44.0.2", port) == b"RTSP/1.0 200 OK\r\n"


async def test_a_camera_that_dies_falls_silent_and_hangs_up_when_it_is_back() -> None:
    port = free_port()
    async with fleet_of(2, port) as fleet:
        reader, writer = await asyncio.open_connection("127.44.0.1", port)
        writer.write(OPTIONS)
        await reader.readuntil(b"\r\n\r\n")
        await fleet.change(0, "cut_off")
        writer.write(OPTIONS)
        assert await answer("127.44.0.2", port) == b"RTSP/1.0 200 OK\r\n"  # a round trip later
        assert not reader.at_eof()
        await fleet.change(0, "good")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await hang_up(writer)


@pytest.mark.parametrize("shared", [False, True])
async def test_an_offline_camera_refuses_or_cuts_and_comes_back(shared: bool) -> None:
    port = free_port()
    async with fleet_of(2 if shared else 1, port) as fleet:
        await fleet.change(0, "offline")
        if shared:
            assert await answer("127.44.0.1", port) == b""
        else:
            with pytest.raises(ConnectionRefusedError):
                await answer("127.44.0.1", port)
        await fleet.change(0, "good")
        assert await answer("127.44.0.1", port) == b"RTSP/1.0 200 OK\r\n"


async def test_one_socket_can_serve_both_protocols() -> None:
    port = free_port()
    async with fleet_of(1, port):
        assert await answer("127.44.0.1", port) == b"RTSP/1.0 200 OK\r\n"
        http = await answer("127.44.0.1", port, b"GET /nothing HTTP/1.1\r\n\r\n")
        assert http == b"HTTP/1.1 404 Not Found\r\n"


async def test_on_one_address_each_camera_has_a_port_and_can_die_alone() -> None:
    port = 28600
    async with fleet_of(3, port, address="::1") as fleet:
        assert [(each.host, each.rtsp_port, each.onvif_port) for each in fleet.devices] == [
            ("::1", 28600, 28600),
            ("::1", 28601, 28601),
            ("::1", 28602, 28602),
        ]
        await fleet.change(1, "dead")
        assert fleet.sockets == 3
        assert await answer("::1", port) == b"RTSP/1.0 200 OK\r\n"


def test_a_fleet_on_one_address_may_have_two_ports_each() -> None:
    fleet = CameraFleet(FleetOptions(count=2, address="::1", rtsp_port=28600))

    assert [(each.rtsp_port, each.onvif_port) for each in fleet.devices] == [
        (28600, 28601),
        (28602, 28603),
    ]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_taken_port_is_told(count: int) -> None:
    port = free_port()
    async with fleet_of(count, port):
        with pytest.raises(Unavailable, match="cannot listen as a camera"):
            await fleet_of(count, port).start()


async def test_addresses_that_this_machine_does_not_have_are_told() -> None:
    with pytest.raises(Unavailable, match="cannot listen as a camera"):
        await fleet_of(3, free_port(), address="198.51.100.1").start()


def test_the_command_serves_ipv6_and_names_what_it_was_asked_wrongly(tmp_path: Path) -> None:
    def simulate(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tidegate", "simulate", "cameras", *more]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    served = simulate("--count", "3", "--address", "::1", "--port", "28610", "--for", "0.1s")
    assert served.returncode == 0, served.stderr
    assert "rtsp://[::1]:28612/Streaming/Channels/101" in (tmp_path / "feeds.csv").read_text()
    for wrong, option in (
        (("--disturbed", "2"), "--disturbed"),
        (("--switch-fails-every", "1m"), "--switch-size"),
        (("--faults", "none", "--change-every", "1s"), "--change-every"),
        (("--address", "::1", "--count", "60000"), "--count"),
    ):
        told = simulate(*wrong)
        assert told.returncode == 2
        assert option in told.stderr
