"""A search asks whom it was told to, hears them over real UDP, and adds nothing by itself."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from edge_agent.cameras.proposal import propose
from edge_agent.cameras.search import Ask, Findings, addresses_of, parse_networks, search
from tests.e2e.city import tidegate
from tests.fakes.cameras import ScriptedDevice
from tests.fakes.onvif_responder import answer, camera, responding
from tests.fakes.ports import free_port
from tidegate.edge_discover import discover
from tidegate.usage import WrongUsage

WAIT_S = 1.0


async def searched(port: int, *networks: str, rate: float = 2000.0) -> Findings:
    return await search(Ask((), parse_networks(networks), rate, WAIT_S, port))


async def test_devices_answer_over_ipv4_and_ipv6() -> None:
    port = free_port()
    async with responding(port, camera, "127.66.0.1", "127.66.0.6", "::1"):
        found = await searched(port, "127.66.0.0/29", "::1")
    assert sorted(each.host for each in found.sightings) == ["127.66.0.1", "127.66.0.6", "::1"]
    assert found.ignored == {}


async def test_each_address_is_asked_twice_for_each_type_and_no_other() -> None:
    port = free_port()
    async with responding(port, camera, "127.66.1.1", "127.66.1.9") as (asked, spared):
        found = await searched(port, "127.66.1.0/29")
    assert (found.sent, found.unsent) == (6 * 2 * 2, {})
    assert len(asked.probes) == 4
    assert spared.probes == []


async def test_an_answer_from_who_was_not_asked_is_left() -> None:
    port = free_port()
    async with responding(port, camera, "127.66.2.9") as (other,):

        def by_another(_: str, message: str) -> Sequence[bytes]:
            other.datagram_received(f"<a:MessageID>{message}<".encode(), ("127.0.0.1", answered[0]))
            return ()

        answered: list[int] = []
        async with responding(port, by_another, "127.66.2.1") as (asked,):
            plain = asked.datagram_received

            def noting(data: bytes, addr: tuple[str, int]) -> None:
                answered[:] = [addr[1]]
                plain(data, addr)

            asked.datagram_received = noting  # type: ignore[method-assign]
            found = await searched(port, "127.66.2.1")
    assert found.sightings == []
    assert found.ignored == {"elsewhere": 4}


async def test_a_flood_takes_no_room_and_the_others_are_found() -> None:
    port = free_port()

    def flood(_: str, message: str) -> Sequence[bytes]:
        return [answer(message, endpoint=f"urn:uuid:{n}") for n in range(300)]

    async with (
        responding(port, flood, "127.66.3.1"),
        responding(port, camera, "127.66.3.2"),
    ):
        found = await searched(port, "127.66.3.0/30")
    hosts = [each.host for each in found.sightings]
    assert hosts.count("127.66.3.2") == 1
    assert hosts.count("127.66.3.1") == 16
    assert found.ignored["too_many_of_one_host"] > 16


async def test_a_feed_that_is_listed_by_name_is_known() -> None:
    port = free_port()
    feed = ScriptedDevice(lambda *_: None, host="localhost").feed()  # type: ignore[arg-type,return-value]
    async with responding(port, camera, "127.0.0.1"):
        found = await searched(port, "127.0.0.1")
    named = await addresses_of(["localhost", "no-such-host.invalid"], 10.0)
    (device,) = propose(found.sightings, {feed.id: feed}, named)
    assert (device.known, device.row) == (("gate-1",), None)


def site(folder: Path) -> Path:
    (folder / "feeds.csv").write_text("id,host,rtsp_url\ngate,127.66.4.1,rtsp://127.66.4.1/s\n")
    file = folder / "edge.yaml"
    file.write_text(
        "edge: {id: e1, data_dir: var}\ncameras: {file: feeds.csv}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    return file


async def command(file: Path, *words: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(tidegate, "edge", "camera", *words, "--config", str(file))


async def test_what_is_found_is_proposed_and_imported_only_by_a_person(tmp_path: Path) -> None:
    port, file, out = free_port(), site(tmp_path), tmp_path / "found.csv"
    before = (tmp_path / "feeds.csv").read_bytes()
    words = ("discover", "--probe", "127.66.4.0/30", "--port", str(port), "--wait", "1s")
    async with responding(port, camera, "127.66.4.1", "127.66.4.2"):
        told = await command(file, *words, "--csv", str(out), "--json")
        assert told.returncode == 0, told.stderr
        shown = await command(file, *words)
    found = {each["host"]: each for each in json.loads(told.stdout)["devices"]}
    assert found["127.66.4.1"]["known"] == ["gate"]
    assert found["127.66.4.2"]["row"]["id"] == "cam-127-66-4-2"
    assert "2 devices on 127.66.4.0/30; 1 are not in the feeds file" in shown.stdout
    assert (tmp_path / "feeds.csv").read_bytes() == before
    told = await command(file, "import", str(out), "--keep", "--apply")
    assert told.returncode == 0, told.stderr
    with (tmp_path / "feeds.csv").open(encoding="utf-8") as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines)}
    assert sorted(rows) == ["cam-127-66-4-2", "gate"]
    assert rows["cam-127-66-4-2"]["onvif_port"] == "8000"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"interface": ["nosuch0"]}, "'nosuch0' is not there; there are lo"),
        ({"probe": ["10.0.0.0/8"]}, "more than 65536 addresses"),
        ({"probe": ["10.0.0.1"], "wait": "1h"}, "--wait up to 60s"),
        ({"probe": ["10.0.0.1"], "rate": 0.0}, "--rate from 1 to 10000"),
    ],
)
def test_wrong_usage_is_told_with_what_there_is(words: dict, why: str) -> None:
    with pytest.raises(WrongUsage, match=why):
        discover(**words)
