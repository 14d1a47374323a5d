"""A tap shows records as they go by, as JSON lines, and never waits for a slow reader's sake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_agent.tap import FAR_BEHIND, Filter, as_line, matches, spoken, tap
from gateway_core.model import Batch, Listed, Reading
from tests.fakes.edge import NOW, Edge, arrival, open_edge


def where(edge: Edge) -> object:
    return lambda name: edge.registry.devices[name].address if name in edge.registry.devices else ""


async def test_readings_go_by_with_kind_number_and_times_as_text(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", '{"temperature": 21.5}')
        lines = tap(edge.spool, Filter(field="temperature"), where(edge), after=0)
        told = json.loads(await anext(lines))
        await lines.aclose()
    assert told["kind"] == "reading"
    assert told["seq"] == 2
    assert told["fields"] == {"temperature": 21.5}
    assert told["time"] == spoken(NOW) == "2026-11-18T11:06:40.000000000Z"


@pytest.mark.parametrize(
    ("wanted", "devices"),
    [
        (Filter(), ["d1", "d2"]),
        (Filter(device="d2"), ["d2"]),
        (Filter(field="humidity"), ["d2"]),
        (Filter(topic="tg/+/up"), ["d1", "d2"]),
        (Filter(topic="tg/d1/#"), ["d1"]),
        (Filter(topic="other/#"), []),
    ],
)
async def test_a_filter_shows_only_what_it_names(
    tmp_path: Path, wanted: Filter, devices: list[str]
) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.pipeline.ingest(
            [
                arrival("tg/d1/up", '{"temperature": 1}'),
                arrival("tg/d2/up", '{"temperature": 2, "humidity": 3}'),
            ]
        )
        readings = await edge.readings()
        shown = [each.device for each in readings if wanted.passes(each, where(edge))]
    assert shown == devices


async def test_a_tap_without_a_start_shows_only_what_comes_from_now_on(tmp_path: Path) -> None:
    async with open_edge(tmp_path) as edge:
        await edge.say("d1", '{"temperature": 1}')
        lines = tap(edge.spool, Filter(), where(edge), beat_s=0.01)
        assert await anext(lines) == b"\n"
        await edge.say("d1", '{"temperature": 2}')
        assert json.loads(await anext(lines))["fields"] == {"temperature": 2.0}
        await lines.aclose()


class LongLog:
    """A spool whose head is far away."""

    head = FAR_BEHIND + 1

    async def read_after(self, seq: int, limit: int) -> Batch | None:
        return Batch(seq + 1, [Listed("e1", "device", "d1", 1)])

    async def grown(self, seq: int) -> None:
        raise AssertionError


async def test_a_tap_that_is_far_behind_skips_and_says_so() -> None:
    lines = tap(LongLog(), Filter(), lambda _: "", after=0)
    assert json.loads(await anext(lines)) == {"kind": "skipped", "count": FAR_BEHIND + 1}
    assert json.loads(await anext(lines))["seq"] == FAR_BEHIND + 2
    await lines.aclose()


def test_an_announcement_says_what_it_is_of() -> None:
    told = json.loads(as_line(1, Listed("e1", "feed", "cam-1", NOW)))
    assert (told["kind"], told["of"]) == ("listed", "feed")


def test_a_time_that_no_calendar_has_is_shown_as_a_number() -> None:
    told = json.loads(as_line(1, Reading("e1", "d", "p", "m", 2**63 - 1, NOW, {"x": 1})))
    assert told["time"].startswith("2262-")
    assert spoken(10**25) == "10000000000000000000000000"


@pytest.mark.parametrize(
    ("pattern", "topic", "covers"),
    [
        ("a/+/c", "a/b/c", True),
        ("a/#", "a/b/c", True),
        ("a/+", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("#", "a", True),
        ("a/b", "a/b/c", False),
    ],
)
def test_topic_filters_cover_as_mqtt_says(pattern: str, topic: str, covers: bool) -> None:
    assert matches(pattern, topic) is covers
