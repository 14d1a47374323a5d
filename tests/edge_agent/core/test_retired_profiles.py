"""The promise: a withdrawn profile gets no new devices, loses none, and a person is told."""

from __future__ import annotations

from pathlib import Path

from device_profiles.catalogue import load_catalogue
from edge_agent.check import check
from edge_agent.listing import Listing
from edge_agent.retired import Retired, retired
from tests.fakes.edge import ENV, open_edge, write_profile

WITHDRAWN = ENV.replace("status: stable", "status: withdrawn\nsuccessor: test/better")
BETTER = ENV.replace("id: test/env", "id: test/better")
DEPRECATED = ENV.replace("status: stable", "status: deprecated")


async def test_a_withdrawn_profile_takes_in_no_device_that_nobody_knows(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=WITHDRAWN) as edge:
        assert await edge.say("d1", '{"temperature": 21.5}') == ["profile_withdrawn"]
        (refusal,) = await edge.refused()
        assert refusal.detail == "test/env was withdrawn; use test/better"


async def test_the_devices_that_have_it_are_read_on(tmp_path: Path) -> None:
    async with open_edge(tmp_path, profile=WITHDRAWN) as edge:
        edge.registry.enlist([Listing("d1", "test/env")])
        assert await edge.say("d1", '{"temperature": 21.5}') == [None]


async def test_another_profile_of_the_same_topic_gets_the_device(tmp_path: Path) -> None:
    folder = write_profile(tmp_path / "profiles", WITHDRAWN)
    write_profile(folder, BETTER, "better.yaml")
    catalogue = load_catalogue([folder], shipped=False)
    async with open_edge(tmp_path, catalogue=catalogue) as edge:
        assert await edge.say("d1", '{"temperature": 21.5}') == [None]
        assert edge.registry.devices["d1"].profile == "test/better"


def test_a_check_names_what_devices_still_have_and_what_takes_its_place(tmp_path: Path) -> None:
    folder = write_profile(tmp_path / "profiles", DEPRECATED)
    better = BETTER.replace("status: stable", "status: stable\nreplaces: test/env")
    write_profile(folder, better, "better.yaml")
    (tmp_path / "devices.csv").write_text("id,profile,address\nd1,test/env,\nd2,test/better,\n")
    config = tmp_path / "edge.yaml"
    config.write_text(
        f"edge: {{id: e1, data_dir: {tmp_path}/var}}\nprofiles: [{folder}]\n"
        f"devices: {{file: {tmp_path}/devices.csv}}\n"
    )
    found = check(config)
    assert found.faults == []
    assert found.warnings == ["test/env is deprecated, 1 devices have it; use test/better"]


def test_profiles_that_no_device_has_are_not_named(tmp_path: Path) -> None:
    catalogue = load_catalogue([write_profile(tmp_path, DEPRECATED)], shipped=False)
    assert retired(catalogue.profiles, []) == []
    assert retired(catalogue.profiles, ["test/env", "test/env"]) == [
        Retired("test/env", "deprecated", "", 2)
    ]
