"""A plan says which feeds should exist; what is planned and never seen can be told from what is down."""

from __future__ import annotations

import asyncio

from collector.registry.database import open_database
from collector.registry.kpi import Cut, FeedKpis
from collector.registry.plan import FeedPlan, PlannedFeed
from collector.registry.registry import Filter, Registry
from collector.registry.sink import RegistrySink
from gateway_core.model import Batch, FeedHealth, Listed

CODE = "37160200001320000001"
HOUR = 3_600_000_000_000


def planned(feed: str, **said: str) -> PlannedFeed:
    return PlannedFeed("e1", feed, **said)


async def test_planned_feeds_are_unknown_until_an_edge_speaks_of_them(url: str) -> None:
    plan = [
        planned("f1", owner="police", area="371602", group="nvr-1", gb_code=CODE),
        planned("f2"),
    ]
    async with open_database(url) as database:
        registry, kpis = Registry(database), FeedKpis(database)

        async def ids(**wanted: str) -> list[str]:
            return [row["id"] for row in (await registry.page("feeds", Filter(**wanted))).rows]

        await FeedPlan(database).apply(plan, HOUR)
        assert await ids(plan="missing") == ["f1", "f2"]
        assert (await kpis.now(Cut("owner")))["police"].held == {"unknown": 1}
        sink = RegistrySink(registry)
        await sink.send(Batch(1, [FeedHealth("e1", "f1", 2 * HOUR, "offline", ("rtsp_timeout",))]))
        await sink.send(Batch(2, [FeedHealth("e1", "stray", 2 * HOUR, "online")]))
        assert await ids(plan="missing") == ["f2"]
        assert await ids(plan="planned") == ["f1", "f2"]
        assert await ids(plan="unplanned") == ["stray"]
        assert await ids(owner="police", group="nvr-1", fault="rtsp_timeout") == ["f1"]
        assert await ids(gb_code=CODE) == ["f1"]
        assert await ids(fault="rtsp") == []
        assert (await kpis.now(Cut("owner")))["police"].held == {"down": 1}


async def test_what_the_plan_says_stands_against_what_an_edge_lists(url: str) -> None:
    async with open_database(url) as database:
        registry = Registry(database)
        await FeedPlan(database).apply([planned("f1", area="371602")], HOUR)
        told = Listed(
            "e1", "feed", "f1", HOUR, name="South gate", area="379999", group="nvr-9", gb_code=CODE
        )
        await RegistrySink(registry).send(Batch(1, [told]))
        (row,) = (await registry.page("feeds", Filter())).rows
    assert (row["area"], row["name"], row["group"]) == ("371602", "South gate", "nvr-9")
    assert row["gb_code"] == CODE


async def test_a_new_plan_says_what_is_new_changed_and_gone(url: str) -> None:
    async with open_database(url) as database:
        registry, plan, kpis = Registry(database), FeedPlan(database), FeedKpis(database)
        first = [planned("a"), planned("b", owner="x"), planned("c"), planned("d")]
        await plan.apply([*first, PlannedFeed("e2", "a")], HOUR)
        await RegistrySink(registry).send(Batch(1, [FeedHealth("e1", "c", 2 * HOUR, "online")]))
        second = [planned("a"), planned("b", owner="y"), planned("n")]
        told = await plan.compare(second)
        assert (await plan.compare(second)) == told
        assert await plan.apply(second, 3 * HOUR) == told
        rows = {(r["edge"], r["id"]): r for r in (await registry.page("feeds", Filter())).rows}
        counts = {key: each.held for key, each in (await kpis.now(Cut("owner"))).items()}
        again = await plan.apply(second, 4 * HOUR)
    assert [each.id for each in told.new] == ["n"]
    assert [each.id for each in told.changed] == ["b"]
    assert (told.same, told.gone) == (1, (("e1", "c"), ("e1", "d")))
    assert set(rows) == {("e1", "a"), ("e1", "b"), ("e1", "c"), ("e1", "n"), ("e2", "a")}
    assert rows["e1", "c"]["planned"] is None
    assert rows["e1", "b"]["planned"] == HOUR
    assert counts == {"": {"unknown": 3, "intact": 1}, "y": {"unknown": 1}}
    assert (again.new, again.changed, again.same, again.gone) == ((), (), 3, ())


async def test_a_plan_that_comes_in_while_verdicts_do_leaves_the_figures_right(url: str) -> None:
    async with open_database(url) as one, open_database(url) as two:
        sink, plan = RegistrySink(Registry(one)), FeedPlan(two)
        feeds = [f"f{n}" for n in range(40)]
        await plan.apply([planned(feed, owner="x") for feed in feeds], HOUR)

        async def judge() -> None:
            for n in range(15):
                state = "online" if n % 2 else "offline"
                records = [FeedHealth("e1", feed, 2 * HOUR + n, state) for feed in feeds]
                await sink.send(Batch(1 + 40 * n, records))

        async def change() -> None:
            for n in range(15):
                await plan.apply([planned(feed, owner=f"o{n}") for feed in feeds], HOUR)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(judge())
            tasks.create_task(change())
        rows = (await Registry(one).page("feeds", Filter())).rows
        owners = {key: each.held for key, each in (await FeedKpis(one).now(Cut("owner"))).items()}
    assert {(row["owner"], row["state"]) for row in rows} == {("o14", "offline")}
    assert owners == {"o14": {"down": 40}}
