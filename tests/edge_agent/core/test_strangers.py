"""A device that nobody listed gets the profile that fits it, or none: a wrong one would last."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from device_profiles.catalogue import load_catalogue
from edge_agent.arrival import Arrival
from tests.fakes.edge import NOW, Edge, open_edge

EM300 = "01 75 5c 03 67 34 01 04 68 65"  # battery, temperature, humidity
BATTERY = "01 75 5c"


def uplink(payload: str, kind: str = "", device: str = "24e124136c191967") -> Arrival:
    info = {"devEui": device, **({"deviceProfileName": kind} if kind else {})}
    data = base64.b64encode(bytes.fromhex(payload)).decode()
    message = json.dumps({"deviceInfo": info, "fPort": 85, "data": data}).encode()
    return Arrival("mqtt:site", f"application/a1/device/{device}/event/up", message, NOW)


async def profiles(edge: Edge) -> list[str]:
    return [reading.profile for reading in await edge.readings()]


async def test_the_profile_that_the_message_fills_most_is_taken(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=load_catalogue([])) as edge:
        assert await edge.pipeline.ingest([uplink(EM300)]) == [None]
        assert await profiles(edge) == ["milesight/em300-th"]


async def test_what_the_network_server_calls_the_device_decides(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=load_catalogue([])) as edge:
        arrivals = [uplink(BATTERY, "Milesight AM319 (indoor)"), uplink(EM300, device="a" * 16)]
        assert await edge.pipeline.ingest(arrivals) == [None, None]
        assert await profiles(edge) == ["milesight/am319", "milesight/em300-th"]


async def test_a_draw_is_refused_with_the_candidates_named(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=load_catalogue([])) as edge:
        assert await edge.pipeline.ingest([uplink(BATTERY)]) == ["ambiguous_profile"]
        ((_, refusal),) = await edge.spool.refusals(10)
        assert refusal.detail.startswith("24e124136c191967 reads equally well with milesight/")
        assert refusal.detail.endswith(
            "list it in devices.csv, or let the network server name its model"
        )


async def test_a_device_keeps_the_profile_that_it_was_taken_in_with(tmp_path: Path) -> None:
    async with open_edge(tmp_path, catalogue=load_catalogue([])) as edge:
        await edge.pipeline.ingest([uplink(EM300)])
        assert await edge.pipeline.ingest([uplink(BATTERY), uplink(BATTERY, "AM319")]) == [None] * 2
        assert await profiles(edge) == ["milesight/em300-th"] * 3
