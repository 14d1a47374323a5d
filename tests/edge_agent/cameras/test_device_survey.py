"""Devices as odd as real ones are understood: logins, clocks, addresses and XML of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.cameras.evidence import DeviceCheck
from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from simulators.cameras.camera import QUIRKS
from tests.fakes.cameras import fleet_and_feeds, set_up

FIRST = "cam-000001"


@asynccontextmanager
async def client() -> AsyncIterator[OnvifClient]:
    logins = Logins()
    async with open_session(8) as session:
        yield OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())


async def surveyed(feed: Feed, device: Device | None = None) -> DeviceCheck:
    async with client() as onvif:
        return await survey(onvif, feed, device or Device(), 10.0)


@pytest.mark.parametrize("way", ["none", "token", "digest", "both"])
@pytest.mark.parametrize("address", ["127.10.0.1", "::1"])
async def test_every_way_to_log_in_is_found_out(tmp_path: Path, way: str, address: str) -> None:
    async with fleet_and_feeds(tmp_path, count=1, address=address) as (fleet, feeds):
        set_up(fleet.devices[0], soap_auth=way, maker=("Tidal", "TC-2"))
        known = Device()
        check = await surveyed(feeds[FIRST], known)

        assert check.faults == ()
        assert check.identity.startswith("Tidal TC-2 & more 5.7.3")
        assert check.snapshot_url.endswith("/snapshot.jpg?channel=1&stream=main")
        assert known.way == way
        assert fleet.devices[0].refused_logins <= 1


async def test_the_way_that_worked_is_remembered(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds), client() as onvif:
        set_up(fleet.devices[0], soap_auth="both")
        known = Device()
        await survey(onvif, feeds[FIRST], known, 10.0)
        before = fleet.devices[0].refused_logins
        await survey(onvif, feeds[FIRST], known, 10.0)

        assert fleet.devices[0].refused_logins == before


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize("media2", [False, True])
async def test_odd_xml_is_understood(tmp_path: Path, quirk: str, media2: bool) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(
            fleet.devices[0],
            condition="odd_xml",
            quirk=quirk,
            media2=media2,
            soap_auth="token",
            maker=("海岸", "HA-8816"),
        )
        check = await surveyed(feeds[FIRST])

        assert check.faults == ()
        assert check.identity.startswith("海岸 HA-8816 & more")
        assert check.snapshot_url.startswith(f"http://{feeds[FIRST].host}:")


async def test_a_clock_a_day_behind_is_a_fault_and_no_obstacle(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], condition="clock_skew", soap_auth="token")
        check = await surveyed(feeds[FIRST])

        assert check.faults == ("clock_skew",)
        assert check.skew_s == pytest.approx(-86_400, abs=2)
        assert fleet.devices[0].refused_logins == 0


async def test_the_http_date_helps_where_the_clock_is_behind_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.cameras.soap.OPEN", frozenset())
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], condition="clock_skew", soap_auth="token")
        check = await surveyed(feeds[FIRST])

        assert check.faults == ("clock_skew",)
        assert check.identity
        assert fleet.devices[0].refused_logins == 0


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], condition="wrong_password", soap_auth="digest")
        check = await surveyed(feeds[FIRST])

        assert check.faults == ("onvif_auth_failed",)
        assert fleet.devices[0].refused_logins <= 2


async def test_each_channel_of_an_nvr_finds_its_own_picture(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=8, channels=8) as (_, feeds), client() as onvif:
        known = Device()
        third = await survey(onvif, feeds["cam-000003"], known, 10.0)
        eighth = await survey(onvif, feeds["cam-000008"], known, 10.0)

        assert "channel=3&" in third.snapshot_url
        assert "channel=8&" in eighth.snapshot_url


async def test_another_device_at_the_same_address_is_noticed(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        known = Device()
        first = await surveyed(feeds[FIRST], known)
        set_up(fleet.devices[0], serial="REPLACED")
        second = await surveyed(feeds[FIRST], known)

        assert (first.changed, second.changed) == (False, True)
        assert second.identity.endswith("REPLACED")


async def test_h265_is_told_by_media_2(tmp_path: Path) -> None:
    async with fleet_and_feeds(tmp_path, count=1) as (fleet, feeds):
        set_up(fleet.devices[0], media2=True, codec="H265")
        known = Device()
        await surveyed(feeds[FIRST], known)

        assert known.media == "media2"
        assert (known.profiles[0].codec, known.profiles[0].size) == ("H265", (640, 360))
