"""What a collector passes on accounts for the same numbers as what it was given, each once."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import provenance
from collector.config import IntakeSection, MirrorSection
from collector.mirror import Mirror, open_mirror
from collector.reception import Report
from gateway_core.errors import Unavailable
from gateway_core.intervals import Intervals
from gateway_core.model import Batch
from gateway_core.units import Address
from gateway_core.wire import Upload
from tests.fakes.centre import fake_centre
from tests.fakes.edges import Centre, centre, readings, upload

HERE = Address("127.0.0.1", 0)


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 3)), max_size=8),
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
)
def test_batches_of_any_size_become_uploads_of_the_same_numbers(
    parts: list[tuple[int, int, int]], sizes: list[int]
) -> None:
    kept: dict[str, bytes] = {}
    stored, at, last = [], 1, 0
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for ordinal, (count, withheld, gap) in enumerate(parts):
        if not count + withheld:
            continue
        first, last = last + gap + 1, last + gap + count + withheld
        seqs = list(range(first, first + count))
        origin = provenance.trace(
            Upload("e1", "ep", first, last, seqs, readings(first, first + count - 1)),
            [(first, last)],
            seqs,
        )
        assert origin is not None
        spans[at, ordinal] = (first, last)
        kept[provenance.key(at, ordinal + 1)] = provenance.encode(origin)
        stored += list(zip(seqs, readings(first, first + count - 1), strict=True))
        at += count
    came: dict[int, object] = {}
    accounted = Intervals()
    done: set[str] = set()
    start = 1
    for size in itertools.cycle(sizes):
        batch = [record for _, record in stored[start - 1 : start - 1 + size]]
        if not batch:
            break
        low, high = provenance.key(start, 0), provenance.last_key(start + len(batch) - 1)
        before = max((name for name in kept if name <= low), default=low)
        near = {name: kept[name] for name in sorted(kept) if before <= name <= high}
        made, strange, gone = provenance.uploads(near, start, batch)
        assert strange == 0
        for one in made:
            assert one.seqs == sorted(one.seqs)
            accounted.add(one.first, one.last)
            for seq, record in zip(one.seqs, one.records, strict=True):
                assert seq not in came
                came[seq] = record
        done |= set(gone)
        start += len(batch)
    assert came == dict(stored)
    # uploads without records behind the last one wait for the next record
    assert accounted == Intervals(span for (begin, _), span in spans.items() if begin < at)
    assert done == {name for name in kept if int(name.split("/")[1]) < at}


@contextlib.asynccontextmanager
async def second(folder: Path, mirrors: tuple[str, ...] = ("a",)) -> AsyncIterator[Centre]:
    async with centre(folder, IntakeSection(listen=(HERE,), mirrors=mirrors)) as there:
        yield there


async def passed_on(here: Centre, mirror: Mirror, limit: int = 7) -> None:
    while here.spool.settled("mirror") < here.spool.head:
        batch = await here.spool.read("mirror", limit)
        receipt = await mirror.send(batch)
        await here.spool.settle("mirror", batch.first, batch.last, receipt)


async def test_what_came_in_pieces_twice_or_with_holes_is_the_same_there(tmp_path: Path) -> None:
    async with (
        centre(tmp_path / "a", IntakeSection(listen=(HERE,))) as here,
        second(tmp_path / "b") as there,
        open_mirror(MirrorSection(url=there.intake.url, name="a"), here.spool) as mirror,
    ):
        assert mirror is not None
        here.reception.traced = True
        holes = Upload("e1", "ep1", 41, 60, [50], readings(50, 50), {"policy": 19})
        silent = Upload("e1", "ep1", 61, 90, [], [], {"policy": 30})
        for one in (upload(1, 20), upload(11, 30), holes, upload(1, 40), silent, upload(91, 99)):
            await here.reception.receive(one, Report(backlog=5))
        await here.reception.receive(upload(1, 3, edge="e2"), Report())
        await passed_on(here, mirror)
        for edge in ("e1", "e2"):
            mine, theirs = (each.reception.edges[edge].epochs["ep1"] for each in (here, there))
            assert (mine.received, mine.stored) == (theirs.received, theirs.stored)
            assert (mine.withheld, mine.unexplained) == (theirs.withheld, theirs.unexplained)
        assert await there.stored() == await here.stored()
        assert there.reception.edges["e1"].report.backlog is None
        assert await here.spool.state(provenance.STATE) == {}
        books = (await here.spool.books()).consumers["mirror"]
        assert (books.delivered, books.buffered, books.residual) == (53, 0, 0)


async def test_a_collector_that_is_not_listed_there_is_refused_and_keeps_all(
    tmp_path: Path,
) -> None:
    async with (
        centre(tmp_path / "a", IntakeSection(listen=(HERE,))) as here,
        second(tmp_path / "b", mirrors=()) as there,
        open_mirror(MirrorSection(url=there.intake.url, name="a"), here.spool) as mirror,
    ):
        assert mirror is not None
        here.reception.traced = True
        await here.reception.receive(upload(1, 5), Report())
        with pytest.raises(Unavailable, match=r"403; list mirror\.name under intake\.mirrors"):
            await passed_on(here, mirror)
        assert here.spool.settled("mirror") == 0


async def test_one_record_that_is_never_taken_there_holds_up_nobody(tmp_path: Path) -> None:
    async with (
        fake_centre() as there,
        centre(tmp_path / "a", IntakeSection(listen=(HERE,))) as here,
        open_mirror(MirrorSection(url=there.url, name="a"), here.spool) as mirror,
    ):
        assert mirror is not None
        here.reception.traced = True
        there.poison = lambda record: record.fields["n"] == 6  # type: ignore[union-attr]
        await here.reception.receive(upload(1, 20), Report())
        await passed_on(here, mirror, 100)
        assert sorted(seq for _, _, seq in there.records) == [*range(1, 6), *range(7, 21)]
        assert there.headers["Tidegate-Mirror"] == "a"
        (held,) = await here.spool.quarantined(10)
        assert (held.consumer, held.seq, held.reason) == ("mirror", 6, "http_400")
        assert (await here.spool.books()).residual == 0


async def test_records_of_before_the_mirror_are_counted_as_such(tmp_path: Path) -> None:
    async with (
        fake_centre() as there,
        centre(tmp_path / "a", IntakeSection(listen=(HERE,))) as here,
        open_mirror(MirrorSection(url=there.url, name="a"), here.spool) as mirror,
    ):
        assert mirror is not None
        await here.reception.receive(upload(1, 3), Report())
        receipt = await mirror.send(Batch(1, await here.stored()))
        assert receipt.dropped == {"no_origin": 3}
        assert there.records == {}


async def test_without_a_mirror_nothing_is_kept_for_one(tmp_path: Path) -> None:
    async with centre(tmp_path / "a", IntakeSection(listen=(HERE,))) as here:
        section = MirrorSection(url="http://[::1]:1", name="a")
        async with open_mirror(section, here.spool):
            here.reception.traced = True
            await here.reception.receive(upload(1, 3), Report())
            assert len(await here.spool.state(provenance.STATE)) == 1
        async with open_mirror(None, here.spool) as mirror:
            assert mirror is None
            assert await here.spool.state(provenance.STATE) == {}
            assert "mirror" not in (await here.spool.books()).consumers
