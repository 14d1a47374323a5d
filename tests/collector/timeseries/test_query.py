"""Pages of any size, put together, are the whole answer in its one order."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.query import Measurement, Query, QueryError, answer, plan

KNOWN = {
    "env": Measurement("env", ("device", "site"), {"n": "int", "note": "str", "t": "float"}),
    "feed_health": Measurement("feed_health", ("feed",), {"state": "str"}),
}
rows = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["a", "b", "c"]), st.none(), st.integers(0, 9)),
    unique_by=lambda row: row[:3],
    max_size=18,
)


class Shelf:
    """A store that orders by time only and cuts where it is told."""

    def __init__(self, held) -> None:
        self.held = sorted(held, key=lambda row: row[0])

    async def fetch(self, start, stop, limit):
        found = [row for row in self.held if start <= row[0] < stop]
        return list(found if limit is None else found[:limit])


@given(rows, st.integers(1, 7))
async def test_pages_of_any_size_add_up(held, limit) -> None:
    shelf, query = Shelf(held), Query("env", 0, 100, fields=("n",), limit=limit)
    table = await answer(plan(query, KNOWN), shelf.fetch)
    got = list(table.rows)
    while table.next is not None:
        assert len(table.rows) == limit
        table = await answer(
            plan(dataclasses.replace(query, cursor=table.next), KNOWN), shelf.fetch
        )
        got += table.rows
    assert got == sorted(held, key=lambda row: (row[0], row[1]))


@pytest.mark.parametrize(
    ("changes", "code", "hint"),
    [
        ({"measurement": "evn"}, "unknown_measurement", "did you mean 'env'"),
        ({"measurement": "zzz"}, "unknown_measurement", "there are env, feed_health"),
        ({"fields": ("tt",)}, "unknown_field", "did you mean 't'"),
        ({"where": {"devcie": ("a",)}}, "unknown_tag", "did you mean 'device'"),
        ({"limit": 0}, "bad_limit", "1 to 1000000"),
        ({"limit": 1_000_001}, "bad_limit", "1 to 1000000"),
        ({"every_ns": 0}, "bad_every", "longer"),
        ({"agg": "mean"}, "bad_agg", "needs every"),
        ({"every_ns": 5, "agg": "evil()"}, "bad_agg", "one of"),
        ({"every_ns": 5, "agg": "sum", "fields": ("note",)}, "bad_agg", "no number"),
        ({"cursor": "x"}, "bad_cursor", "next"),
        ({"cursor": "WzEsLTVd"}, "bad_cursor", "next"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(changes, code, hint) -> None:
    with pytest.raises(QueryError, match=hint) as caught:
        plan(dataclasses.replace(Query("env", 0, 10), **changes), KNOWN)
    assert caught.value.code == code


def test_an_aggregate_leaves_out_what_it_cannot_be_computed_of() -> None:
    assert plan(Query("env", 0, 9, every_ns=3), KNOWN).fields == {"n": "float", "t": "float"}
    assert plan(Query("env", 0, 9, every_ns=3, agg="max"), KNOWN).fields == {
        "n": "int",
        "t": "float",
    }
    assert plan(Query("env", 0, 9, every_ns=3, agg="count"), KNOWN).fields == {
        "n": "int",
        "note": "int",
        "t": "int",
    }


async def test_an_empty_stretch_of_time_has_no_rows_and_no_next() -> None:
    table = await answer(plan(Query("env", 5, 5), KNOWN), Shelf([]).fetch)
    assert (table.columns, table.rows, table.next) == (
        ("time", "device", "site", "n", "note", "t"),
        [],
        None,
    )
