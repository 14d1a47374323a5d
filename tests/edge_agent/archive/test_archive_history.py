"""On site every record can be asked for at any time, once, whatever the centre does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.archive import Archive
from edge_agent.export import render
from edge_agent.history import History, Table
from edge_agent.question import Question, read_question
from gateway_core.errors import PayloadError
from gateway_core.instant import parse_instant
from gateway_core.model import Alarm, Reading, Record
from gateway_core.spool import Spool, SpoolOptions, open_spool

S = 1_000_000_000
HOUR = 3600 * S
NOON = 1_764_072_000 * S  # 2025-11-25T12:00:00Z
FAST = SpoolOptions(group_commit_s=0.0)


def reading(at_s: float, device: str = "d1", **fields: object) -> Reading:
    time = NOON + round(at_s * S)
    given = fields or {"t": float(at_s)}
    return Reading("e1", device, "acme/th", "env", time, time, given)  # type: ignore[arg-type]


class Site:
    """An archive and its history, stepped by hand."""

    def __init__(self, spool: Spool, folder: Path) -> None:
        self.spool = spool
        self.now = NOON + 24 * HOUR
        self.archive = Archive(folder / "archive", spool, lambda: self.now)
        self.history = History(self.archive, spool, folder / "spill")

    async def feed(self, *records: Record) -> None:
        await self.spool.append(records, source="mqtt:site")

    async def archived(self, *records: Record) -> None:
        await self.feed(*records)
        await self.spool.register("archive")
        while self.spool.settled("archive") < self.spool.head:
            one = await self.spool.read("archive", 1000)
            receipt = await self.archive.send(one)
            await self.spool.settle("archive", one.first, one.last, receipt)

    async def ask(self, measurement: str = "env", **form: Any) -> Table:
        asked = {"measurement": measurement, "start": "-30d", **form}
        return await self.history.query(read_question(asked, self.now))

    async def column(self, name: str, **form: Any) -> list[Any]:
        table = await self.ask(**form)
        at = table.columns.index(name)
        return [row[at] for row in table.rows]


@contextlib.asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    async with open_spool(folder / "spool.db", "e1", FAST) as spool:
        yield Site(spool, folder)


async def test_archived_and_not_yet_archived_readings_are_seen_once_each(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1), reading(2))
        await one.feed(reading(3), reading(0))
        table = await one.ask()
        assert table.columns == ("time", "device", "edge", "profile", "t")
        assert table.rows == [
            (NOON, "d1", "e1", "acme/th", 0.0),
            (NOON + S, "d1", "e1", "acme/th", 1.0),
            (NOON + 2 * S, "d1", "e1", "acme/th", 2.0),
            (NOON + 3 * S, "d1", "e1", "acme/th", 3.0),
        ]
        assert (table.next, table.notes) == (None, ())


async def test_a_batch_that_is_written_but_not_settled_is_seen_once(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1))
        await one.feed(reading(2), reading(3))
        await one.archive.send(await one.spool.read("archive", 10))
        assert await one.column("t") == [1.0, 2.0, 3.0]


async def test_answers_stay_whole_while_files_are_written_merged_and_settled(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(0))
        done = asyncio.Event()

        async def work() -> None:
            for n in range(1, 60):
                await one.archived(reading(n))
                if n % 20 == 0:
                    await one.archive.tidy()
            done.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            while not done.is_set():
                head = one.spool.head
                found = await one.column("t")
                assert found[:head] == [float(n) for n in range(head)]
                assert len(found) == len(set(found))
        assert await one.column("t") == [float(n) for n in range(60)]


async def test_where_fields_and_time_choose(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(
            reading(1, "d1", t=1.0, h=10), reading(2, "d2", t=2.0, h=20), reading(3, "d3", t=3.0)
        )
        await one.feed(reading(4, "d1", t=4.0))
        table = await one.ask(
            fields=["h"],
            where={"device": ["d1", "d2"]},
            start="2025-11-25T20:00:00+08:00",
            stop=(NOON + 4 * S),
        )
        assert table.columns == ("time", "device", "edge", "profile", "h")
        assert [row[4] for row in table.rows] == [10, 20]
        assert await one.column("t", where={"device": "d1"}) == [1.0, 4.0]


async def test_tags_are_columns_and_can_be_asked_for(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        tagged = msgspec.structs.replace(reading(1), tags={"room": "r1"})
        await one.archived(tagged, reading(2))
        table = await one.ask(where={"room": "r1"})
        assert table.columns == ("time", "device", "edge", "profile", "room", "t")
        assert table.rows == [(NOON + S, "d1", "e1", "acme/th", "r1", 1.0)]


@pytest.mark.parametrize(
    ("agg", "expected"),
    [
        ("mean", [1.0, 6.0]),
        ("min", [0.0, 5.0]),
        ("max", [2.0, 7.0]),
        ("sum", [3.0, 18.0]),
        ("count", [3, 3]),
        ("first", [0.0, 5.0]),
        ("last", [2.0, 7.0]),
        ("median", [1.0, 6.0]),
        ("p95", [1.9, 6.9]),
    ],
)
async def test_windows_are_computed_over_files_and_spool(
    tmp_path: Path, agg: str, expected: list[float]
) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(0), reading(1), reading(5), reading(6))
        await one.feed(reading(2), reading(7))
        table = await one.ask(every="5s", agg=agg)
        assert [row[0] for row in table.rows] == [NOON, NOON + 5 * S]
        assert [row[-1] for row in table.rows] == pytest.approx(expected)


async def test_pages_follow_one_another_without_gap_or_repeat(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(*[reading(n // 3, f"d{n % 3}", t=float(n)) for n in range(30)])
        seen: list[float] = []
        cursor = None
        for _ in range(5):
            page = await one.ask(limit=7, cursor=cursor)
            seen += [row[-1] for row in page.rows]
            cursor = page.next
        assert cursor is None
        assert seen == [float(n) for n in range(30)]
        windows = await one.ask(every="5s", agg="count", limit=4)
        rest = await one.ask(every="5s", agg="count", limit=4, cursor=windows.next)
        assert [row[-1] for row in [*windows.rows, *rest.rows]] == [5, 5, 5, 5, 5, 5]


async def test_alarms_and_verdicts_are_history_too(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        alarm = Alarm("e1", "d1", "acme/th", "hot", "major", "raised", NOON, {"en": "Hot"})
        await one.archived(alarm)
        await one.feed(msgspec.structs.replace(alarm, state="cleared", time=NOON + S, text={}))
        assert await one.column("text", measurement="alarm") == ['{"en":"Hot"}', None]
        table = await one.ask("alarm", fields=["state"])
        assert table.columns == ("time", "device", "edge", "profile", "rule", "severity", "state")
        assert [row[-1] for row in table.rows] == ["raised", "cleared"]


async def test_types_that_changed_meet_in_one_column(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1, x=1), reading(2, x=2.5))
        await one.feed(reading(3, x=3))
        assert await one.column("x") == [1.0, 2.5, 3.0]
        await one.feed(reading(4, x="hot"))
        assert await one.column("x") == ["1.0", "2.5", "3", "hot"]


async def test_a_damaged_file_is_set_aside_and_the_rest_answers(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1))
        await one.archived(reading(2))
        (hurt, *_) = sorted((tmp_path / "archive").rglob("*.parquet"))
        hurt.write_bytes(hurt.read_bytes()[:100])
        assert await one.column("t") == [2.0]
        assert len(list((tmp_path / "archive" / "damaged").iterdir())) == 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"fields": ["temp"]}, "unknown_field"),
        ({"fields": ['t" FROM x; --']}, "unknown_field"),
        ({"where": {"nope": ["x"]}}, "unknown_field"),
        ({"where": {"t": ["1"]}}, "bad_question"),
        ({"fields": ["s"], "every": "5s"}, "bad_question"),
        ({"agg": "mean"}, "bad_question"),
        ({"agg": "drop table", "every": "5s"}, "bad_question"),
        ({"every": "0s"}, "bad_question"),
        ({"every": "soon"}, "bad_question"),
        ({"start": "yesterday"}, "bad_question"),
        ({"limit": 0}, "bad_question"),
        ({"limit": 10**9}, "bad_question"),
        ({"limit": 1, "cursor": "x"}, "bad_cursor"),
        ({"limit": 1, "cursor": "WzFd"}, "bad_cursor"),
        ({"surprise": 1}, "bad_question"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_with_its_reason(
    tmp_path: Path, form: dict[str, Any], code: str
) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1, t=1.0, s="x"))
        with pytest.raises(PayloadError) as caught:
            await one.ask(**form)
        assert caught.value.code == code


async def test_names_that_look_like_sql_are_only_values(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1, "d1' OR 1=1 --", t=1.0), reading(2, "d2", t=2.0))
        assert await one.column("t", where={"device": "d1' OR 1=1 --"}) == [1.0]
        assert await one.column("t", where={"device": "' OR ''='"}) == []


async def test_a_measurement_that_is_not_there_gives_no_rows_and_a_hint(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1))
        table = await one.ask("envi")
        assert (table.rows, table.notes) == ([], ("no file holds envi; did you mean env?",))
        assert await one.history.measurements() == ["env"]


def test_instants_are_read_as_people_write_them() -> None:
    assert parse_instant("now", NOON) == NOON
    assert parse_instant("-1h30m", NOON) == NOON - 5400 * S
    assert parse_instant("2025-11-25T12:00:00.000000001Z", 0) == NOON + 1
    assert parse_instant(1_764_072_000, 0) == NOON
    assert parse_instant(NOON, 0) == NOON
    with pytest.raises(ValueError, match="expected"):
        parse_instant("2025-11-25T12:00:00", 0)


async def test_an_answer_as_json_has_times_as_people_read_them(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(1), reading(1.5))
        body = b"".join(render(await one.ask(fields=["t"]), "json"))
        assert msgspec.json.decode(body) == {
            "columns": ["time", "device", "edge", "profile", "t"],
            "rows": [
                ["2025-11-25T12:00:01Z", "d1", "e1", "acme/th", 1.0],
                ["2025-11-25T12:00:01.500000000Z", "d1", "e1", "acme/th", 1.5],
            ],
            "next": None,
            "notes": [],
        }


async def test_old_history_answers_with_the_clock_thirty_days_on(tmp_path: Path) -> None:
    async with site(tmp_path) as one:
        await one.archived(reading(0))
        one.now = NOON + 29 * 24 * HOUR
        await one.archive.tidy()
        question = Question(measurement="env", start_ns=NOON, stop_ns=NOON + 1)
        assert (await one.history.query(question)).rows == [(NOON, "d1", "e1", "acme/th", 0.0)]
