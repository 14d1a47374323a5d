"""100,000 feeds at the centre: how long lists and figures take, and how many changes go in.

python -m benchmarks.feeds [--feeds 100000] [--url URL] [--rounds 20] [--changes 10000]

Without ``--url`` in an SQLite file of its own that is removed again. Prints one line for each
question with the 50th and 95th percentile in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, fields
from pathlib import Path

from collector.plan_file import read_plan
from collector.registry.database import open_database
from collector.registry.kpi import Cut, FeedKpis
from collector.registry.plan import FeedPlan, PlannedFeed
from collector.registry.registry import Filter, Registry
from collector.registry.sink import RegistrySink
from gateway_core.clock import NS
from gateway_core.csv_table import Cell
from gateway_core.marked_sheet import write_marked
from gateway_core.model import Batch, FeedHealth, Record

T = 1_800_000_000 * NS
DAY = T // 86_400 // NS
SHIFT_S = 8 * 3600.0
EDGES, OWNERS, CHANNELS, AREAS = 10, 78, 16, 111
BAD = {
    "online": (),
    "offline": ("rtsp_timeout",),
    "degraded": ("picture_black",),
    "unknown": ("rtsp_no_route",),
}
CHANGES_A_BATCH = 500


def edge_of(number: int) -> str:
    """Return the edge of a feed: the channels of a recorder are at one."""
    return f"edge-{number // CHANNELS % EDGES}"


def planned(number: int) -> PlannedFeed:
    area = number % AREAS
    return PlannedFeed(
        edge=edge_of(number),
        id=f"cam-{number:06}",
        name=f"摄像机 {number}",
        owner=f"unit-{number * 7 % OWNERS}",
        area=f"3716{area % 10 + 2:02}{area:03}",
        group=f"nvr-{number // CHANNELS}",
        gb_code=f"37160200001320{number:06}",
    )


def verdict(number: int, second: float, random_: random.Random) -> FeedHealth:
    state = random_.choices(list(BAD), [93, 3, 3, 1])[0]
    at = T + int(second * NS)
    return FeedHealth(edge_of(number), f"cam-{number:06}", at, state, BAD[state])


async def measure(name: str, rounds: int, ask: Callable[[], Awaitable[object]]) -> None:
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - start))
    took.sort()
    p50, p95 = took[len(took) // 2], took[min(len(took) - 1, int(0.95 * len(took)))]
    print(f"{name:44} p50 {p50:8.1f} ms   p95 {p95:8.1f} ms", flush=True)


async def bring_in(plan: FeedPlan, feeds: int) -> None:
    """Import a workbook as the command does: read and check, compare, apply in one transaction."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.xlsx"
        rows = [[str(each) for each in astuple(planned(number))] for number in range(feeds)]
        header = [field.name for field in fields(PlannedFeed)]
        cells = [
            [Cell(text, line, col) for col, text in enumerate(row, 1)]
            for line, row in enumerate([header, *rows], 1)
        ]
        write_marked(path, cells, ())
        begun = time.perf_counter()
        found = read_plan(path)
        assert len(found.feeds) == feeds, found.faults[:3]
    read = time.perf_counter()
    await plan.compare(found.feeds)
    await plan.apply(found.feeds, T - 600 * NS)
    done = time.perf_counter()
    print(
        f"import of an .xlsx of {feeds} rows: {done - begun:.1f} s, "
        f"{read - begun:.1f} s of it to read and check",
        flush=True,
    )


async def load(sink: RegistrySink, feeds: int, random_: random.Random) -> None:
    for start in range(0, feeds, 5000):
        some = range(start, min(feeds, start + 5000))
        records: list[Record] = [verdict(number, 0, random_) for number in some]
        await sink.send(Batch(start + 1, records))


async def change(sink: RegistrySink, feeds: int, changes: int, random_: random.Random) -> None:
    start, slowest = time.perf_counter(), 0.0
    for number in range(0, changes, CHANGES_A_BATCH):
        chosen = random_.sample(range(feeds), CHANGES_A_BATCH)
        records: list[Record] = [
            verdict(each, 60 + number / CHANGES_A_BATCH, random_) for each in chosen
        ]
        began = time.perf_counter()
        await sink.send(Batch(feeds + number + 1, records))
        slowest = max(slowest, time.perf_counter() - began)
    took = time.perf_counter() - start
    print(
        f"{changes} changes, {CHANGES_A_BATCH} a commit: {changes / took:.0f}/s, "
        f"slowest commit {1000 * slowest:.0f} ms",
        flush=True,
    )


async def run(url: str, feeds: int, rounds: int, changes: int) -> None:
    random_ = random.Random(1)
    async with open_database(url) as database:
        registry, kpis = Registry(database, SHIFT_S), FeedKpis(database, SHIFT_S)
        sink, plan = RegistrySink(registry), FeedPlan(database)
        await bring_in(plan, feeds)
        start = time.perf_counter()
        await load(sink, feeds, random_)
        print(f"{feeds} first verdicts: {time.perf_counter() - start:.1f} s", flush=True)
        await change(sink, feeds, changes, random_)
        for name, wanted in {
            "list, first page of 100": Filter(),
            "list, by area of 900 feeds": Filter(area="371604002"),
            "list, by county": Filter(area="371604"),
            "list, area that nothing is in": Filter(area="3799"),
            "list, by owner": Filter(owner="unit-5"),
            "list, by group": Filter(group="nvr-3000"),
            "list, by state": Filter(state="offline"),
            "list, by state and area": Filter(state="offline", area="371604"),
            "list, by fault": Filter(fault="picture_black"),
            "list, by fault that nothing has": Filter(fault="picture_frozen"),
            "list, text that nothing has": Filter(q="nothing"),
            "list, planned and never seen": Filter(plan="missing"),
        }.items():
            await measure(name, rounds, lambda wanted=wanted: registry.page("feeds", wanted))
        for name, cut in {
            "figures now, by county": Cut("area"),
            "figures now, below a county": Cut("area", under="371604"),
            "figures now, by owner": Cut("owner"),
            "figures now, by group": Cut("group"),
        }.items():
            await measure(name, rounds, lambda cut=cut: kpis.now(cut))
        now, day = T + 3600 * NS, kpis.day(T)
        for name, cut in {
            "figures of a day, by county": Cut("area"),
            "figures of a day, by owner": Cut("owner"),
        }.items():
            await measure(name, rounds, lambda cut=cut: kpis.over(cut, day, day, now))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--url", help="SQLAlchemy URL of an empty registry")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.url or f"sqlite:///{Path(folder) / 'feeds.db'}"
        asyncio.run(run(url, given.feeds, given.rounds, given.changes))


if __name__ == "__main__":
    main()
