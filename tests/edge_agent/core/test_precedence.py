"""Where a site's own profile reads an address, those that ship read it only for their devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from edge_agent.ways import Ways
from tests.fakes.edge import ENV, open_edge, write_profile

OWN = ENV.replace('pattern: "[^/]{1,64}"', 'pattern: "d[0-9]+"')


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    (tmp_path / "env.yaml").write_text(OWN, "utf-8")
    return Ways(load_catalogue([tmp_path]))


def test_the_sites_own_profile_goes_first_and_alone_takes_in_new_devices(ways: Ways) -> None:
    way = ways.find("mqtt", "tg/d1/up")
    assert [route.profile.id for route in way.routes] == ["test/env", "tidegate/env-sensor"]
    assert way.open_to == 1


def test_shipped_profiles_take_in_new_devices_where_no_own_profile_reads(ways: Ways) -> None:
    way = ways.find("mqtt", "application/a1/device/24e124136c191967/event/up")
    assert len(way.routes) > 1
    assert way.open_to == len(way.routes)


async def test_what_a_sites_profile_refuses_no_shipped_profile_takes_in(tmp_path: Path) -> None:
    folder = write_profile(tmp_path / "profiles", OWN)
    async with open_edge(tmp_path, catalogue=load_catalogue([folder])) as edge:
        assert await edge.say("x1", '{"temperature": 21.5}') == ["bad_device_id"]
        assert await edge.say("d1", '{"temperature": 21.5}') == [None]
        assert [r.profile for r in await edge.readings()] == ["test/env"]
