"""Promise: from which record on a version of a profile reads is in the spool, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from edge_agent.lineage import LINEAGE_KEY, Lineage, Origin
from gateway_core.errors import SpoolFull
from gateway_core.model import Listed, ProfileUse, Reading
from tests.fakes.edge import ENV, NOW, Edge, open_edge, write_profile

GOOD = '{"temperature": 21.5}'
ORIGIN = {"test/env": Origin("centre", "ab" * 32)}
FIRST = ProfileUse("e1", "test/env", "1.0.0", "ab" * 32, NOW, "", "centre")


def attach(edge: Edge, state: dict[str, bytes] | None = None) -> Lineage:
    lineage = Lineage("e1", ORIGIN, edge.clock)
    lineage.recall(state or {})
    edge.ways.lineage = lineage
    return lineage


async def test_it_stands_before_the_first_reading_of_the_version(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        attach(edge)
        await edge.say("d1", GOOD, GOOD)
        await edge.say("d2", GOOD)
        records = await edge.records()
        assert [type(each) for each in records] == [
            Listed, ProfileUse, Reading, Reading, Listed, Reading,
        ]  # fmt: skip
        assert records[1] == FIRST


async def test_a_restart_with_the_same_version_says_nothing(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        attach(edge)
        await edge.say("d1", GOOD)
        state = await edge.spool.state(LINEAGE_KEY)
    async with open_edge(tmp_path) as edge:
        attach(edge, state)
        await edge.say("d1", GOOD)
        assert [each for each in await edge.records() if isinstance(each, ProfileUse)] == [FIRST]


async def test_another_version_says_which_was_before(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        lineage = attach(edge)
        await edge.say("d1", GOOD)
        text = ENV.replace("version: 1.0.0", "version: 1.1.0")
        edge.ways.use(load_catalogue([write_profile(tmp_path / "next", text)], shipped=False))
        lineage.use({"test/env": Origin("site", "cd" * 32)})
        await edge.say("d1", GOOD)
        uses = [each for each in await edge.records() if isinstance(each, ProfileUse)]
        assert uses == [
            FIRST,
            ProfileUse("e1", "test/env", "1.1.0", "cd" * 32, NOW, "1.0.0", "site"),
        ]


async def test_a_version_that_nothing_is_read_with_is_not_named(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        attach(edge)
        await edge.hear("nobody/knows", GOOD)
        assert await edge.records() == []


async def test_what_the_spool_did_not_take_goes_out_with_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_edge(tmp_path) as edge:
        attach(edge)
        append = edge.spool.append

        async def full(*_: object, **__: object) -> None:
            raise SpoolFull("no room")

        monkeypatch.setattr(edge.spool, "append", full)
        with pytest.raises(SpoolFull):
            await edge.say("d1", GOOD)
        monkeypatch.setattr(edge.spool, "append", append)
        await edge.say("d1", GOOD)
        kinds = [type(each) for each in await edge.records()]
        assert kinds == [Listed, ProfileUse, Reading]
        assert set(await edge.spool.state(LINEAGE_KEY)) == {"profile/test/env"}
