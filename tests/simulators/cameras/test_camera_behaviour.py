"""Cameras misbehave as the options say, and a patrol comes to the verdicts that were intended."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from pathlib import Path
from typing import Self

import pytest

from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import Device, OnvifClient
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from simulators.cameras.camera import FOREIGN
from simulators.cameras.fleet import CameraFleet
from simulators.cameras.options import INTENDED, FleetOptions
from tests.fakes.cameras import HandClock, Recorder, fleet_and_feeds, patrolling, set_up
from tests.fakes.ports import free_port

REALM = "IP Camera(C2F35)"
# One camera alone that is cut off cannot be told from a dead one; frozen and the other pictures
# need several looks that are half an hour apart.
JUDGED = sorted(INTENDED.keys() - {"cut_off", "black", "frozen", "blurred", "clock_skew"})
CUT_SHORT = {"connect_s": 1.0, "answer_s": 3.0}


async def test_a_patrol_comes_to_the_verdicts_that_were_intended(tmp_path: Path) -> None:
    path, port, recorder = tmp_path / "feeds.csv", free_port(), Recorder()
    options = FleetOptions(
        count=len(JUDGED),
        mix={},
        address="127.46.0.1",
        rtsp_port=port,
        onvif_port=port,
        feeds_file=path,
    )
    async with CameraFleet(options) as fleet:
        for index, condition in enumerate(JUDGED):
            set_up(fleet.devices[index], auth="md5", soap_auth="digest")
            await fleet.change(index, condition)
        wanted = {feed: {state} for feed, state in fleet.states().items()}
        # What they are degraded by is found over ONVIF, which comes after the streams.
        wanted[f"cam-{JUDGED.index('broken_xml') + 1:06d}"].add("online")
        async with patrolling(load_feeds(path), recorder, **CUT_SHORT):
            await recorder.until(
                lambda: (
                    recorder.states().keys() == wanted.keys()
                    and all(state in wanted[feed] for feed, state in recorder.states().items())
                )
            )
        assert all(device.locked_until == 0 for device in fleet.devices)


async def test_a_switch_that_fails_is_nobodys_fault_but_its_own(tmp_path: Path) -> None:
    path, port, recorder = tmp_path / "feeds.csv", free_port(), Recorder()
    options = FleetOptions(
        count=8,
        mix={},
        address="127.46.0.1",
        rtsp_port=port,
        onvif_port=port,
        switch_size=4,
        feeds_file=path,
    )
    async with CameraFleet(options) as fleet:
        async with patrolling(load_feeds(path), recorder, sweep_s=2.0, connect_s=0.5):
            await recorder.until(lambda: recorder.states() == fleet.states())
            for index in range(4):
                await fleet.change(index, "cut_off")
            await recorder.until(lambda: recorder.states() == fleet.states())
        assert list(fleet.states().values()) == ["unknown"] * 4 + ["online"] * 4


async def check(feed: Feed) -> tuple[tuple[str, ...], str]:
    """The faults of one ONVIF check, and the address of the picture."""
    logins = Logins()
    async with open_session(4) as session:
        client = OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())
        found = await survey(client, feed, Device(), 10.0)
    return found.faults, found.snapshot_url


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_addresses_of_other_machines_are_told_and_bent_back(
    tmp_path: Path, foreign: str
) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        device, feed = fleet.devices[0], feeds["cam-000001"]
        set_up(device, condition="foreign_address", foreign=foreign, soap_auth="token")
        faults, url = await check(feed)

        assert faults == ()
        assert url.startswith(f"http://{feed.host}:{feed.onvif_port}/")


@pytest.mark.parametrize("serial", ["0", "1", "2", "3"])
async def test_soap_that_cannot_be_read_is_a_fault(tmp_path: Path, serial: str) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], condition="broken_xml", serial=serial, soap_auth="none")
        faults, _ = await check(feeds["cam-000001"])

        assert faults == ("onvif_malformed",)


class Peer:
    """An RTSP client by hand."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, url: str, more: str = "") -> str:
        self._writer.write(f"{method} {url} RTSP/1.0\r\nCSeq: 1\r\n{more}\r\n".encode())
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def log_in(self, url: str, password: str) -> str:
        """Describe with RFC 2069 digest; return the status."""

        def md5(text: str) -> str:
            return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

        refused = await self.ask("DESCRIBE", url)
        found = re.search('nonce="([^"]*)"', refused)
        assert found is not None
        right = md5(f"{md5(f'patrol:{REALM}:{password}')}:{found[1]}:{md5(f'DESCRIBE:{url}')}")
        login = f'username="patrol", realm="{REALM}", nonce="{found[1]}", uri="{url}"'
        told = await self.ask(
            "DESCRIBE", url, f'Authorization: Digest {login}, response="{right}"\r\n'
        )
        length = re.search("Content-Length: ([0-9]+)", told)
        await self._reader.readexactly(int(length[1]) if length else 0)
        return told.split()[1]


async def test_five_wrong_logins_lock_an_account_for_half_an_hour(tmp_path: Path) -> None:
    truth, clock = tmp_path / "truth.jsonl", HandClock()
    options = FleetOptions(count=1, mix={}, rtsp_port=0, address="127.46.0.1", truth_file=truth)
    async with CameraFleet(options, clock) as fleet:
        device = fleet.devices[0]
        set_up(device, auth="rfc2069")
        url = device.stream_url(1)
        async with Peer(device.host, device.rtsp_port) as peer:
            four = [await peer.log_in(url, "wrong") for _ in range(4)]
            right = await peer.log_in(url, device.password)
            five = [await peer.log_in(url, "wrong") for _ in range(5)]
            locked = await peer.log_in(url, device.password)
            clock.advance(1801)
            after = await peer.log_in(url, device.password)

    assert four == ["401"] * 4
    assert five == ["401"] * 5
    assert (right, locked, after) == ("200", "401", "200")
    (event,) = [line for line in truth.read_text().splitlines() if "login_locked" in line]
    assert json.loads(event)["feeds"] == ["cam-000001"]


async def test_a_camera_of_one_session_has_no_room_for_a_second(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, _):
        device = fleet.devices[0]
        set_up(device, condition="one_session", auth="none")
        url = device.stream_url(1)
        async with Peer(device.host, device.rtsp_port) as first:
            assert "200 OK" in await first.ask("OPTIONS", url)
            async with Peer(device.host, device.rtsp_port) as second:
                assert "453" in await second.ask("DESCRIBE", url)
            assert "200 OK" in await first.ask("DESCRIBE", url)


async def test_the_asked_share_of_connections_is_disturbed_in_each_way() -> None:
    options = FleetOptions(
        count=1, mix={}, rtsp_port=0, address="127.46.0.1", disturbed=0.5, seed=7
    )
    async with CameraFleet(options) as fleet:
        device = fleet.devices[0]
        whole = 0
        for _ in range(200):
            try:
                async with Peer(device.host, device.rtsp_port) as peer, asyncio.timeout(0.05):
                    whole += "CSeq" in await peer.ask("OPTIONS", device.stream_url(1))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                pass
        around = fleet.surroundings

    assert around.connections == 200
    assert 60 <= sum(around.disturbances.values()) <= 140
    assert around.disturbances.keys() == {"cut", "cut_later", "half", "stall"}
    assert whole <= 200 - sum(around.disturbances.values())
