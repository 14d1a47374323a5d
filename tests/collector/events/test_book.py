"""One alarm raised is one event, whatever comes twice, late or first; every step is on record."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import update

from collector.events.book import EventBook, Outdated, intact
from collector.events.shapes import Move, Opening, Wanted
from collector.events.sink import EventSink
from collector.events.tables import event_steps
from collector.events.workflow import ACTIONS, TRANSITIONS, WrongStep
from collector.registry.database import open_database
from gateway_core.errors import PayloadError
from gateway_core.model import Alarm, Batch, Reading, Receipt, Record, Severity

ANY = Wanted()
ALL = ("critical", "major", "minor", "warning")


def alarm(
    time: int, state: str = "raised", severity: Severity = "major", device: str = "d1"
) -> Alarm:
    return Alarm("e1", device, "p/q", "hot", severity, state, time, {"en": "Too hot"})


@pytest.fixture
async def book(url: str) -> AsyncIterator[EventBook]:
    ticks, names = itertools.count(1_000), itertools.count(1)
    async with open_database(url) as database:
        yield EventBook(database, lambda: next(ticks), lambda: f"ev-{next(names)}")


async def take(book: EventBook, *records: Record) -> Receipt:
    return await EventSink(book, ALL).send(Batch(1, list(records)))


async def events(book: EventBook, wanted: Wanted = ANY) -> list[tuple[int, int | None]]:
    rows, _ = await book.page(wanted)
    return [(row["raised"], row["cleared"]) for row in rows]


async def test_an_alarm_that_comes_again_is_the_same_event(book: EventBook) -> None:
    await take(book, alarm(100))
    await take(book, alarm(100), alarm(200))
    assert await events(book) == [(200, None), (100, None)]


async def test_what_asks_nothing_of_anybody_is_no_event(book: EventBook) -> None:
    reading = Reading("e1", "d1", "p", "env", 1, 1, {"t": 1.0})
    receipt = await take(book, alarm(100, severity="info"), reading)
    assert receipt == Receipt()
    assert await events(book) == []


async def test_a_clearing_is_noted_on_the_event_and_leaves_its_state(book: EventBook) -> None:
    await take(book, alarm(100), alarm(150, "cleared"))
    rows, _ = await book.page(Wanted())
    whole = await book.get(rows[0]["id"])
    assert whole is not None
    assert (whole["cleared"], whole["state"]) == (150, "open")
    assert [(s["action"], s["actor"]) for s in whole["steps"]] == [
        ("open", "alarm"),
        ("clear", "alarm"),
    ]


_FLAPPING = [alarm(100), alarm(150, "cleared"), alarm(200), alarm(250, "cleared")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_alarms_in_any_order_and_twice_give_the_same_events(
    tmp_path, order: tuple[int, ...]
) -> None:
    async with open_database(f"sqlite:///{tmp_path}/r.db") as database:
        book = EventBook(database, lambda: 1, lambda: "ev")
        for _ in range(2):
            for place in order:
                await take(book, _FLAPPING[place])
        assert await events(book) == [(200, 250), (100, 150)]


def doubted(time: int, state: str = "raised") -> Alarm:
    """An alarm of an edge whose clock was not set, or had jumped."""
    return structs.replace(alarm(time, state), mark="jumped")


@pytest.mark.fault("F4")
async def test_an_alarm_of_1970_is_open_from_when_it_was_heard_whatever_cleared_before(
    book: EventBook,
) -> None:
    await take(book, alarm(100), alarm(150, "cleared"))
    await take(book, doubted(5))
    await take(book, doubted(5))  # sent again: the same event
    (newest, _), _ = await book.page(ANY)
    assert (newest["raised"] >= 1_000, newest["cleared"], newest["mark"]) == (True, None, "jumped")
    await take(book, doubted(6, "cleared"))
    (newest, older), _ = await book.page(ANY)
    assert newest["cleared"] >= newest["raised"]
    assert (older["raised"], older["cleared"]) == (100, 150)


@pytest.mark.fault("F4")
async def test_a_clearing_of_2099_clears_what_is_open_and_nothing_that_comes_after(
    book: EventBook,
) -> None:
    ahead = 10**18
    await take(book, alarm(100), doubted(ahead, "cleared"), alarm(9_000))
    assert [cleared is not None for _, cleared in await events(book)] == [False, True]


async def test_an_alarm_that_no_database_holds_is_rejected_alone(book: EventBook) -> None:
    receipt = await take(book, alarm(1), alarm(2, device="x" * 256), alarm(3))
    assert [(r.seq, r.reason) for r in receipt.rejected] == [(2, "too_long")]
    assert await events(book) == [(3, None), (1, None)]


async def test_the_whole_loop_leaves_a_chain_of_who_did_what(book: EventBook) -> None:
    await take(book, alarm(100))
    (row,), _ = await book.page(Wanted())
    for action in ("accept", "assign", "handle", "feedback", "verify"):
        who = "section 4" if action == "assign" else ""
        await book.move(row["id"], Move(action, "operations", f"did {action}", who))
    whole = await book.get(row["id"])
    assert whole is not None
    assert (whole["state"], whole["assignee"], whole["version"]) == ("verified", "section 4", 6)
    assert [s["action"] for s in whole["steps"]] == [
        "open",
        "accept",
        "assign",
        "handle",
        "feedback",
        "verify",
    ]
    assert intact(whole["steps"])
    assert await events(book, Wanted(closed=True)) == [(100, None)]
    assert await events(book, Wanted(closed=False)) == []


async def test_a_step_that_somebody_rewrote_is_noticed(url: str) -> None:
    async with open_database(url) as database:
        book = EventBook(database, lambda: 1, lambda: "ev")
        await take(book, alarm(100))
        (row,), _ = await book.page(Wanted())
        await book.move(row["id"], Move("accept", "operations"))
        forged = update(event_steps).where(event_steps.c.version == 1).values(actor="nobody")
        await database.change(lambda db: db.execute(forged))
        whole = await book.get(row["id"])
    assert whole is not None
    assert not intact(whole["steps"])


async def test_a_wrong_step_changes_nothing(book: EventBook) -> None:
    await take(book, alarm(100))
    (row,), _ = await book.page(Wanted())
    with pytest.raises(WrongStep):
        await book.move(row["id"], Move("verify", "operations"))
    assert (await book.get(row["id"]))["version"] == 1


async def test_who_decides_on_what_is_no_longer_so_is_told(book: EventBook) -> None:
    await take(book, alarm(100))
    (row,), _ = await book.page(Wanted())
    await book.move(row["id"], Move("accept", "operations", version=1))
    with pytest.raises(Outdated, match="at version 2, not 1"):
        await book.move(row["id"], Move("assign", "wang", "", "x", version=1))


async def test_an_event_opened_by_hand_goes_the_same_way(book: EventBook) -> None:
    opened = await book.open(
        Opening("", "pump-3", "reported", "major", {"en": "Smoke"}, "operations")
    )
    assert (opened["id"], opened["source"], opened["state"]) == ("ev-1", "person", "open")
    moved = await book.move("ev-1", Move("accept", "wang"))
    assert moved is not None
    assert moved["state"] == "accepted"
    assert await book.move("ev-0", Move("accept", "wang")) is None


async def test_pages_hold_every_event_once_newest_first(book: EventBook) -> None:
    await take(book, *(alarm(100 + n // 2, device=f"d{n}") for n in range(25)))
    seen: list[tuple[int, str]] = []
    cursor: str | None = None
    while True:
        rows, cursor = await book.page(Wanted(limit=4, cursor=cursor))
        seen += [(row["raised"], row["id"]) for row in rows]
        if cursor is None:
            break
    assert len(seen) == 25
    assert seen == sorted(set(seen), reverse=True)
    with pytest.raises(PayloadError, match="bad_cursor"):
        await book.page(Wanted(cursor="garbage!"))


@settings(max_examples=40)
@given(st.lists(st.sampled_from([*ACTIONS, "clear", "raise"]), max_size=15))
async def test_no_history_holds_a_step_outside_the_table(actions: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        async with open_database(f"sqlite:///{folder}/r.db") as database:
            book = EventBook(database, lambda: 1, lambda: "ev")
            await take(book, alarm(100))
            (row,), _ = await book.page(Wanted())
            for n, action in enumerate(actions):
                if action in {"clear", "raise"}:
                    await take(book, alarm(100) if action == "raise" else alarm(500 - n, "cleared"))
                    continue
                try:
                    await book.move(row["id"], Move(action, "x", "", "y"))
                except WrongStep:
                    continue
            whole = await book.get(row["id"])
    assert whole is not None
    assert intact(whole["steps"])
    states = [(s["action"], s["state"]) for s in whole["steps"]]
    for (_, before), (action, after) in itertools.pairwise(states):
        assert after == (before if action == "clear" else TRANSITIONS[before, action])
