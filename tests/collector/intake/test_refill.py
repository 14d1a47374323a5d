"""A collector asks for what it lacks until it came, and a repeat is counted once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.agent import Collector, open_collector
from collector.config import IntakeSection, load_collector_config
from collector.query import Query
from collector.reception import Report
from collector.sinks.once import Once
from collector.status import edge_statuses
from gateway_core.errors import PayloadError
from gateway_core.listening import Address
from gateway_core.model import Batch, Receipt
from gateway_core.wire import REFILL_HEADER, SETTLED_HEADER, Progress, Upload, encode_upload
from tests.fakes.edges import Centre, T, centre, upload

SETTINGS = IntakeSection(listen=(Address("127.0.0.1", 0),))
CONFIG = 'collector: {data_dir: ./var}\nintake: {listen: "[::1]:0"}\napi: {listen: "[::1]:0"}\n'


async def asks(here: Centre, what: Upload, settled: int, **headers: str) -> list[dict[str, Any]]:
    """Post an upload and return what its receipt asks for."""
    status, answer, _ = await here.edge.post(
        encode_upload(what), **{SETTLED_HEADER: str(settled)}, **headers
    )
    assert status == 200, answer
    found: list[dict[str, Any]] = answer.get("asks", [])
    return found


def beat(settled: int) -> Upload:
    return Upload("e1", "ep1", settled, settled, [], [])


async def test_what_an_edge_delivered_and_is_not_here_is_asked_for_until_it_came(
    tmp_path: Path,
) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        assert await asks(here, upload(1, 10), 0) == []
        lacking = {"epoch": "ep1", "spans": [[11, 40]]}
        assert await asks(here, upload(41, 50), 40) == [lacking]
        assert await asks(here, upload(41, 50), 40) == [lacking]
        assert await asks(here, upload(11, 30), 50) == [{"epoch": "ep1", "spans": [[31, 40]]}]
    async with centre(tmp_path, SETTINGS) as here:
        assert await asks(here, upload(31, 40), 50) == []
        book = here.reception.edges["e1"].epochs["ep1"]
        assert (book.stored, book.unexplained, book.missing()) == (50, 0, [])


async def test_a_beat_after_a_restore_is_not_taken_for_the_number_that_it_names(
    tmp_path: Path,
) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        await asks(here, upload(1, 10), 0)
        assert await asks(here, beat(20), 20) == [{"epoch": "ep1", "spans": [[11, 20]]}]
        book = here.reception.edges["e1"].epochs["ep1"]
        assert (book.high_water, book.unexplained) == (10, 0)
        (shown,) = edge_statuses(here.reception.edges)
        assert shown.missing == 10
        assert await asks(here, upload(11, 20), 20) == []
        assert len(await here.stored()) == 20


async def test_an_older_edge_that_does_not_say_how_far_it_is_is_asked_nothing(
    tmp_path: Path,
) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        status, answer = await here.edge.send(upload(41, 50))
        assert (status, answer) == (200, {"accepted": 10, "duplicate": 0, "refused": []})


async def test_a_request_for_a_window_outlives_a_restart_and_ends_when_the_edge_says_so(
    tmp_path: Path,
) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        await asks(here, upload(1, 10), 0)
        made = await here.reception.refills.ask("e1", 5, 9, again=False)
        asked = {"id": made.id, "since": 5, "until": 9, "have": {"ep1": [[1, 10]]}}
        assert await asks(here, beat(10), 10) == [asked]
    async with centre(tmp_path, SETTINGS) as here:
        assert await asks(here, beat(10), 10) == [asked]
        part = str(Progress(made.id, 20, 30, 0))
        old = upload(1, 20, epoch="ep0")
        assert len(await asks(here, old, 10, **{REFILL_HEADER: part})) == 1
        assert here.reception.edges["e1"].current == "ep1"
        assert here.reception.edges["e1"].forked == 0
        end = str(Progress(made.id, 30, 30, 10, ended=True))
        assert await asks(here, beat(10), 10, **{REFILL_HEADER: end}) == []
    async with centre(tmp_path, SETTINGS) as here:
        (kept,) = here.reception.refills.of("e1")
        assert (kept.records, kept.progress.done, kept.progress.gone) == (20, 30, 10)
        assert kept.ended > 0
        for _ in range(8):
            await here.reception.refills.ask("e1", 5, 9, again=False)
        with pytest.raises(PayloadError, match="too_many_requests"):
            await here.reception.refills.ask("e1", 5, 9, again=False)


async def carry(collector: Collector) -> None:
    for lane in collector.lanes():
        while collector.spool.settled(lane.sink.name) < collector.spool.head:
            batch = await collector.spool.read(lane.sink.name, 100)
            receipt = await lane.sink.send(batch)
            await collector.spool.settle(lane.sink.name, batch.first, batch.last, receipt)


async def test_a_window_sent_again_reaches_the_time_series_and_is_counted_once(
    tmp_path: Path,
) -> None:
    (tmp_path / "collector.yaml").write_text(CONFIG)
    async with open_collector(load_collector_config(tmp_path / "collector.yaml")) as collector:
        reception = collector.reception
        await reception.receive(upload(1, 30), Report(settled=0))
        await carry(collector)
        await collector.store._in(  # the store lost what it had
            collector.store._writer,
            lambda: collector.store._connection.execute("DELETE FROM points.env"),
        )
        made = await reception.refills.ask("e1", 0, 9, again=True)
        for last in (20, 20, 31):  # the second is a retry after a lost answer
            said = Progress(made.id, last, 31, 0)
            await reception.receive(upload(11, last), Report(settled=30, refill=said))
        await carry(collector)
        assert collector.spool.head == 51
        table = await collector.store.query(Query("env", T, T + 1000))
        assert sorted(int(row[4]) for row in table.rows) == list(range(11, 32))
        (edge,) = await collector.registry.edges()
        assert edge["records"] == 31
        books = await collector.spool.books()
        assert books.consumers["registry"].dropped == {"again": 20}
        assert books.residual == 0
        assert reception.refills.of("e1")[0].records == 21


class Counting:
    """A sink that remembers which numbers it was given."""

    name = "registry"

    def __init__(self) -> None:
        self.seen: list[int] = []

    async def send(self, batch: Batch) -> Receipt:
        self.seen += range(batch.first, batch.last + 1)
        return Receipt(dropped={"odd": 1})


async def test_runs_that_were_sent_again_pass_a_counting_sink_by(tmp_path: Path) -> None:
    async with centre(tmp_path, SETTINGS) as here:
        await asks(here, upload(1, 20), 0)
        keys: dict[str, bytes | None] = {"again/00000000000000000003": b"5"}
        keys |= {"again/00000000000000000018": b"40", "again/00000000000000000500": b"501"}
        await here.spool.append((), source="test", state=keys)
        sink = Counting()
        records = await here.stored()
        receipt = await Once(sink, here.spool, lambda: True).send(Batch(2, records[1:]))
        assert sink.seen == [2, *range(6, 18)]
        assert receipt.dropped == {"odd": 2, "again": 6}
        sink.seen.clear()
        await Once(sink, here.spool, lambda: False).send(Batch(2, records[1:]))
        assert sink.seen == list(range(2, 21))
