"""Simulated systems answer while they are up, and fail in the two ways that systems fail."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from edge_agent.systems.inventory import load_systems
from simulators.systems.estate import Estate


async def get(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


async def test_the_written_file_is_what_an_edge_reads(tmp_path: Path) -> None:
    async with Estate(4) as estate:
        estate.write(tmp_path / "systems.yaml")
        systems = load_systems(tmp_path / "systems.yaml")
        assert [(s.id, s.kind) for s in systems] == [
            ("sim-system-001", "http"),
            ("sim-system-002", "tcp"),
            ("sim-system-003", "http"),
            ("sim-system-004", "tcp"),
        ]
        assert await get(systems[0].target) == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_system_that_is_down_refuses_or_says_503_and_comes_back(host: str) -> None:
    async with Estate(40, seed=3, host=host) as estate:
        seen = set()
        for system in [s for s in estate.systems if s.http]:
            await estate.set(system, up=False)
            try:
                seen.add(await get(system.target))
            except aiohttp.ClientConnectorError:
                seen.add(0)
            await estate.set(system, up=True)
            assert await get(system.target) == 200
        assert seen == {0, 503}
