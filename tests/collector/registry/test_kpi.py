"""The figures on feeds equal a recount of the records by hand; unknown is never counted as down."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from collector.registry.condition import condition, spans
from collector.registry.database import open_database
from collector.registry.figures import Figures, total
from collector.registry.kpi import Cut, FeedKpis, parse_day
from collector.registry.registry import Registry
from collector.registry.sink import RegistrySink
from gateway_core.model import Batch, FeedHealth, Listed, Record

MINUTE = 60_000_000_000
DAY0 = parse_day("2026-03-01")
NIGHT = (DAY0 * 1440 - 480) * MINUTE
"""Midnight in the city, eight hours ahead of UTC, as 2026-03-01 begins."""
SHIFT_S = 8 * 3600.0


def at(minute: int) -> int:
    return NIGHT + minute * MINUTE


def verdict(feed: str, minute: int, state: str, *faults: str, edge: str = "e1") -> FeedHealth:
    return FeedHealth(edge, feed, at(minute), state, faults)


def listed(feed: str, minute: int, area: str, group: str = "", edge: str = "e1") -> Listed:
    return Listed(edge, "feed", feed, at(minute), area=area, group=group)


def ms(minutes: float) -> int:
    return round(minutes * 60_000)


@pytest.mark.parametrize(
    ("state", "faults", "held"),
    [
        ("online", (), "intact"),
        ("degraded", ("onvif_timeout",), "intact"),
        ("degraded", ("picture_black", "onvif_timeout"), "picture"),
        ("degraded", ("packet_loss",), "picture"),
        ("degraded", ("long_gop", "low_frame_rate"), "intact"),
        ("degraded", ("clock_skew",), "clock"),
        ("degraded", ("clock_skew", "picture_frozen"), "both"),
        ("offline", ("rtsp_timeout",), "down"),
        ("auth_failed", (), "down"),
        ("locked_out", (), "down"),
        ("no_stream", (), "down"),
        ("unknown", ("rtsp_no_route",), "unknown"),
        ("stale", ("not_checked",), "unknown"),
        ("maintenance", (), "maintenance"),
    ],
)
def test_a_verdict_puts_a_feed_in_one_condition(
    state: str, faults: tuple[str, ...], held: str
) -> None:
    assert condition(state, faults) == held


def test_rates_divide_by_what_the_city_says() -> None:
    held = {"intact": 90, "picture": 3, "clock": 2, "both": 1, "down": 2, "unknown": 2}
    figures = Figures(held | {"maintenance": 50})
    assert figures.amounts() == {
        "all": 150, "enabled": 100, "online": 96, "intact": 90, "down": 2, "unknown": 2,
        "maintenance": 50,
    }  # fmt: skip
    assert figures.rates() == {
        "online_rate": 96 / 100,
        "online_of_known": 96 / 98,
        "intact_rate": 90 / 100,
        "picture_rate": 92 / 96,
        "clock_rate": 93 / 96,
    }


def test_no_feeds_have_no_rate_instead_of_zero() -> None:
    assert set(Figures({"maintenance": 3}).rates().values()) == {None}
    assert set(Figures({"maintenance": 3, "unknown": 7}).rates().values()) == {None}
    assert Figures({"down": 1, "unknown": 7}).rates()["online_rate"] == 0.0


def test_a_verdict_is_believed_for_two_hours_and_days_are_the_citys() -> None:
    found = list(spans(ms(23 * 60), ms(26 * 60), "down", 0))
    assert found == [(0, "down", ms(60)), (1, "down", ms(60)), (1, "unknown", ms(60))]
    assert list(spans(ms(10), ms(20), "intact", ms(-15))) == [
        (-1, "intact", ms(5)),
        (0, "intact", ms(5)),
    ]


def test_a_feed_silent_for_years_costs_no_more_days_than_are_kept() -> None:
    assert len(list(spans(0, 100 * 365 * 86_400_000, "intact", 0))) == 400


async def test_now_and_over_a_day(url: str) -> None:
    records: list[Record] = [
        listed("f1", 0, "371602001", "nvr-1"),
        listed("f2", 0, "371602002", "nvr-1"),
        listed("f3", 0, "371603001", "nvr-2"),
        verdict("f1", 0, "online"),
        verdict("f2", 0, "offline", "rtsp_timeout"),
        verdict("f3", 0, "degraded", "clock_skew"),
        verdict("f1", 60, "maintenance"),
        verdict("f2", 60, "online"),
        verdict("f1", 120, "maintenance"),
        verdict("f2", 90, "online"),
        verdict("f3", 120, "degraded", "clock_skew"),
    ]
    async with open_database(url) as database:
        await RegistrySink(Registry(database, SHIFT_S)).send(Batch(1, records))
        kpis = FeedKpis(database, SHIFT_S)
        here = await kpis.now(Cut("area"), {"e1"})
        groups = await kpis.now(Cut("group"), {"e1"})
        away = await kpis.now(Cut("edge"), set())
        below = await kpis.now(Cut("area", under="371602"), {"e1"})
        day = await kpis.over(Cut("group"), DAY0, DAY0, at(130))
    assert {key: each.held for key, each in here.items()} == {
        "371602": {"maintenance": 1, "intact": 1},
        "371603": {"clock": 1},
    }
    assert set(below) == {"371602001", "371602002"}
    assert groups["nvr-1"].held == {"maintenance": 1, "intact": 1}
    assert away["e1"].held == {"maintenance": 1, "unknown": 2}
    nvr = day["nvr-1"]
    assert nvr.held == {
        "intact": ms(60 + 30),
        "down": ms(60),
        "maintenance": ms(60),
    }
    assert nvr.rates()["online_rate"] == 90 / 150
    assert day["nvr-2"].rates()["clock_rate"] == 0.0


async def test_a_feed_that_falls_silent_is_unknown_after_two_hours_not_down(url: str) -> None:
    async with open_database(url) as database:
        sink = RegistrySink(Registry(database, SHIFT_S))
        await sink.send(Batch(1, [verdict("f1", 1320, "online")]))
        kpis = FeedKpis(database, SHIFT_S)
        assert await kpis.over(Cut("day"), DAY0, DAY0 + 1, at(1430)) == {}
        found = await kpis.over(Cut("day"), DAY0, DAY0 + 1, at(1500))
    assert {key: each.held for key, each in found.items()} == {
        "2026-03-01": {"intact": ms(120)},
        "2026-03-02": {"unknown": ms(60)},
    }


async def test_the_same_records_again_change_no_figure(url: str) -> None:
    batch = Batch(1, [verdict("f1", 0, "online"), verdict("f1", 30, "offline", "rtsp_timeout")])
    async with open_database(url) as database:
        registry, kpis = Registry(database, SHIFT_S), FeedKpis(database, SHIFT_S)
        for _ in range(3):
            await RegistrySink(registry).send(batch)
        now = await kpis.now(Cut("edge"))
        day = await kpis.over(Cut("edge"), DAY0, DAY0, at(40))
    assert (now["e1"].held, day["e1"].held) == ({"down": 1}, {"intact": ms(30)})


async def test_old_days_go_and_this_year_stays(url: str) -> None:
    async with open_database(url) as database:
        sink = RegistrySink(Registry(database, SHIFT_S))
        await sink.send(Batch(1, [verdict("f1", 0, "online"), verdict("f1", 30, "online")]))
        kpis = FeedKpis(database, SHIFT_S)
        await kpis.prune(at(400 * 1440))
        kept = await kpis.over(Cut("edge"), DAY0, DAY0, at(40))
        await kpis.prune(at(401 * 1440))
        gone = await kpis.over(Cut("edge"), DAY0, DAY0, at(40))
    assert (kept["e1"].held, gone) == ({"intact": ms(30)}, {})


async def test_what_an_older_program_kept_is_tallied(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/registry.db"
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(
            text(
                "CREATE TABLE feeds (edge VARCHAR(64) NOT NULL, id VARCHAR(255) NOT NULL, "
                "name VARCHAR(255) NOT NULL, area VARCHAR(64) NOT NULL, lat FLOAT, lon FLOAT, "
                "state VARCHAR(16) NOT NULL, since BIGINT, faults JSON, rtt_ms FLOAT, "
                "judged BIGINT, checks INTEGER, failures INTEGER, PRIMARY KEY (edge, id))"
            )
        )
        db.execute(text("CREATE INDEX feeds_by_id ON feeds (id, edge)"))
        row = "INSERT INTO feeds (edge, id, name, area, state, faults, judged) VALUES "
        db.execute(text(row + f"('e1','f1','','371602','offline','[\"rtsp_timeout\"]',{at(0)})"))
    engine.dispose()
    async with open_database(url) as database:
        kpis = FeedKpis(database, SHIFT_S)
        assert (await kpis.catch_up(), await kpis.catch_up()) == (1, 0)
        sink = RegistrySink(Registry(database, SHIFT_S))
        await sink.send(Batch(1, [verdict("f1", 30, "online")]))
        now = await kpis.now(Cut("area"))
        day = await kpis.over(Cut("area"), DAY0, DAY0, at(40))
    assert now["371602"].held == {"intact": 1}
    assert day["371602"].held == {"down": ms(30)}


_STATES = st.sampled_from(
    [
        ("online", ()),
        ("offline", ("rtsp_timeout",)),
        ("degraded", ("picture_black",)),
        ("degraded", ("clock_skew", "picture_black")),
        ("unknown", ("rtsp_no_route",)),
        ("maintenance", ()),
    ]
)
_EDGES = st.sampled_from(["e1", "e2"])
_RECORDS = st.lists(
    st.one_of(
        st.builds(
            lambda edge, feed, minute, state: verdict(feed, minute, state[0], *state[1], edge=edge),
            _EDGES, st.sampled_from(["f1", "f2"]), st.integers(0, 4000), _STATES,
        ),
        st.builds(
            lambda edge, feed, minute, area, group: listed(feed, minute, area, group, edge),
            _EDGES, st.sampled_from(["f1", "f2"]), st.integers(0, 4000),
            st.sampled_from(["371602", "371603", "37160201"]), st.sampled_from(["", "nvr-1"]),
        ),
    ),
    min_size=1,
    max_size=30,
)  # fmt: skip


def _recount(
    records: list[Record], now: int
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, int, str]]]:
    """Count minute by minute: (area, condition) -> feeds, and (area, day, condition) -> minutes."""
    feeds: dict[tuple[str, str], dict] = {}
    minutes: Counter[tuple[str, int, str]] = Counter()

    def count(feed: dict, until: int) -> None:
        for minute in range(feed["told"], until):
            held = feed["held"] if minute < feed["told"] + 120 else "unknown"
            minutes[feed["area"], DAY0 + minute // 1440, held] += 1

    for record in records:
        name = record.feed if isinstance(record, FeedHealth) else record.id
        minute = (record.time - NIGHT) // MINUTE
        feed = feeds.setdefault(
            (record.edge, name), {"area": "", "held": "unknown", "told": minute, "newest": -1}
        )
        if isinstance(record, Listed):
            feed["area"] = record.area
        elif minute >= feed["newest"]:
            count(feed, minute)
            feed["told"] = max(minute, feed["told"])
            feed |= {"newest": minute, "held": condition(record.state, record.faults)}
    for feed in feeds.values():
        if now - feed["told"] > 120:
            count(feed, now)
    return Counter((feed["area"], feed["held"]) for feed in feeds.values()), minutes


@settings(max_examples=20)
@given(
    records=_RECORDS,
    sizes=st.lists(st.integers(1, 9), min_size=30, max_size=30),
    shuffled=st.booleans(),
)
def test_figures_equal_a_recount_minute_by_minute(
    records: list[Record], sizes: list[int], shuffled: bool
) -> None:
    if not shuffled:
        records = sorted(records, key=lambda each: each.time)

    async def ask() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_database(f"sqlite:///{folder}/registry.db") as database:
                sink, kpis = RegistrySink(Registry(database, SHIFT_S)), FeedKpis(database, SHIFT_S)
                start = 0
                for size in sizes:
                    if records[start : start + size]:
                        await sink.send(Batch(start + 1, records[start : start + size]))
                    start += size
                feeds, minutes = _recount(records, 4100)
                now = await kpis.now(Cut("area", digits=64))
                assert _amounts(now) == dict(feeds)
                for day in range(DAY0, DAY0 + 3):
                    found = await kpis.over(Cut("area", digits=64), day, day, at(4100))
                    wanted = {(a, c): ms(n) for (a, d, c), n in minutes.items() if d == day}
                    assert _amounts(found) == wanted
                whole = await kpis.over(Cut("group"), DAY0, DAY0 + 2, at(4100))
                assert total(whole.values()).amounts()["all"] == ms(minutes.total())

    asyncio.run(ask())


def _amounts(found: dict[str, Figures]) -> dict[tuple[str, str], int]:
    return {(key, held): n for key, each in found.items() for held, n in each.held.items()}
