"""Judging readings a column at a time gives what judging them one by one gives."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query import Query, QueryError
from collector.timeseries.alike import FEWEST, Looks
from collector.timeseries.embedded import open_embedded
from collector.timeseries.line import LineEncoder
from gateway_core.model import Batch, FeedHealth, Reading, Receipt, Record

T = 1_700_000_000_000_000_000
GOOD = (21.5, -0.0, 1e16, 5e-324, 7, -(2**63), True, False, "", 'a "b" \\', "100 %s", "好")
BAD = (math.nan, -math.inf, 2**63, "two\nlines", "\ud800")
LOOKS = (
    ({"t": 1.5}, {}),
    ({"t": 1.5, "n": 4}, {}),
    ({"n": 4, "t": 1.5}, {}),
    ({"t": 1.5, "open": True, "note": "x"}, {"site": "北 区"}),
    ({"p%d": 1.0, "a,b=c": 2}, {}),
    ({"device": 1.0}, {}),
    ({"site": 1.0}, {"site": "x"}),
    ({"time": 1.0}, {}),
    ({}, {}),
)


def batch(dice: random.Random, size: int, spoilt: float) -> Batch:
    """Return readings of few looks, devices and instants; some cells hold something else."""
    records: list[Record] = []
    for _ in range(size):
        fields, tags = dice.choice(LOOKS[:6] if dice.random() < 0.9 else LOOKS)
        cells = {
            name: type(value)(dice.randrange(9)) if isinstance(value, int | float) else value
            for name, value in fields.items()
        }
        if cells and dice.random() < spoilt:
            cells[dice.choice(list(cells))] = dice.choice(GOOD + BAD)
        time = 2**63 if dice.random() < spoilt / 20 else T + dice.randrange(20)
        device = f"d{dice.randrange(3)}"
        records.append(Reading("e1", device, "acme", dice.choice("mn"), time, T, cells, tags))
        if dice.random() < 0.05:
            records.append(FeedHealth("e1", device, T, "online"))
    return Batch(dice.randrange(1, 1000), records)


dealt = st.builds(
    lambda seed, size, spoilt: batch(random.Random(seed), size, spoilt),
    st.integers(0, 2**32),
    st.integers(1, 200),
    st.sampled_from([0.0, 0.01, 0.3]),
)


@given(dealt)
def test_every_record_of_a_batch_is_in_one_part(batch: Batch) -> None:
    looks = Looks(lambda reading: reading.device)
    looks.part(batch.records[:50])
    alike, others = looks.part(batch.records)
    places = [place for group in alike for place in group.places]
    assert sorted(places + others) == list(range(len(batch.records)))
    assert all(len(group.places) >= FEWEST for group in alike)
    for group in alike:
        assert [batch.records[place] for place in group.places] == list(group.readings)
        assert [each.device for each in group.readings] == list(group.series)
        assert {tuple(each.fields) for each in group.readings} == {group.look.names}
        assert len({tuple(each.tags) for each in group.readings}) == 1


@given(dealt)
def test_a_batch_is_written_as_its_records_one_by_one(batch: Batch) -> None:
    encoder, alone = LineEncoder(), LineEncoder()
    encoder.encode_batch(Batch(1, batch.records[:50]))  # series that it knows, and new ones
    together = encoder.encode_batch(batch)
    parts = [
        alone.encode_batch(Batch(seq, [record]))
        for seq, record in enumerate(batch.records, batch.first)
    ]
    assert together.lines == [line for each in parts for line in each.lines]
    assert list(together.seqs) == [seq for each in parts for seq in each.seqs]
    assert together.rejected == [why for each in parts for why in each.rejected]
    assert together.not_series == sum(each.not_series for each in parts)


@pytest.mark.parametrize("seed", range(12))
async def test_the_embedded_store_holds_what_it_would_hold_of_single_records(
    tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    batches = [batch(dice, 120, 0.02) for _ in range(3)]
    async with (
        open_embedded(tmp_path / "together.duckdb", 256 << 20) as together,
        open_embedded(tmp_path / "alone.duckdb", 256 << 20) as alone,
    ):
        for each in batches:
            receipt = await together.write(each)
            singles = [
                await alone.write(Batch(seq, [record]))
                for seq, record in enumerate(each.records, each.first)
            ]
            assert receipt.rejected == tuple(why for one in singles for why in one.rejected)
            assert receipt.dropped == _added(singles)
        for measurement in ("m", "n"):
            assert await _rows(together, measurement) == await _rows(alone, measurement)


def _added(receipts: list[Receipt]) -> dict[str, int]:
    count = sum(each.dropped.get("not_a_series", 0) for each in receipts)
    return {"not_a_series": count} if count else {}


async def _rows(store, measurement: str) -> list[str]:
    try:
        table = await store.query(Query(measurement, T, T + 100, limit=100_000))
    except QueryError as why:
        return [str(why)]
    return [repr((table.columns, row)) for row in table.rows]
