"""The registry holds what each thing was last known to be; replays and late data change nothing."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.registry.bundle import Bundle, Item, bundled
from collector.registry.changes import Changes, touched
from collector.registry.database import Unfit
from collector.registry.registry import Filter, Registry, open_registry
from collector.registry.sink import RegistrySink
from gateway_core.errors import PayloadError, Unavailable
from gateway_core.model import Alarm, Batch, FeedHealth, Listed, Loss, Reading, Record


def reading(device: str, time: int, **fields: float) -> Reading:
    return Reading("e1", device, "tidegate/env-sensor", "env", time, time, dict(fields))


def silence(device: str, time: int, state: str) -> Alarm:
    return Alarm("e1", device, "tidegate/env-sensor", "silence", "major", state, time)


async def test_a_reading_makes_the_device_known_with_its_latest_values(url: str) -> None:
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(
            Batch(1, [reading("d1", 100, temperature=20.5, humidity=40.0)])
        )
        await RegistrySink(registry).send(Batch(2, [reading("d1", 200, temperature=21.0)]))
        row = await registry.device("d1")
    assert row is not None
    assert row["latest"] == {"env": {"temperature": [21.0, 200], "humidity": [40.0, 100]}}
    assert (row["state"], row["readings"], row["last_seen"]) == ("online", 2, 200)


async def test_the_same_batch_twice_changes_nothing(url: str) -> None:
    batch = Batch(1, [reading("d1", 100, t=1.0), Loss("e1", 5, "x", 3, 7, "damaged")])
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(batch)
        once = (await registry.device("d1"), await registry.edges())
        await RegistrySink(registry).send(batch)
        assert (await registry.device("d1"), await registry.edges()) == once
    assert once[1][0]["lost"] == 5
    assert once[1][0]["records"] == 2


async def test_a_row_holds_all_that_was_said_whatever_part_of_it_was_written(url: str) -> None:
    said: list[Record] = [
        reading("d1", 100, t=1.0),
        reading("d1", 200, t=2.0),  # from here on readings write four columns alone
        silence("d1", 300, "raised"),
        reading("d1", 400, t=4.0),
        Listed("e1", "device", "d1", 500, name="Boiler room", area="371602", online=False),
        reading("d1", 50, t=0.5),
    ]
    folded = Changes()
    async with open_registry(url) as registry:
        for seq, record in enumerate(said, 1):
            await RegistrySink(registry).send(Batch(seq, [record]))
            folded.take(bundled([(seq, record)]))
            assert await registry.device("d1") == folded.rows["devices"]["e1", "d1"]
    row = folded.rows["devices"]["e1", "d1"]
    assert (row["state"], row["first_seen"], row["last_seen"]) == ("offline", 50, 400)
    assert (row["latest"], row["seq"]) == ({"env": {"t": [4.0, 400]}}, 6)


async def test_what_was_not_committed_is_not_remembered(tmp_path: Path) -> None:
    async with open_registry(f"sqlite:///{tmp_path}/registry.db") as registry:
        sink = RegistrySink(registry)
        await sink.send(Batch(1, [reading("d1", 100, t=1.0)]))
        with sqlite3.connect(tmp_path / "registry.db", isolation_level=None) as other:
            other.execute(
                "CREATE TRIGGER no BEFORE INSERT ON alarms BEGIN SELECT raise(ABORT, 'no'); END"
            )
        batch = Batch(2, [reading("d1", 200, t=2.0), silence("d1", 300, "raised")])
        rejected = (await sink.send(batch)).rejected
        await sink.send(Batch(4, [reading("d1", 150, t=1.5)]))
        row = await registry.device("d1")
    assert [(each.seq, each.reason) for each in rejected] == [(3, "database_refused")]
    assert row is not None
    assert (row["readings"], row["state"], row["last_seen"]) == (3, "online", 200)
    assert row["latest"] == {"env": {"t": [2.0, 200]}}


async def test_a_device_that_was_only_listed_is_unknown_not_offline(url: str) -> None:
    listed = Listed("e1", "device", "d1", 5, name="Boiler room", profile="a/b", area="371602")
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(Batch(1, [listed]))
        row = await registry.device("d1")
    assert row is not None
    assert (row["state"], row["last_seen"], row["name"]) == ("unknown", None, "Boiler room")


async def test_silence_and_the_next_reading_move_the_state(url: str) -> None:
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(
            Batch(1, [reading("d1", 100, t=1.0), silence("d1", 200, "raised")])
        )
        silent = await registry.device("d1")
        raised = await registry.raised()
        await RegistrySink(registry).send(
            Batch(3, [reading("d1", 300, t=1.0), silence("d1", 300, "cleared")])
        )
        back = await registry.device("d1")
        assert await registry.alarms() == []
    assert silent is not None
    assert back is not None
    assert (silent["state"], back["state"]) == ("silent", "online")
    assert raised == {"major": 1}


@pytest.mark.fault("F4")
@pytest.mark.parametrize("wrong", [5, 10**18])
async def test_what_a_doubted_clock_dates_counts_from_when_it_was_heard(
    url: str, wrong: int
) -> None:
    def hot(time: int, state: str, mark: str = "") -> Alarm:
        return Alarm("e1", "d1", "p", "hot", "major", state, time, {}, mark)

    hours = itertools.count(1_000, 1_000)
    async with open_registry(url) as registry:
        sink = RegistrySink(registry, lambda: next(hours))
        await sink.send(Batch(1, [hot(100, "cleared"), FeedHealth("e1", "f1", 100, "online")]))
        offline = FeedHealth("e1", "f1", wrong, "offline", mark="unset")
        await sink.send(Batch(3, [hot(wrong, "raised", "unset"), offline]))
        (raised,) = await registry.alarms()
        (feed,) = (await registry.page("feeds", Filter())).rows
        assert (raised["time"], raised["mark"]) == (1_000, "unset")
        assert (feed["state"], feed["judged"]) == ("offline", 2_000)
        await sink.send(Batch(5, [hot(5_000, "cleared"), FeedHealth("e1", "f1", 5_000, "online")]))
        (feed,) = (await registry.page("feeds", Filter())).rows
        assert await registry.alarms() == []
        assert feed["state"] == "online"


@pytest.mark.fault("F4")
@pytest.mark.parametrize("wrong", [5, 10**18])
async def test_a_device_behind_a_doubted_clock_is_shown_as_of_when_it_was_heard(
    url: str, wrong: int
) -> None:
    def said(received: int, value: float, own: int = 0, mark: str = "") -> Reading:
        flags = (f"time:{mark}",) if mark else ()
        time = own or received
        return Reading("e1", "d1", "p", "env", time, received, {"t": value}, flags=flags)

    hours = itertools.count(1_000, 1_000)
    async with open_registry(url) as registry:
        sink = RegistrySink(registry, lambda: next(hours))
        await sink.send(Batch(1, [said(100, 1.0), silence("d1", 200, "raised")]))
        await sink.send(Batch(3, [said(wrong, 2.0, mark="jumped")]))
        row = await registry.device("d1")
        assert row is not None
        assert (row["state"], row["last_seen"]) == ("online", 1_000)
        assert row["latest"] == {"env": {"t": [2.0, 1_000]}}
        await sink.send(Batch(4, [said(wrong, 3.0, own=1_500, mark="unset")]))  # it knew the time
        await sink.send(Batch(5, [said(5_000, 4.0)]))
        row = await registry.device("d1")
        assert row is not None
        assert (row["last_seen"], row["latest"]) == (5_000, {"env": {"t": [4.0, 5_000]}})
        assert row["readings"] == 4


async def test_an_older_feed_verdict_never_replaces_a_newer_one(url: str) -> None:
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(
            Batch(1, [FeedHealth("e1", "f1", 200, "offline", ("rtsp_timeout",))])
        )
        await RegistrySink(registry).send(Batch(2, [FeedHealth("e1", "f1", 100, "online")]))
        page = await registry.page("feeds", Filter())
    assert [(r["id"], r["state"], r["faults"]) for r in page.rows] == [
        ("f1", "offline", ["rtsp_timeout"])
    ]


@pytest.mark.parametrize(
    ("evil", "reason"),
    [
        (reading("nan", 100, t=float("nan")), "not_finite"),
        (reading("x" * 256, 100, t=1.0), "too_long"),
        (reading("", 100, t=1.0), "empty_name"),
        (reading("nul\0", 100, t=1.0), "control_character"),
        (reading("late", 2**64 - 1, t=1.0), "int_range"),
        (reading("big", 100, t=2**64 - 1), "int_range"),
        (FeedHealth("e1", "f", 100, "online", checks=2**40), "int_range"),
        (FeedHealth("e1", "f", 100, "online", rtt_ms=float("inf")), "not_finite"),
        (Alarm("e1", "d", "p", "r" * 65, "major", "raised", 100), "too_long"),
        (Alarm("e1", "d", "p", "r", "major", "raised", 100, {"en": "\0"}), "bad_text"),
        (Listed("e1", "device", "d", 100, lat=float("nan"), lon=0.0), "not_finite"),
        (Loss("e1", 100, "x", 1, 2**64 - 1, "damaged"), "int_range"),
    ],
)
async def test_what_no_database_holds_is_rejected_alone(
    url: str, evil: Record, reason: str
) -> None:
    async with open_registry(url) as registry:
        batch = Batch(1, [reading("a", 100, t=1.0), evil, reading("b", 100, t=1.0)])
        receipt = await RegistrySink(registry).send(batch)
        rows = (await registry.page("devices", Filter())).rows
    assert [(r.seq, r.reason) for r in receipt.rejected] == [(2, reason)]
    assert [row["id"] for row in rows] == ["a", "b"]


async def test_what_only_the_database_refuses_is_found_by_halving(tmp_path: Path) -> None:
    async with open_registry(f"sqlite:///{tmp_path}/registry.db") as registry:
        sink = RegistrySink(_Picky(registry))
        records: list[Record] = [reading(f"d{n % 7}", n, t=1.0 * n) for n in range(20)]
        receipt = await sink.send(Batch(-3, records))
        rows = (await registry.page("devices", Filter())).rows
        spared = await registry.device("d5")
    assert [(r.seq, r.reason) for r in receipt.rejected] == [(9, "database_refused")]
    assert len(rows) == 7
    assert spared is not None
    assert spared["latest"]["env"]["t"] == [19.0, 19]


async def test_a_device_keeps_its_newest_values_and_only_so_many(url: str) -> None:
    async with open_registry(url) as registry:
        sink = RegistrySink(registry)
        await sink.send(Batch(1, [reading("d1", n, **{f"f{n}": 1.0}) for n in range(1, 301)]))
        await sink.send(Batch(301, [Reading("e1", "d1", "p", "env", 400, 400, {"s": "x" * 999})]))
        row = await registry.device("d1")
    assert row is not None
    kept = row["latest"]["env"]
    assert len(kept) == 256
    assert "f45" not in kept
    assert "f46" in kept
    assert kept["s"] == ["x" * 256, 400]


async def test_a_name_is_kept_as_people_can_read_it(url: str) -> None:
    async with open_registry(url) as registry:
        listed = Listed("e1", "device", "d1", 5, name="锅炉\0房\n" + "n" * 500)
        await RegistrySink(registry).send(Batch(1, [listed]))
        row = await registry.device("d1")
    assert row is not None
    assert row["name"] == "锅炉房" + "n" * 252


class _Picky(Registry):
    """A registry whose database will not hold one reading, for a reason that nobody foresaw."""

    def __init__(self, inner: Registry) -> None:
        super().__init__(inner.database)

    async def apply(self, items: Sequence[Item]) -> None:
        bundles = [each for each in items if isinstance(each, Bundle)]
        if any(each.device == "d5" and 9 in each.seqs for each in bundles):
            raise Unfit("not that one")
        await super().apply(items)


async def test_pages_hold_every_row_once(url: str) -> None:
    records: list[Record] = [reading(f"d{n:03}", 100, t=1.0) for n in range(25)]
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(Batch(1, records))
        seen: list[str] = []
        cursor: str | None = None
        for _ in range(10):
            page = await registry.page("devices", Filter(limit=7, cursor=cursor))
            seen += [row["id"] for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
    assert seen == [f"d{n:03}" for n in range(25)]


async def test_filters_take_text_as_text(url: str) -> None:
    records: list[Record] = [
        Listed("e1", "device", "a%b", 1, area="371602"),
        Listed("e2", "device", "axb", 1, name="海河", area="371603"),
    ]
    async with open_registry(url) as registry:
        await RegistrySink(registry).send(Batch(1, records))

        async def ids(**wanted: str) -> list[str]:
            return [r["id"] for r in (await registry.page("devices", Filter(**wanted))).rows]

        assert await ids(q="%") == ["a%b"]
        assert await ids(q="海") == ["axb"]
        assert await ids(area="3716") == ["a%b", "axb"]
        assert await ids(edge="e2") == ["axb"]
        assert await ids(state="online") == []
        assert await ids(q="'; DROP TABLE devices; --") == []


async def test_a_cursor_that_no_page_gave_is_refused(url: str) -> None:
    async with open_registry(url) as registry:
        with pytest.raises(PayloadError, match="bad_cursor"):
            await registry.page("devices", Filter(cursor="garbage!"))


async def test_two_collectors_may_share_postgresql(postgres: str) -> None:
    url = postgres.rsplit("/", 1)[0] + "/postgres"
    async with open_registry(url) as one, open_registry(url) as two:

        async def fill(registry: Registry, edge: str) -> None:
            for n in range(20):
                records: list[Record] = [
                    Reading(edge, f"d{i}", "p", "env", n, n, {"t": 1.0}) for i in range(30)
                ]
                await RegistrySink(registry).send(Batch(1 + 30 * n, records))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fill(one, "e1"))
            tasks.create_task(fill(two, "e2"))
        assert {e["id"]: e["records"] for e in await one.edges()} == {"e1": 600, "e2": 600}


async def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        async with open_registry("postgresql+psycopg://nobody@127.0.0.1:1/none"):
            pass


@settings(max_examples=60)
@given(
    times=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    order=st.randoms(use_true_random=False),
)
def test_the_latest_value_does_not_depend_on_the_order_of_arrival(times, order) -> None:
    unique = sorted(set(times))
    shuffled = unique[:]
    order.shuffle(shuffled)
    changes = Changes()
    for seq, time in enumerate(shuffled, 1):
        items = bundled([(seq, reading("d1", time, t=float(time)))])
        assert ("e1", "d1") in touched(items)["devices"]
        changes.take(items)
    assert changes.rows["devices"]["e1", "d1"]["latest"]["env"]["t"] == [
        float(unique[-1]),
        unique[-1],
    ]
