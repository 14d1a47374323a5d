"""What was refused can be replayed with the agent stopped, and only then on the file itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.config import load_edge_config
from edge_agent.run import replay_offline
from gateway_core.errors import ConfigError
from tests.fakes.edge import ENV, open_edge, write_profile

# A topic of its own, so that no profile of the shipped catalogue reads it as well.
MINE = ENV.replace("tg/", "plant/")
CONFIG = """\
edge: {id: e1, data_dir: .}
profiles: [profiles]
devices: {file: devices.csv, unknown: hold}
"""
GOOD = '{"temperature": 21.5}'


def site(folder: Path) -> Path:
    """Write a site where d1 waits to be listed; return its configuration."""
    write_profile(folder / "profiles", MINE)
    (folder / "devices.csv").write_text("id,profile,address\n")
    (folder / "edge.yaml").write_text(CONFIG)
    return folder / "edge.yaml"


async def test_a_held_device_s_payloads_become_readings_once_it_is_listed(tmp_path: Path) -> None:
    path = site(tmp_path)
    async with open_edge(tmp_path, unknown="hold", profile=MINE) as edge:
        await edge.hear("plant/d1/up", GOOD)
    (tmp_path / "devices.csv").write_text("id,profile,address\nd1,test/env,plant/d1/up\n")
    done = await replay_offline(load_edge_config(path), reason="device_held")
    assert (done.tried, done.mended) == (1, 1)
    async with open_edge(tmp_path, profile=MINE) as edge:
        assert [each.fields for each in await edge.readings()] == [{"temperature": 21.5}]
        assert await edge.refused() == []


async def test_while_the_agent_runs_its_file_is_not_touched(tmp_path: Path) -> None:
    path = site(tmp_path)
    async with open_edge(tmp_path, profile=MINE):
        with pytest.raises(ConfigError):
            await replay_offline(load_edge_config(path))
