"""People ask for feeds by owner, group, fault and plan, and for the city's figures on them."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from collector.agent import open_collector
from collector.api.app import create_app
from collector.area_samples import area_samples
from collector.config import load_collector_config
from collector.reception import Report
from collector.registry.figures import Figures
from collector.registry.plan import FeedPlan, PlannedFeed
from collector.registry.sink import RegistrySink
from gateway_core.model import Batch, FeedHealth, Listed, Record
from gateway_core.wire import Upload

CONFIG = """\
collector: {data_dir: ./var}
intake: {listen: "[::1]:0"}
api: {listen: "[::1]:0"}
"""
NOON = 1_772_337_600_000_000_000  # 2026-03-01T12:00:00+08:00
MINUTE = 60_000_000_000
RECORDS: list[Record] = [
    Listed("e1", "feed", "f1", NOON - 60 * MINUTE, "南门", area="371602001", group="nvr-1"),
    FeedHealth("e1", "f1", NOON - 60 * MINUTE, "online"),
    FeedHealth("e1", "f1", NOON - 15 * MINUTE, "offline", ("rtsp_timeout",)),
    FeedHealth("e1", "f1", NOON, "offline", ("rtsp_timeout",)),
]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "c.yaml").write_text(CONFIG)
    async with open_collector(load_collector_config(tmp_path / "c.yaml"), lambda: NOON) as centre:
        await centre.reception.receive(Upload("e1", "ep", 1, 4, [4], RECORDS), Report())
        plan = [PlannedFeed("e1", "f1", owner="police"), PlannedFeed("e9", "f2", owner="police")]
        await FeedPlan(centre.registry.database).apply(plan, NOON - 90 * MINUTE)
        await RegistrySink(centre.registry).send(Batch(1, RECORDS))
        transport = httpx.ASGITransport(create_app(centre.parts()), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as client:
            yield client


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("owner=police", ["f1", "f2"]),
        ("owner=nobody", []),
        ("group=nvr-1", ["f1"]),
        ("fault=rtsp_timeout", ["f1"]),
        ("plan=missing", ["f2"]),
        ("area=3716&state=offline", ["f1"]),
        ("state=stale", ["f2"]),
    ],
)
async def test_lists_can_be_narrowed(api: httpx.AsyncClient, asked: str, ids: list[str]) -> None:
    found = (await api.get(f"/api/v1/feeds?{asked}")).json()["items"]
    assert [item["id"] for item in found] == ids


async def test_now_in_feeds(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/v1/feeds/kpi?by=owner")).json()
    assert (found["unit"], found["at"]) == ("feeds", "2026-03-01T04:00:00Z")
    assert found["items"] == [
        {
            "key": "police", "all": 2, "enabled": 2, "online": 0, "intact": 0, "down": 1,
            "unknown": 1, "maintenance": 0, "online_rate": 0.0, "online_of_known": 0.0,
            "intact_rate": 0.0, "picture_rate": None, "clock_rate": None,
        }
    ]  # fmt: skip


async def test_over_a_day_in_seconds(api: httpx.AsyncClient) -> None:
    found = (await api.get("/api/v1/feeds/kpi?by=area&day=2026-03-01")).json()
    (item,) = found["items"]
    assert (found["unit"], found["since"], found["until"]) == (
        "seconds",
        "2026-03-01",
        "2026-03-01",
    )
    assert (item["key"], item["online"], item["down"]) == ("371602", 2700.0, 900.0)
    assert item["unknown"] == 1800.0  # planned, and not seen yet
    assert (item["online_rate"], item["online_of_known"]) == (0.5, 0.75)
    assert found["total"]["online_rate"] == 0.5


async def test_the_same_as_csv(api: httpx.AsyncClient) -> None:
    found = await api.get(
        "/api/v1/feeds/kpi?by=day&since=2026-02-28", headers={"accept": "text/csv"}
    )
    rows = list(csv.DictReader(io.StringIO(found.text)))
    assert [(row["key"], row["online"], row["clock_rate"]) for row in rows] == [
        ("2026-03-01", "2700.0", "1.0")
    ]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("by=day", "bad_day"),
        ("day=2026-02-30", "bad_day"),
        ("day=2026-02-03&since=2026-02-03", "bad_day"),
        ("since=2026-03-02&until=2026-03-01", "bad_day"),
        ("since=2020-01-01", "bad_day"),
        ("by=owner&area=3716", "bad_cut"),
        ("by=colour", "bad_request"),
        ("day=yesterday", "bad_request"),
    ],
)
async def test_a_question_without_an_answer_says_why(
    api: httpx.AsyncClient, asked: str, code: str
) -> None:
    found = await api.get(f"/api/v1/feeds/kpi?{asked}")
    assert found.json()["title"] == code


async def test_metrics_count_feeds_by_area_and_condition(api: httpx.AsyncClient) -> None:
    text = (await api.get("/metrics")).text
    assert 'tidegate_feeds_in_area{area="371602",condition="down"} 1.0' in text
    assert 'tidegate_feeds_in_area{area="",condition="unknown"} 1.0' in text


def test_metrics_of_many_areas_are_few() -> None:
    areas = {f"{n:06}": Figures({"intact": 1000 - n, "down": 1}) for n in range(300)}
    found = list(area_samples(areas))
    assert len(found) == 2 * 51
    other = {s.labels["condition"]: s.value for s in found if s.labels["area"] == "other"}
    assert other == {"intact": sum(1000 - n for n in range(50, 300)), "down": 250}
